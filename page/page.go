// Package page is the page of bit serve: pictures go in, classes come out, and people teach models of their own.
//
// The page is plain HTML, CSS and ES modules in the folder assets, as they are written: nothing is compiled or fetched,
// and it works without a network. It has no rights of its own: all it does are calls of the server's interface
// (/openapi.json).
package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"time"

	"github.com/bigtransfer/bit/serve"
)

//go:embed assets
var assets embed.FS

// policy lets the page load what comes with it and pictures that it made itself, and nothing else: no script or style that
// is not a file of the page, nothing from elsewhere, and nobody may frame it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// asset is a file of the page.
type asset struct {
	name    string
	kind    string // of media
	content []byte
	etag    string
}

// Routes returns what serves the page: / and the files below /assets/.
func Routes() ([]serve.Route, error) {
	files := map[string]*asset{}
	err := fs.WalkDir(assets, "assets", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		content, err := assets.ReadFile(name)
		if err != nil {
			return err
		}
		kind := kinds[path.Ext(name)]
		if kind == "" {
			return fmt.Errorf("page: %s: its media type is not known", name)
		}
		sum := sha256.Sum256(content)
		files[name] = &asset{name, kind, content, `"` + hex.EncodeToString(sum[:8]) + `"`}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return []serve.Route{
		{Method: "GET", Pattern: "/{$}", Public: true, Answer: files["assets/index.html"].answer},
		{Method: "GET", Pattern: "/assets/{file}", Public: true, Answer: func(w http.ResponseWriter, r *http.Request) error {
			a := files["assets/"+r.PathValue("file")]
			if a == nil {
				return serve.Failf(http.StatusNotFound, "the page has no file %q", r.PathValue("file"))
			}
			return a.answer(w, r)
		}},
	}, nil
}

// kinds are the media types of the page's files. Those of the system differ from machine to machine.
var kinds = map[string]string{
	".html": mime.FormatMediaType("text/html", map[string]string{"charset": "utf-8"}),
	".css":  mime.FormatMediaType("text/css", map[string]string{"charset": "utf-8"}),
	".js":   mime.FormatMediaType("text/javascript", map[string]string{"charset": "utf-8"}),
	".svg":  "image/svg+xml",
}

func (a *asset) answer(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Permissions-Policy", "camera=(self)")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache") // asked for each time, and sent only when the program is another one
	h.Set("ETag", a.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.content))
	return nil
}
