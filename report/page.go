// Package report writes what was measured as HTML pages for people: one file each, with everything inside, that needs no
// network, no server and no other file.
package report

import (
	"bytes"
	"context"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"image"
	"image/jpeg"
	"io"
	"strconv"

	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/imaging"
)

//go:embed *.html *.css *.js
var files embed.FS

// thumbnailSide is the longest side of a picture in a page, in pixels: twice what it takes on the screen, for screens that
// show two pixels for one.
const thumbnailSide = 192

// picture is one of a page.
type picture struct {
	URI           template.URL // "" if the picture cannot be shown
	Width, Height int
	Alt           string
}

// write fills in a template of the package.
func write(w io.Writer, name string, value any) error {
	t, err := template.New(name).Funcs(template.FuncMap{
		"percent": func(v float64) string { return strconv.FormatFloat(100*v, 'f', 2, 64) + " %" },
		"decimal": func(v float64) string { return strconv.FormatFloat(v, 'f', 4, 64) },
		"css":     func() (template.CSS, error) { text, err := files.ReadFile("page.css"); return template.CSS(text), err },
		"js":      func() (template.JS, error) { text, err := files.ReadFile("sort.js"); return template.JS(text), err },
	}).ParseFS(files, "*.html")
	if err != nil {
		return err
	}
	return t.Execute(w, value)
}

// shrink returns the picture with its longest side at most thumbnailSide. Small ones stay as they are, for the browser to
// enlarge.
func shrink(img *imaging.Image) *imaging.Image {
	longest := max(img.W, img.H)
	if longest <= thumbnailSide {
		return img
	}
	return img.Resize(max(1, img.W*thumbnailSide/longest), max(1, img.H*thumbnailSide/longest), imaging.Bilinear)
}

// inline returns a picture with its bytes in its address.
func inline(img image.Image, alt string) (picture, error) {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 85}); err != nil {
		return picture{}, err
	}
	size := img.Bounds().Size()
	return picture{template.URL("data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(b.Bytes())), size.X, size.Y, alt}, nil
}

// load decodes a picture of a data set. One that cannot be decoded is nil.
func load(ctx context.Context, src data.Source, e data.Example) (*imaging.Image, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	img, err := src.Image(e)
	if _, broken := errors.AsType[*data.BrokenError](err); broken {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Path, err)
	}
	return img, nil
}

// thumbnail loads a picture and makes it small. One that cannot be decoded has no address.
func thumbnail(ctx context.Context, src data.Source, e data.Example) (picture, error) {
	img, err := load(ctx, src, e)
	if err != nil || img == nil {
		return picture{Alt: e.Path}, err
	}
	return inline(shrink(img), e.Path)
}
