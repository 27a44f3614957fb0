package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/imaging"
)

// classifyInput is where the pictures come from that are not named as arguments.
type classifyInput struct {
	filesFrom string
	null      bool
	split     string
}

func (o *classifyInput) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.filesFrom, "files-from", "", "file that names a picture in each line, or - for standard input")
	f.BoolVar(&o.null, "null", false, "names of --files-from end with a zero byte, as those of find -print0")
	f.StringVar(&o.split, "split", "", "train, val or test, of data sets whose files are named so (default all)")
}

func (o *classifyInput) check(args []string) error {
	stdin := 0
	for _, arg := range append(args[:len(args):len(args)], o.filesFrom) {
		if arg == "-" {
			stdin++
		}
	}
	switch {
	case stdin > 1:
		return usagef("standard input is read once: want one -")
	case o.null && o.filesFrom == "":
		return usagef("--null is about --files-from")
	case o.split != "" && o.split != "train" && o.split != "val" && o.split != "test":
		return usagef("--split %s: want train, val or test", o.split)
	}
	return nil
}

// pictures gives the pictures of the arguments, then those of --files-from.
func (o *classifyInput) pictures(ctx context.Context, a *app, opener data.Opener, args []string) iter.Seq[data.Picture] {
	opener.Split = o.split
	return func(yield func(data.Picture) bool) {
		for _, arg := range args {
			if arg == "-" {
				if !yield(standardInput()) {
					return
				}
				continue
			}
			for p := range opener.Pictures(ctx, arg) {
				if !yield(p) {
					return
				}
			}
		}
		if o.filesFrom != "" {
			o.named(yield)
		}
	}
}

// standardInput is the picture on standard input.
func standardInput() data.Picture {
	return data.Picture{Name: "-", Image: func() (*imaging.Image, error) {
		b, err := io.ReadAll(io.LimitReader(os.Stdin, imaging.DefaultMaxBytes+1))
		if err == nil && int64(len(b)) > imaging.DefaultMaxBytes {
			err = imaging.ErrTooLarge
		}
		var img *imaging.Image
		if err == nil {
			img, err = imaging.Decode(b)
		}
		if err != nil {
			return nil, fmt.Errorf("-: %w", err)
		}
		return img, nil
	}}
}

// maxName is more bytes than the name of a file has on any system.
const maxName = 1 << 20

// named yields the pictures that --files-from names.
func (o *classifyInput) named(yield func(data.Picture) bool) {
	fail := func(err error) {
		yield(data.Picture{Name: o.filesFrom, Image: func() (*imaging.Image, error) { return nil, err }})
	}
	in := io.Reader(os.Stdin)
	if o.filesFrom != "-" {
		f, err := os.Open(o.filesFrom)
		if err != nil {
			fail(err)
			return
		}
		defer f.Close()
		in = f
	}
	s := bufio.NewScanner(in)
	s.Buffer(nil, maxName)
	if o.null {
		s.Split(func(b []byte, end bool) (int, []byte, error) {
			if i := bytes.IndexByte(b, 0); i >= 0 {
				return i + 1, b[:i], nil
			}
			if end && len(b) > 0 {
				return len(b), b, nil
			}
			return 0, nil, nil
		})
	}
	for s.Scan() {
		name := s.Text()
		if !o.null {
			name = strings.TrimSuffix(strings.TrimPrefix(name, "\ufeff"), "\r")
		}
		if name != "" && !yield(data.FilePicture(name)) {
			return
		}
	}
	if err := s.Err(); err != nil {
		fail(fmt.Errorf("%s: %w", o.filesFrom, err))
	}
}
