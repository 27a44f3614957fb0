package serve

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/bigtransfer/bit/imaging"
)

// decodedBytes is about what decoding takes for each pixel: planes of luma and chroma or RGBA, and the RGB result.
const decodedBytes = 7

// prepare decodes pictures and resizes them for the model, as many at a time as there are decoders.
func (s *Server) prepare(ctx context.Context, i *instance, pictures []Picture) ([]*task, error) {
	started := time.Now()
	defer func() { infoOf(ctx).decode += s.metrics.stage(stageDecode, started) }()
	tasks := make([]*task, len(pictures))
	if len(pictures) == 1 {
		var err error
		tasks[0], err = s.prepareOne(ctx, i, pictures[0].File)
		return tasks, named(pictures[0], err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(cap(s.decoders))
	for k, p := range pictures {
		group.Go(func() (err error) {
			tasks[k], err = s.prepareOne(ctx, i, p.File)
			return named(p, err)
		})
	}
	return tasks, group.Wait()
}

// named adds the picture's name to an error.
func named(p Picture, err error) error {
	if err == nil || p.Name == "" {
		return err
	}
	return fmt.Errorf("%s: %w", p.Name, err)
}

func (s *Server) prepareOne(ctx context.Context, i *instance, file []byte) (t *task, err error) {
	im, release, err := s.decode(ctx, file)
	if err != nil {
		return nil, err
	}
	defer release()
	return i.fit(im)
}

// beginDecode checks a picture's size by its header, before anything is made room for, and waits for a decoder, which has to
// be given back to s.decoders, and for memory, until it is released.
func (s *Server) beginDecode(ctx context.Context, file []byte) (d imaging.Decoder, release func(), err error) {
	if len(file) == 0 {
		return d, nil, failf(http.StatusBadRequest, "no picture: the body is empty")
	}
	d.MaxPixels = s.config.MaxPixels
	w, h, err := d.Size(file)
	if err != nil {
		return d, nil, err
	}
	if release, err = s.admission.decoding(ctx, int64(w)*int64(h)*decodedBytes); err != nil {
		return d, nil, err
	}
	select {
	case s.decoders <- struct{}{}:
		return d, release, nil
	case <-ctx.Done():
		release()
		return d, nil, context.Cause(ctx)
	}
}

// decode decodes a picture file. The picture's memory is the caller's until it is released.
func (s *Server) decode(ctx context.Context, file []byte) (im *imaging.Image, release func(), err error) {
	d, release, err := s.beginDecode(ctx, file)
	if err != nil {
		return nil, nil, err
	}
	defer func() { <-s.decoders }()
	if im, err = d.Decode(file); err != nil {
		release()
		return nil, nil, err
	}
	return im, release, nil
}

// maxInputPixels is the largest prepared picture, 2048 x 2048. Only a model that keeps the aspect ratio can ask for more, of
// a picture that is very long.
const maxInputPixels = 1 << 22

// fit resizes a picture for the model. It stays in bytes until its pass begins: a quarter of the memory of floats.
func (i *instance) fit(im *imaging.Image) (*task, error) {
	processor := i.batcher.model.Processor()
	if w, h := processor.OutputSize(im.W, im.H); w < 1 || h < 1 || w > maxInputPixels/h {
		return nil, failf(http.StatusUnprocessableEntity, "a picture of %d x %d pixels would become one of %d x %d for this model, which is too large", im.W, im.H, w, h)
	}
	out, err := processor.Transform(new(imaging.Resizer), im)
	if err != nil {
		return nil, err
	}
	return &task{picture: out, h: out.H, w: out.W}, nil
}
