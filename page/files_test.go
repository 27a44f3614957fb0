package page_test

import (
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/bigtransfer/bit/page"
)

// Every file of the page is served, with the policy that lets a browser use nothing else, and only when it has changed.
func TestFiles(t *testing.T) {
	routes, err := page.Routes()
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for _, r := range routes {
		if !r.Public {
			t.Errorf("%s wants a token, which only the page could ask for", r.Pattern)
		}
		mux.HandleFunc(r.Method+" "+r.Pattern, func(w http.ResponseWriter, q *http.Request) {
			if err := r.Answer(w, q); err != nil {
				http.Error(w, err.Error(), http.StatusNotFound)
			}
		})
	}
	h := httptest.NewServer(mux)
	defer h.Close()
	get := func(path, etag string) (*http.Response, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if etag != "" {
			req.Header.Set("If-None-Match", etag)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(text)
	}
	paths := []string{"/"}
	fs.WalkDir(os.DirFS("assets"), ".", func(name string, e fs.DirEntry, err error) error {
		if !e.IsDir() {
			paths = append(paths, "/assets/"+filepath.ToSlash(name))
		}
		return err
	})
	elsewhere := regexp.MustCompile(`(?:src|href|from|import|url|fetch)\s*[=(]?\s*["'(](?:https?:)?//`)
	inline := regexp.MustCompile(`<script(?:>| [^>]*[^"]>)[^<]|<style|\sstyle=|\son[a-z]+="|\beval\(|innerHTML`)
	for _, path := range paths {
		resp, text := get(path, "")
		if resp.StatusCode != http.StatusOK || text == "" {
			t.Errorf("%s: %s", path, resp.Status)
			continue
		}
		for header, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; ", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache",
		} {
			if got := resp.Header.Get(header); !strings.HasPrefix(got, want) || strings.Contains(got, "unsafe") {
				t.Errorf("%s: %s is %q", path, header, got)
			}
		}
		if found := elsewhere.FindString(text); found != "" && !strings.HasSuffix(path, ".svg") {
			t.Errorf("%s takes something from elsewhere: %s", path, found)
		}
		if found := inline.FindString(text); found != "" {
			t.Errorf("%s has what its policy forbids: %s", path, found)
		}
		if resp, text := get(path, resp.Header.Get("ETag")); resp.StatusCode != http.StatusNotModified || text != "" {
			t.Errorf("%s again: %s", path, resp.Status)
		}
	}
	for _, path := range []string{"/assets/", "/assets/nothing.js", "/assets/..%2fpage.go", "/assets/%2e%2e/page.go", "/index.html"} {
		if resp, _ := get(path, ""); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
}

// A server without projects has a page that classifies, and says what is missing to teach.
func TestWithoutProjects(t *testing.T) {
	s := serveIn(t, "none")
	b := browse(t, 390, 844)
	b.run(chromedp.Navigate(s.url + "/#/teach"))
	b.until(`document.querySelector('main').innerText.includes('--projects')`)
	b.accessible("no projects")
	b.button("nav", "Classify")
	b.until(`document.querySelector('.well')`)
}
