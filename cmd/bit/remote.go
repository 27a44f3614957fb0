package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/png"
	"iter"
	"math"
	"net/url"
	"os"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/api"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/features"
	"github.com/bigtransfer/bit/imaging"
)

// remoteOptions are the flags of commands that can have a server do the work.
type remoteOptions struct {
	server    string
	tokenFile string
	given     func(flag string) bool // on the command line
}

func (o *remoteOptions) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	o.given = f.Changed
	f.StringVar(&o.server, "server", "", "let the server at this URL do it (bit serve); --model is then the name of one of its models")
	f.StringVar(&o.tokenFile, "token-file", "", "file of the server's token (default $BIT_TOKEN)")
}

// patience is how long a busy server is asked again.
const patience = 2 * time.Minute

// client returns a client of the server, which has been seen to have the model, and the options of its requests.
func (o *remoteOptions) client(ctx context.Context, model string) (*api.Client, api.Options, error) {
	if u, err := url.Parse(o.server); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, api.Options{}, usagef("--server %q: want a URL such as http://127.0.0.1:8080", o.server)
	}
	for _, flag := range []string{"resolution", "threads", "batch"} {
		if o.given(flag) {
			return nil, api.Options{}, usagef("--%s is the server's own business: leave it out, or leave out --server", flag)
		}
	}
	if !o.given("model") {
		model = "" // the server's default
	}
	token, err := readToken(o.tokenFile)
	if err != nil {
		return nil, api.Options{}, err
	}
	c := &api.Client{Server: o.server, Token: token, Patience: patience}
	// A server that cannot be reached, or does not know the model, is one mistake and not one of each file.
	models, err := c.Models(ctx)
	if err != nil {
		return nil, api.Options{}, fmt.Errorf("%s: %w", o.server, err)
	}
	var names []string
	for _, m := range models {
		if m.Name == model || model == "" {
			return c, api.Options{Model: model}, nil
		}
		names = append(names, m.Name)
	}
	return nil, api.Options{}, fmt.Errorf("%s has no model %q, expected one of %q", o.server, model, names)
}

// classifyRemotely is [bit.Classifier.ClassifyPictures] by a server.
func classifyRemotely(ctx context.Context, c *api.Client, o api.Options, pictures iter.Seq[data.Picture]) iter.Seq[bit.Result] {
	return inOrder(ctx, pictures, func(ctx context.Context, p data.Picture) bit.Result { return classifyOneRemotely(ctx, c, o, p) })
}

// inOrder yields what work makes of each item, in their order, with several under way at a time: a server makes batches of
// them. When ctx is cancelled the results simply end.
func inOrder[T, R any](ctx context.Context, items iter.Seq[T], work func(ctx context.Context, item T) R) iter.Seq[R] {
	return func(yield func(R) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		results := make(chan chan R, 4*runtime.GOMAXPROCS(0))
		go func() {
			defer close(results)
			for item := range items {
				result := make(chan R, 1)
				select {
				case results <- result:
				case <-ctx.Done():
					return
				}
				go func() { result <- work(ctx, item) }()
			}
		}()
		for result := range results {
			if r := <-result; ctx.Err() != nil || !yield(r) {
				return
			}
		}
	}
}

func classifyOneRemotely(ctx context.Context, c *api.Client, o api.Options, p data.Picture) bit.Result {
	r := bit.Result{Name: p.Name}
	picture, err := pictureBytes(p)
	if err != nil {
		r.Err = err
		return r
	}
	got, err := c.Classify(ctx, picture, o)
	if err != nil {
		r.Err = fmt.Errorf("%s: %w", p.Name, err)
		return r
	}
	r.Unknown = got.Results[0].Unknown
	for _, p := range got.Results[0].Predictions {
		r.Predictions = append(r.Predictions, bit.Prediction(p))
	}
	return r
}

// pictureBytes returns a picture as a file: as it is, or if it is none, as PNG.
func pictureBytes(p data.Picture) ([]byte, error) {
	if p.File != "" {
		return os.ReadFile(p.File)
	}
	img, err := p.Image()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = png.Encode(&b, img)
	return b.Bytes(), err
}

// explainRemotely is [bit.Classifier.Explain] by a server, of a picture file.
func explainRemotely(ctx context.Context, c *api.Client, o api.Options, file, class string) (*bit.Explanation, error) {
	picture, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	o.Top = math.MaxInt32 // the class explained may be any
	got, err := c.Explain(ctx, picture, class, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	x := got.Explanation
	if x.Rows < 1 || x.Columns < 1 || len(x.Map) != x.Rows*x.Columns || len(got.Predictions) == 0 {
		return nil, errors.New("the server's answer has no map")
	}
	e := &bit.Explanation{
		Unknown: got.Unknown, Class: x.Class, Label: x.Label, Logit: x.Logit, Bias: x.Bias, Map: x.Map, H: x.Rows, W: x.Columns,
		Width: x.Width, Height: x.Height, View: imaging.Region{X0: x.View[0], Y0: x.View[1], X1: x.View[2], Y1: x.View[3]},
		Origin: x.Origin, Step: x.Step,
	}
	for _, p := range got.Predictions {
		e.Predictions = append(e.Predictions, bit.Prediction(p))
	}
	return e, nil
}

// embedRemotely returns the features of pictures by a server, a row for each.
func embedRemotely(ctx context.Context, c *api.Client, o api.Options, pictures iter.Seq[data.Picture], progress func(done int)) (*features.Table, error) {
	type result struct {
		name      string
		embedding []float32
		err       error
	}
	t := &features.Table{}
	for r := range inOrder(ctx, pictures, func(ctx context.Context, p data.Picture) result {
		picture, err := pictureBytes(p)
		if err != nil {
			return result{err: err}
		}
		embedding, err := c.Embed(ctx, picture, o)
		if err != nil {
			err = fmt.Errorf("%s: %w", p.Name, err)
		}
		return result{p.Name, embedding, err}
	}) {
		if r.err != nil {
			return nil, r.err
		}
		if t.Width = len(r.embedding); len(t.Features) != len(t.Paths)*t.Width {
			return nil, errors.New("the server's answers have different lengths: was its model exchanged?")
		}
		t.Append("", []string{r.name}, []int{data.NoLabel}, r.embedding)
		progress(len(t.Paths))
	}
	return t, context.Cause(ctx)
}
