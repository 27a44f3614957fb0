package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/bigtransfer/bit/hub"
)

func (a *app) newPullCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "pull REF... [flags]",
		Short: "Download published models",
		Long: `Download published models and print where they lie.

REF is a name that "bit models" lists, org/name or org/name@revision of the Hugging Face
hub, or an https URL. Repositories go to the cache of Python's huggingface_hub, in its
layout. What is here already is not downloaded again; a download that was cut goes on
where it ended; sizes and checksums are checked.`,
		Example: `  bit pull BiT-M-R50x1-ILSVRC2012
  bit pull google/bit-50
  bit pull timm/resnetv2_50x1_bit.goog_in21k@main`,
		Args: wants(1, -1, "at least one REF"),
		RunE: a.runE(func(ctx context.Context, args []string) error {
			c := hub.FromEnv()
			line := &status{out: a.stderr}
			c.Progress = newDownloadLog(line).show
			var refs []hub.Ref
			for _, arg := range args {
				ref, err := c.ParseRef(arg)
				if err != nil {
					return err
				}
				refs = append(refs, ref)
			}
			for _, ref := range refs {
				path, err := c.Pull(ctx, ref)
				line.clear()
				if err != nil {
					return err
				}
				fmt.Fprintln(a.stdout, path)
			}
			return nil
		}),
	}
}

// downloadLog shows downloads to a person.
type downloadLog struct {
	line  *status
	file  string
	start time.Time
	first int64 // bytes that were here before
}

func newDownloadLog(line *status) *downloadLog { return &downloadLog{line: line} }

// barColumns is the width of the bar of a download.
const barColumns = 12

func (l *downloadLog) show(p hub.Progress) {
	if p.File != l.file || p.Done < l.first {
		l.file, l.start, l.first = p.File, time.Now(), p.Done
		if !l.line.out.terminal {
			l.line.next = time.Now().Add(logPace) // the usual file is here before that
		}
	}
	if !l.line.due() {
		return
	}
	text := p.File + " "
	if p.Total > 0 {
		share := float32(p.Done) / float32(p.Total)
		if l.line.out.terminal {
			text += " " + bar(share, barColumns)
		}
		text += fmt.Sprintf(" %3.0f %%  %.1f of %s", 100*share, float64(p.Done)/1e6, megabytes(p.Total))
	} else {
		text += " " + megabytes(p.Done)
	}
	if seconds := time.Since(l.start).Seconds(); seconds >= 1 {
		speed := float64(p.Done-l.first) / seconds
		text += fmt.Sprintf("  %.1f MB/s", speed/1e6)
		if p.Total > 0 && speed > 0 {
			text += "  " + duration(time.Duration(float64(p.Total-p.Done)/speed*float64(time.Second))) + " left"
		}
	}
	l.line.show(text)
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
