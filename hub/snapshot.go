package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/bigtransfer/bit/internal/atomicfile"
)

// Files of a repository that a model is read from.
const (
	configFile       = "config.json"
	preprocessorFile = "preprocessor_config.json"
	tensorsFile      = "model.safetensors"
	torchFile        = "pytorch_model.bin"
	indexSuffix      = ".index.json" // of a file that lists the shards
)

// tensorsNames are the files that hold the tensors, or list those that do, in the order of preference of transformers
// (modeling_utils.py, from_pretrained).
var tensorsNames = []string{tensorsFile, tensorsFile + indexSuffix, torchFile, torchFile + indexSuffix}

// Headers of the hub's answers (huggingface_hub constants.py).
const (
	headerCommit     = "X-Repo-Commit"
	headerLinkedETag = "X-Linked-Etag"
	headerLinkedSize = "X-Linked-Size"
)

var (
	commitHash = regexp.MustCompile(`^[0-9a-f]{40}$`)
	blobName   = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._-]{0,127}$`)
)

// repoFolder is the folder of a repository in the cache (huggingface_hub file_download.py, repo_folder_name).
func (c *Client) repoFolder(repo string) string {
	return filepath.Join(c.Cache, repoFolderName(repo))
}

func repoFolderName(repo string) string { return "models--" + strings.ReplaceAll(repo, "/", "--") }

// cachedSnapshot returns the folder of a complete snapshot.
func (c *Client) cachedSnapshot(ref Ref) (string, error) {
	folder := c.repoFolder(ref.Repo)
	commit := ref.Revision
	if !commitHash.MatchString(commit) {
		text, err := os.ReadFile(filepath.Join(folder, "refs", filepath.FromSlash(ref.Revision)))
		if err != nil {
			return "", fmt.Errorf("%v is not cached: %w", ref, fs.ErrNotExist)
		}
		if commit = string(text); !commitHash.MatchString(commit) {
			return "", fmt.Errorf("%s: revision %s is %.50q, want a commit: %w", folder, ref.Revision, commit, fs.ErrNotExist)
		}
	}
	snapshot := filepath.Join(folder, "snapshots", commit)
	at := func(name string) string { return filepath.Join(snapshot, filepath.FromSlash(name)) }
	_, err := wanted(func(name string) bool { return exists(at(name)) }, func(name string) ([]byte, error) { return os.ReadFile(at(name)) })
	if err != nil {
		return "", fmt.Errorf("%s: %v: %w", snapshot, err, fs.ErrNotExist)
	}
	return snapshot, nil
}

// wanted lists the files that a model is read from, config.json first. have says which the repository has; read reads
// a list of shards.
func wanted(have func(name string) bool, read func(name string) ([]byte, error)) ([]string, error) {
	if !have(configFile) {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, configFile)
	}
	files := []string{configFile}
	if have(preprocessorFile) {
		files = append(files, preprocessorFile)
	}
	i := slices.IndexFunc(tensorsNames, have)
	if i < 0 {
		return nil, fmt.Errorf("%w: none of %s", ErrNotFound, strings.Join(tensorsNames, ", "))
	}
	tensors := tensorsNames[i]
	files = append(files, tensors)
	if !strings.HasSuffix(tensors, indexSuffix) {
		return files, nil
	}
	text, err := read(tensors)
	if err != nil {
		return nil, err
	}
	list, err := shards(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", tensors, err)
	}
	for _, shard := range list {
		if !have(shard) {
			return nil, fmt.Errorf("%w: %s, which %s names", ErrNotFound, shard, tensors)
		}
	}
	return append(files, list...), nil
}

// shards returns the files that an index names, in order.
func shards(index []byte) ([]string, error) {
	var list struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(index, &list); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	var files []string
	for _, file := range list.WeightMap {
		if err := checkPath(file); err != nil {
			return nil, fmt.Errorf("%w: it names the file %q, which is %w", ErrCorrupt, file, err)
		}
		files = append(files, file)
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

// pullSnapshot downloads what is missing of a repository's revision.
func (c *Client) pullSnapshot(ctx context.Context, ref Ref) (string, error) {
	api := c.Endpoint + "/api/models/" + ref.Repo + "/revision/" + url.PathEscape(ref.Revision)
	fail := func(err error) (string, error) {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", c.fail(ref, c.Endpoint+"/"+ref.Repo, err)
	}
	body, err := c.getJSON(ctx, api)
	if err != nil {
		return fail(err)
	}
	var info struct {
		SHA      string `json:"sha"`
		Siblings []struct {
			Name string `json:"rfilename"`
		} `json:"siblings"`
	}
	if err := json.Unmarshal(body, &info); err != nil {
		return fail(fmt.Errorf("%w: %s is no description of a repository: %w", ErrCorrupt, api, err))
	}
	if !commitHash.MatchString(info.SHA) {
		return fail(fmt.Errorf("%w: the repository's commit is %.50q", ErrCorrupt, info.SHA))
	}
	has := map[string]bool{}
	for _, s := range info.Siblings {
		has[s.Name] = true
	}
	files, err := wanted(func(name string) bool { return has[name] }, func(name string) ([]byte, error) {
		path, err := c.pullBlob(ctx, ref.Repo, info.SHA, name)
		if err != nil {
			return nil, err
		}
		return os.ReadFile(path)
	})
	if err != nil {
		return fail(err)
	}
	for _, name := range files {
		if _, err := c.pullBlob(ctx, ref.Repo, info.SHA, name); err != nil {
			return fail(fmt.Errorf("%s: %w", name, err))
		}
	}
	// Last, so that the revision never means a snapshot that is not complete.
	folder := c.repoFolder(ref.Repo)
	if err := writeRef(folder, ref.Revision, info.SHA); err != nil {
		return fail(err)
	}
	return filepath.Join(folder, "snapshots", info.SHA), nil
}

// writeRef notes the commit of a branch or tag, as huggingface_hub's _cache_commit_hash_for_specific_revision does.
func writeRef(folder, revision, commit string) error {
	if revision == commit {
		return nil
	}
	path := filepath.Join(folder, "refs", filepath.FromSlash(revision))
	if old, err := os.ReadFile(path); err == nil && string(old) == commit {
		return nil
	}
	return writeFile(path, commit)
}

// writeFile replaces a small file at once.
func writeFile(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	partial := fmt.Sprintf("%s.%d.tmp", path, os.Getpid())
	if err := os.WriteFile(partial, []byte(text), 0o666); err != nil {
		return err
	}
	return os.Rename(partial, path)
}

// pullBlob brings one file of a commit into the cache and returns its path in the snapshot.
func (c *Client) pullBlob(ctx context.Context, repo, commit, name string) (string, error) {
	folder := c.repoFolder(repo)
	pointer := filepath.Join(folder, "snapshots", commit, filepath.FromSlash(name))
	if exists(pointer) {
		return pointer, nil
	}
	address := c.Endpoint + "/" + repo + "/resolve/" + commit + "/" + (&url.URL{Path: name}).EscapedPath()
	// The answer that counts is the hub's, not that of the host of large files to which it redirects.
	header, size, err := c.head(ctx, address, false)
	if err != nil {
		return "", err
	}
	b, etag, err := describe(header, size)
	if err != nil {
		return "", err
	}
	if got := header.Get(headerCommit); got != commit {
		return "", fmt.Errorf("%w: the file is of commit %.50q, want %s", ErrCorrupt, got, commit)
	}
	b.name, b.url = name, address
	blob := filepath.Join(folder, "blobs", etag)
	for _, dir := range []string{filepath.Dir(blob), filepath.Dir(pointer)} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return "", err
		}
	}
	c.tagCache()
	release, err := lock(ctx, filepath.Join(c.Cache, ".locks", repoFolderName(repo), etag+".lock"))
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
		if err := c.fetch(ctx, b, partial); err != nil {
			return "", err
		}
		if err := os.Rename(partial, blob); err != nil {
			return "", err
		}
	}
	return pointer, c.point(blob, pointer, fresh)
}

// describe reads what the hub says of a file: its tag, which names the blob, its size, and the checksum that the tag is,
// SHA-256 of large files and git's SHA-1 of others.
func describe(h http.Header, length int64) (source, string, error) {
	etag := h.Get(headerLinkedETag)
	if etag == "" {
		etag = h.Get("ETag")
	}
	etag = strings.Trim(strings.TrimLeft(etag, "W/"), `"`) // as _normalize_etag does
	if !blobName.MatchString(etag) {
		return source{}, "", fmt.Errorf("%w: the file's tag is %.150q", ErrCorrupt, etag)
	}
	s := source{size: length}
	if v := h.Get(headerLinkedSize); v != "" {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < 0 {
			return source{}, "", fmt.Errorf("%w: the file's size is %.50q", ErrCorrupt, v)
		}
		s.size = n
	} else if h.Get("Location") != "" {
		s.size = -1 // the length is that of the redirect
	}
	if s.size < 0 {
		return source{}, "", fmt.Errorf("%w: the hub does not say how large the file is", ErrCorrupt)
	}
	if want, err := hex.DecodeString(etag); err == nil {
		switch len(want) {
		case sha256.Size:
			s.sums = []sum{{name: "SHA-256", new: sha256.New, want: want}}
		case sha1.Size:
			s.sums = []sum{{name: "git SHA-1", new: sha1.New, want: want, prefix: fmt.Sprintf("blob %d\x00", s.size)}}
		}
	}
	return s, etag, nil
}

// point makes a snapshot's file lead to its blob by a relative link. Where there are no links, which is Windows without
// developer mode, a new blob is moved there and an old one, that another snapshot may have, copied
// (huggingface_hub file_download.py, _create_symlink).
func (c *Client) point(blob, pointer string, fresh bool) error {
	to, err := filepath.Rel(filepath.Dir(pointer), blob)
	if err != nil {
		return err
	}
	os.Remove(pointer) // a link that leads nowhere
	if err := c.link(to, pointer); err == nil {
		return nil
	}
	if fresh {
		return os.Rename(blob, pointer)
	}
	return copyFile(blob, pointer)
}

// copyFile copies a file, which appears complete or not at all.
func copyFile(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	return atomicfile.Replace(to, func(w io.Writer) error {
		_, err := io.Copy(w, src)
		return err
	})
}

// cacheTag is what huggingface_hub writes to CACHEDIR.TAG (_local_folder.py), by which backup programs know a cache.
const cacheTag = "Signature: 8a477f597d28d172789f06886806bc55\n" +
	"# This file is a cache directory tag created by huggingface_hub.\n" +
	"# For information about cache directory tags, see:\n" +
	"#\thttps://bford.info/cachedir/\n"

// tagCache marks the cache. That it cannot is no reason not to use it.
func (c *Client) tagCache() {
	if path := filepath.Join(c.Cache, "CACHEDIR.TAG"); !exists(path) {
		writeFile(path, cacheTag)
	}
}
