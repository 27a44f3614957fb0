package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// repository is one on a hub, under the addresses and in the folder of the cache that its kind has.
type repository struct {
	c    *Client
	kind string // "models" or "datasets", as the hub's API spells them
	id   string // "google/bit-50"
}

const (
	kindModels   = "models"
	kindDatasets = "datasets"
)

func (c *Client) repository(ref Ref) repository {
	if ref.Dataset {
		return repository{c, kindDatasets, ref.Repo}
	}
	return repository{c, kindModels, ref.Repo}
}

// folderName is that of the repository in the cache (huggingface_hub file_download.py, repo_folder_name).
func (r repository) folderName() string { return r.kind + "--" + strings.ReplaceAll(r.id, "/", "--") }

// folder is where the repository is cached.
func (r repository) folder() string { return filepath.Join(r.c.Cache, r.folderName()) }

// page is the address that a browser shows. That of a model has no kind in it.
func (r repository) page() string {
	if r.kind == kindModels {
		return r.c.Endpoint + "/" + r.id
	}
	return r.c.Endpoint + "/" + r.kind + "/" + r.id
}

// api is the address of one of the hub's questions about the repository, of the given unescaped parts.
func (r repository) api(parts ...string) string {
	address := r.c.Endpoint + "/api/" + r.kind + "/" + r.id
	for _, p := range parts {
		address += "/" + url.PathEscape(p)
	}
	return address
}

// file is the address of a file of a commit.
func (r repository) file(commit, name string) string {
	return r.page() + "/resolve/" + commit + "/" + (&url.URL{Path: name}).EscapedPath()
}

// description is what the hub says of a revision.
type description struct {
	SHA   string // the commit
	files map[string]bool
}

// describe asks what a revision is.
func (r repository) describe(ctx context.Context, revision string) (description, error) {
	address := r.api("revision", revision)
	body, _, err := r.c.getJSON(ctx, address)
	if err != nil {
		return description{}, err
	}
	var info struct {
		SHA      string `json:"sha"`
		Siblings []struct {
			Name string `json:"rfilename"`
		} `json:"siblings"`
	}
	if err := json.Unmarshal(body, &info); err != nil {
		return description{}, fmt.Errorf("%w: %s is no description of a repository: %w", ErrCorrupt, address, err)
	}
	if !commitHash.MatchString(info.SHA) {
		return description{}, fmt.Errorf("%w: the repository's commit is %.50q", ErrCorrupt, info.SHA)
	}
	d := description{SHA: info.SHA, files: map[string]bool{}}
	for _, s := range info.Siblings {
		d.files[s.Name] = true
	}
	return d, nil
}

// cachedCommit returns the commit that a revision was when it was last asked for.
func (r repository) cachedCommit(revision string) (string, error) {
	if commitHash.MatchString(revision) {
		return revision, nil
	}
	text, err := os.ReadFile(filepath.Join(r.folder(), "refs", filepath.FromSlash(revision)))
	if err != nil {
		return "", fmt.Errorf("revision %s of %s is not cached: %w", revision, r.id, fs.ErrNotExist)
	}
	if commit := string(text); commitHash.MatchString(commit) {
		return commit, nil
	}
	return "", fmt.Errorf("%s: revision %s is %.50q, want a commit: %w", r.folder(), revision, text, fs.ErrNotExist)
}

// snapshot is the folder of a commit's files.
func (r repository) snapshot(commit string) string {
	return filepath.Join(r.folder(), "snapshots", commit)
}

// writeRef notes the commit of a branch or tag, as huggingface_hub's _cache_commit_hash_for_specific_revision does.
func (r repository) writeRef(revision, commit string) error {
	if revision == commit {
		return nil
	}
	path := filepath.Join(r.folder(), "refs", filepath.FromSlash(revision))
	if old, err := os.ReadFile(path); err == nil && string(old) == commit {
		return nil
	}
	return writeFile(path, commit)
}

// pull brings one file of a commit into the cache and returns its path in the snapshot.
func (r repository) pull(ctx context.Context, commit, name string) (string, error) {
	pointer := filepath.Join(r.snapshot(commit), filepath.FromSlash(name))
	if exists(pointer) {
		return pointer, nil
	}
	s, etag, err := r.ask(ctx, commit, name)
	if err != nil {
		return "", err
	}
	blob := filepath.Join(r.folder(), "blobs", etag)
	for _, dir := range []string{filepath.Dir(blob), filepath.Dir(pointer)} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return "", err
		}
	}
	r.c.tagCache()
	release, err := lock(ctx, filepath.Join(r.c.Cache, ".locks", r.folderName(), etag+".lock"))
	if err != nil {
		return "", err
	}
	defer release()
	if exists(pointer) {
		return pointer, nil
	}
	fresh := !exists(blob)
	if fresh {
		partial := blob + ".incomplete"
		if err := r.c.fetch(ctx, s, partial); err != nil {
			return "", err
		}
		if err := os.Rename(partial, blob); err != nil {
			return "", err
		}
	}
	return pointer, r.c.point(blob, pointer, fresh)
}

// ask asks for the properties of a file of a commit. The answer that counts is the hub's, not that of the host of large
// files to which it redirects.
func (r repository) ask(ctx context.Context, commit, name string) (s source, etag string, err error) {
	address := r.file(commit, name)
	header, size, err := r.c.head(ctx, address, false)
	if err != nil {
		return source{}, "", err
	}
	if s, etag, err = describe(header, size); err != nil {
		return source{}, "", err
	}
	if got := header.Get(headerCommit); got != commit {
		return source{}, "", fmt.Errorf("%w: the file is of commit %.50q, want %s", ErrCorrupt, got, commit)
	}
	s.name, s.url = name, address
	return s, etag, nil
}
