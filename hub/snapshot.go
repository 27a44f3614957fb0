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

// cachedSnapshot returns the folder of a complete snapshot of a model.
func (c *Client) cachedSnapshot(ref Ref) (string, error) {
	r := c.repository(ref)
	commit, err := r.cachedCommit(ref.Revision)
	if err != nil {
		return "", err
	}
	snapshot := r.snapshot(commit)
	at := func(name string) string { return filepath.Join(snapshot, filepath.FromSlash(name)) }
	_, err = wanted(func(name string) bool { return exists(at(name)) }, func(name string) ([]byte, error) { return os.ReadFile(at(name)) })
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

// pullSnapshot downloads what is missing of a model's revision.
func (c *Client) pullSnapshot(ctx context.Context, ref Ref) (string, error) {
	r := c.repository(ref)
	fail := func(err error) (string, error) {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", c.fail(ref, r.page(), err)
	}
	info, err := r.describe(ctx, ref.Revision)
	if err != nil {
		return fail(err)
	}
	files, err := wanted(func(name string) bool { return info.files[name] }, func(name string) ([]byte, error) {
		path, err := r.pull(ctx, info.SHA, name)
		if err != nil {
			return nil, err
		}
		return os.ReadFile(path)
	})
	if err != nil {
		return fail(err)
	}
	for _, name := range files {
		if _, err := r.pull(ctx, info.SHA, name); err != nil {
			return fail(fmt.Errorf("%s: %w", name, err))
		}
	}
	// Last, so that the revision never means a snapshot that is not complete.
	if err := r.writeRef(ref.Revision, info.SHA); err != nil {
		return fail(err)
	}
	return r.snapshot(info.SHA), nil
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
