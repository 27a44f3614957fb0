package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"

	"github.com/bigtransfer/bit/eval"
	"github.com/bigtransfer/bit/train"
)

// How often progress is shown: a terminal's line changes as fast as an eye can follow, a log gets a line at this pace.
const (
	terminalPace = 200 * time.Millisecond
	logPace      = 15 * time.Second
)

// status is one line that is overwritten in a terminal, and a line now and then in a pipe or file.
type status struct {
	out   *stream
	next  time.Time // when to show the next one
	width int       // of what the terminal shows now, in columns
}

// due reports whether it is time for another line.
func (s *status) due() bool { return !time.Now().Before(s.next) }

// show shows a line that the next one replaces.
func (s *status) show(line string) {
	if !s.out.terminal {
		fmt.Fprintln(s.out, line)
		s.next = time.Now().Add(logPace)
		return
	}
	line = runewidth.Truncate(line, s.out.width()-1, "…")
	fmt.Fprint(s.out, "\r", line, strings.Repeat(" ", max(0, s.width-runewidth.StringWidth(line))))
	s.width = runewidth.StringWidth(line)
	s.next = time.Now().Add(terminalPace)
}

// clear removes the line, so that something else can be written.
func (s *status) clear() {
	if s.width > 0 {
		fmt.Fprint(s.out, "\r", strings.Repeat(" ", s.width), "\r")
		s.width = 0
	}
}

// println writes a line that stays.
func (s *status) println(format string, args ...any) {
	s.clear()
	fmt.Fprintf(s.out, format+"\n", args...)
}

// trainingLog shows a training run to a person.
type trainingLog struct {
	status
	stepsPerEpoch float64
	split         string // name of the split that is evaluated
	start         time.Time
	first         int // the step that this process began with; 0 before the first one
	last          train.Progress
}

func newTrainingLog(out *stream, images, batch int, split string) *trainingLog {
	return &trainingLog{
		status: status{out: out}, stepsPerEpoch: float64(images) / float64(batch), split: split, start: time.Now(),
	}
}

// attach makes the log follow a run.
func (l *trainingLog) attach(o *train.Options) { o.OnStep, o.OnEvaluate = l.step, l.evaluated }

func (l *trainingLog) step(p train.Progress) {
	l.last = p
	if l.first == 0 {
		if l.first = p.Step; p.Step > 1 {
			l.println("resumed after step %d", p.Step-1)
		}
	}
	if !l.due() && p.Step != p.Total {
		return
	}
	left := ""
	if p.Step-l.first >= 4 { // the first steps also plan memory and fill caches
		left = "  " + duration(p.Remaining) + " left"
	}
	l.show(fmt.Sprintf("step %*d/%d %3d %%%s  loss %.3f  accuracy %4.1f %%  %.0f images/s  rate %.3g",
		len(fmt.Sprint(p.Total)), p.Step, p.Total, 100*p.Step/p.Total, left, p.Loss, 100*p.Accuracy, p.ImagesPerSecond, p.LearningRate))
}

func (l *trainingLog) evaluated(step int, r eval.Result) {
	l.println("step %d, epoch %.4g, %s: %s  after %s", step, float64(step)/l.stepsPerEpoch, l.split, scores(r), duration(time.Since(l.start)))
	if !l.out.terminal {
		l.next = time.Now().Add(logPace)
	}
}

// finish removes the progress line and, if steps were taken, says how much of their time the network stood still.
func (l *trainingLog) finish() {
	l.clear()
	if l.first > 0 {
		l.println("waited for data %.1f %% of the time", 100*l.last.Waiting)
	}
}

// took returns how long the run lasted, in whole seconds, or 0 if an earlier process did a part of it.
func (l *trainingLog) took() time.Duration {
	if l.first != 1 {
		return 0
	}
	return time.Since(l.start).Truncate(time.Second)
}

func scores(r eval.Result) string {
	return fmt.Sprintf("top-1 %.2f %%  top-5 %.2f %%  loss %.4f  on %d images", 100*r.Top1, 100*r.Top5, r.Loss, r.Images)
}

// duration formats a time for a person: 8s, 4m10s, 2h05m.
func duration(d time.Duration) string {
	s := int(d.Round(time.Second).Seconds())
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	default:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	}
}

// imageProgress returns what shows how many of some images are done.
func imageProgress(line *status, what string, images int) func(done int) {
	start := time.Now()
	return func(done int) {
		if line.due() && done < images {
			rate := float64(done) / time.Since(start).Seconds()
			left := time.Duration(float64(images-done) / rate * float64(time.Second))
			line.show(fmt.Sprintf("%s: %d/%d images %3d %%  %.0f images/s  %s left", what, done, images, 100*done/images, rate, duration(left)))
		}
	}
}
