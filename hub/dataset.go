package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// datasetScheme starts the reference of a data set, as in huggingface_hub's HfFileSystem.
const datasetScheme = "hf://datasets/"

// maxFiles bounds the list of a data set's files: a server that never ends it would fill the memory.
const maxFiles = 1 << 20

// ParseDataset reads the reference of a data set, "hf://datasets/org/name", "hf://datasets/org/name@revision" or one of
// these with "/path" of a file or folder in it. A slash in a revision is written %2F, but for that of "refs/pr/1" and
// "refs/convert/parquet". The URL of the data set's page on c's hub is such a reference too. The error is an [ErrNoRef], or
// says what is wrong with such a reference.
func (c *Client) ParseDataset(s string) (Ref, error) {
	bad := func(format string, args ...any) (Ref, error) {
		return Ref{}, fmt.Errorf("%q: %w", s, fmt.Errorf(format, args...))
	}
	rest, ok := strings.CutPrefix(s, datasetScheme)
	if page, isPage := strings.CutPrefix(s, c.Endpoint+"/datasets/"); !ok && isPage {
		rest, ok = datasetPage(page)
	}
	if !ok {
		return bad("%w: want %sorg/name", ErrNoRef, datasetScheme)
	}
	m := datasetParts.FindStringSubmatch(rest)
	if m == nil {
		return bad("want %sorg/name, then perhaps @revision and /path", datasetScheme)
	}
	ref := Ref{Dataset: true, Repo: m[1], Revision: DefaultRevision, Path: strings.TrimSuffix(m[3], "/")}
	if m[2] != "" {
		var err error
		if ref.Revision, err = url.PathUnescape(m[2]); err != nil {
			return bad("revision: %w", err)
		}
	}
	if err := checkRepo(ref.Repo); err != nil {
		return bad("%w", err)
	}
	if err := checkPath(ref.Revision); err != nil {
		return bad("revision %q is %w", ref.Revision, err)
	}
	if ref.Path != "" {
		if err := checkPath(ref.Path); err != nil {
			return bad("path %q is %w", ref.Path, err)
		}
	}
	return ref, nil
}

// datasetParts are owner/name, @revision and /path (huggingface_hub hf_file_system.py, SPECIAL_REFS_REVISION_REGEX).
var datasetParts = regexp.MustCompile(`^([^/@]+/[^/@]+)(?:@(refs/(?:convert/\w+|pr/\d+)|[^/]+))?(?:/(.*))?$`)

// datasetPage turns what follows /datasets/ in the address of a page into what follows it in a reference.
func datasetPage(page string) (string, bool) {
	parts := strings.SplitN(strings.TrimRight(page, "/"), "/", 5)
	switch {
	case len(parts) == 2:
		return parts[0] + "/" + parts[1], true
	case len(parts) >= 4 && slices.Contains([]string{"tree", "blob", "resolve"}, parts[2]):
		ref := parts[0] + "/" + parts[1] + "@" + parts[3]
		if len(parts) == 5 {
			name, err := url.PathUnescape(parts[4])
			return ref + "/" + name, err == nil
		}
		return ref, true
	}
	return "", false
}

func (r Ref) datasetString() string {
	s := datasetScheme + r.Repo
	if r.Revision != DefaultRevision {
		revision := r.Revision
		if m := datasetParts.FindStringSubmatch(r.Repo + "@" + revision); m == nil || m[2] != revision || strings.Contains(revision, "%") {
			revision = url.PathEscape(revision)
		}
		s += "@" + revision
	}
	if r.Path != "" {
		s += "/" + r.Path
	}
	return s
}

// Dataset is a data set at one commit.
type Dataset struct {
	Ref    Ref
	Commit string
	Files  []File // in order of their paths; of Ref.Path, if that is not empty
	repo   repository
}

// File is a file of a repository.
type File struct {
	Path string // with slashes
	Size int64  // bytes
}

// Dataset asks the hub for a data set's newest version and its files. Offline, they are those that are cached. The errors
// are [*Error] and the context's.
func (c *Client) Dataset(ctx context.Context, ref Ref) (*Dataset, error) {
	d := &Dataset{Ref: ref, repo: c.repository(ref)}
	if c.Offline {
		if err := d.findCached(); err != nil {
			return nil, c.fail(ref, ref.at(c), ErrOffline)
		}
		return d, nil
	}
	info, err := d.repo.describe(ctx, ref.Revision)
	if err == nil {
		d.Commit = info.SHA
		err = d.list(ctx)
	}
	if err == nil {
		err = d.repo.writeRef(ref.Revision, d.Commit)
	}
	if err != nil {
		return nil, d.fail(ctx, "", err)
	}
	return d, nil
}

// fail describes what went wrong with a file, or with the list of them.
func (d *Dataset) fail(ctx context.Context, name string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if name != "" {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return d.repo.c.fail(d.Ref, d.repo.page(), err)
}

// list asks for the files, page by page (hf_api.py, list_repo_tree).
func (d *Dataset) list(ctx context.Context) error {
	parts := append([]string{"tree", d.Commit}, strings.FieldsFunc(d.Ref.Path, func(r rune) bool { return r == '/' })...)
	address := d.repo.api(parts...) + "?recursive=true"
	for address != "" {
		body, header, err := d.repo.c.getJSON(ctx, address)
		if errors.Is(err, ErrNotFound) && d.Ref.Path != "" && d.Files == nil { // not a folder: a file, or nothing
			return d.single(ctx)
		}
		if err != nil {
			return err
		}
		var entries []struct {
			Type string `json:"type"`
			Path string `json:"path"`
			Size int64  `json:"size"` // of a large file too, not that of its pointer
		}
		if err := json.Unmarshal(body, &entries); err != nil {
			return fmt.Errorf("%w: the list of files: %w", ErrCorrupt, err)
		}
		for _, e := range entries {
			if e.Type != "file" {
				continue
			}
			if err := checkPath(e.Path); err != nil {
				return fmt.Errorf("%w: a file is called %q, which is %w", ErrCorrupt, e.Path, err)
			}
			if len(d.Files) == maxFiles {
				return fmt.Errorf("%w: more than %d files", ErrCorrupt, maxFiles)
			}
			d.Files = append(d.Files, File{e.Path, e.Size})
		}
		if address, err = nextPage(address, header); err != nil {
			return err
		}
	}
	if len(d.Files) == 0 && d.Ref.Path != "" {
		return d.single(ctx)
	}
	d.sort()
	return nil
}

func (d *Dataset) sort() {
	slices.SortFunc(d.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
}

// single makes the file at Ref.Path the list.
func (d *Dataset) single(ctx context.Context) error {
	s, _, err := d.repo.ask(ctx, d.Commit, d.Ref.Path)
	if err != nil {
		return fmt.Errorf("%s: %w", d.Ref.Path, err)
	}
	d.Files = []File{{d.Ref.Path, s.size}}
	return nil
}

var nextLink = regexp.MustCompile(`<([^>]*)>\s*;\s*rel="next"`)

// nextPage returns where a list goes on by a header Link (RFC 8288), "" at its end. It must be on the same host: the
// question carries the token.
func nextPage(address string, header http.Header) (string, error) {
	m := nextLink.FindStringSubmatch(header.Get("Link"))
	if m == nil {
		return "", nil
	}
	base, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	next, err := base.Parse(m[1])
	if err != nil || next.Host != base.Host || next.Scheme != base.Scheme || next.String() == address {
		return "", fmt.Errorf("%w: a list that goes on at %.150q", ErrCorrupt, m[1])
	}
	return next.String(), nil
}

// findCached lists what is here of the revision.
func (d *Dataset) findCached() error {
	var err error
	if d.Commit, err = d.repo.cachedCommit(d.Ref.Revision); err != nil {
		return err
	}
	root := d.repo.snapshot(d.Commit)
	start := filepath.Join(root, filepath.FromSlash(d.Ref.Path))
	err = filepath.WalkDir(start, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		st, err := os.Stat(name) // behind its link
		if err != nil {
			return nil // a link that leads nowhere: not here
		}
		rel, err := filepath.Rel(root, name)
		if err == nil {
			d.Files = append(d.Files, File{filepath.ToSlash(rel), st.Size()})
		}
		return err
	})
	if err == nil && len(d.Files) == 0 {
		err = fs.ErrNotExist
	}
	d.sort()
	return err
}

// Get returns where a file of the data set lies: in the cache, into which it is downloaded if it is not there.
func (d *Dataset) Get(ctx context.Context, name string) (string, error) {
	if err := d.has(name); err != nil {
		return "", err
	}
	if d.repo.c.Offline {
		return filepath.Join(d.repo.snapshot(d.Commit), filepath.FromSlash(name)), nil
	}
	at, err := d.repo.pull(ctx, d.Commit, name)
	if err != nil {
		return "", d.fail(ctx, name, err)
	}
	return at, nil
}

func (d *Dataset) has(name string) error {
	if _, ok := slices.BinarySearchFunc(d.Files, name, func(f File, name string) int { return strings.Compare(f.Path, name) }); ok {
		return nil
	}
	return fmt.Errorf("%v has no file %s: %w", d.Ref, path.Clean(name), ErrNotFound)
}
