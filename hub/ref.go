package hub

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strings"
)

// Ref names something published: a model, which is a repository of a hub or a file, or a data set of a hub.
type Ref struct {
	Repo     string // "google/bit-50"; empty for a file
	Revision string // branch, tag, "refs/pr/1" or commit of a repository

	Dataset bool   // the repository is a data set
	Path    string // a file or folder of a data set; empty for all of it

	Entry *Entry // a file of Google's bucket
	URL   string // any other file
}

// ErrNoRef means that a text does not look like the name of a published model; it may be a path.
var ErrNoRef = errors.New("not the name of a published model")

// DefaultRevision is the branch that a repository's name alone means.
const DefaultRevision = "main"

// ParseRef reads a reference: a name of [Catalog], "org/name" or "org/name@revision" of a hub, or an https URL. A URL of
// a repository's page on c's hub is that repository. The error is an [ErrNoRef], or says what is wrong with such a name.
func (c *Client) ParseRef(s string) (Ref, error) {
	bad := func(format string, args ...any) (Ref, error) {
		return Ref{}, fmt.Errorf("%q: %w", s, fmt.Errorf(format, args...))
	}
	if strings.HasPrefix(s, datasetScheme) {
		return bad("a data set, want a model")
	}
	if strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://") {
		if page, ok := c.repoPage(s); ok {
			return c.ParseRef(page)
		}
		if err := checkURL(s); err != nil {
			return bad("%w", err)
		}
		return Ref{URL: s}, nil
	}
	if e := Lookup(s); e != nil && e.Repo == "" {
		return Ref{Entry: e}, nil
	}
	if released.MatchString(s) {
		return bad("big_transfer released no such file; bit models lists those that it did")
	}
	repo, revision, found := strings.Cut(strings.TrimPrefix(s, "hf://"), "@")
	if !found {
		revision = DefaultRevision
	}
	if err := checkRepo(repo); err != nil {
		return bad("%w: %w", ErrNoRef, err)
	}
	if err := checkPath(revision); err != nil {
		return bad("revision %q is %w", revision, err)
	}
	return Ref{Repo: repo, Revision: revision}, nil
}

// released matches what looks like the name of an official file.
var released = regexp.MustCompile(`^(BiT-[SML]-)?R\d+x\d+(_\w+|-[\w-]+)?$`)

// String returns the reference as it is typed.
func (r Ref) String() string {
	switch {
	case r.Dataset:
		return r.datasetString()
	case r.Repo != "" && r.Revision != DefaultRevision:
		return r.Repo + "@" + r.Revision
	case r.Repo != "":
		return r.Repo
	case r.Entry != nil:
		return r.Entry.Name
	default:
		return r.URL
	}
}

// urls returns where a file may be, in the order to try.
func (r Ref) urls(c *Client) []string {
	if r.Entry == nil {
		return []string{r.URL}
	}
	urls := []string{c.Bucket + "/" + r.Entry.Path}
	if base := path.Base(r.Entry.Path); strings.HasPrefix(r.Entry.Path, "vtab/") {
		urls = append(urls, c.Bucket+"/"+base) // where big_vision looks
	}
	return urls
}

// at returns the first place to look at.
func (r Ref) at(c *Client) string {
	if r.Repo != "" {
		return c.repository(r).page()
	}
	return r.urls(c)[0]
}

// repoPage turns the URL of a repository's page on the hub, as a browser shows it, into a reference.
func (c *Client) repoPage(s string) (string, bool) {
	rest, ok := strings.CutPrefix(s, c.Endpoint+"/")
	if !ok {
		return "", false
	}
	parts := strings.SplitN(strings.TrimRight(rest, "/"), "/", 4)
	switch {
	case len(parts) == 2:
		return parts[0] + "/" + parts[1], true
	case len(parts) == 4 && parts[2] == "tree":
		revision, err := url.PathUnescape(parts[3])
		return parts[0] + "/" + parts[1] + "@" + revision, err == nil
	}
	return "", false
}

// checkURL accepts https, and http where nobody is between: on this machine.
func checkURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return errors.New("the URL cannot be read")
	case u.User != nil:
		return errors.New("the URL holds a name or password")
	case u.Scheme != "https" && !isLoopback(u.Hostname()):
		return errors.New("the URL is not https")
	case u.Host == "":
		return errors.New("the URL has no host")
	}
	return checkPath(strings.TrimPrefix(u.Path, "/"))
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback() || host == "localhost"
}

var repoPart = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?$`)

// checkRepo holds a repository's name to the hub's rules (huggingface_hub utils/_validators.py, validate_repo_id). The
// owner is wanted too: a bare word is more likely a path that does not exist.
func checkRepo(repo string) error {
	owner, name, ok := strings.Cut(repo, "/")
	if !ok || len(repo) > 96 || !repoPart.MatchString(owner) || !repoPart.MatchString(name) ||
		strings.Contains(repo, "--") || strings.Contains(repo, "..") || strings.HasSuffix(repo, ".git") {
		return errors.New("want owner/name, of letters, digits, '-', '_' and '.'")
	}
	return nil
}

// checkPath refuses a path with slashes that could lead out of the folder it is joined to, on any system.
func checkPath(p string) error {
	if len(p) > 512 {
		return errors.New("longer than 512 bytes")
	}
	for part := range strings.SplitSeq(p, "/") {
		// Windows drops dots and spaces at the end; "." and ".." end in one too.
		if part == "" || strings.ContainsAny(part, "\\:\x00") || strings.TrimRight(part, ". ") != part {
			return errors.New("not a plain relative path")
		}
	}
	return nil
}
