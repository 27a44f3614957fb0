package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// localFile is a file to push, and what the hub says of it.
type localFile struct {
	path    string // in the repository
	at      string // on this machine
	size    int64
	known   bool   // the hub has answered what follows
	large   bool   // it goes to the host of large files
	ignored bool   // by the repository's .gitignore
	remote  string // what the repository has under its path: as oid, or empty
	oid     string // SHA-256 of a large file, git's SHA-1 of another
	hashed  bool   // whether oid is for large
}

// localFiles lists a folder's files, or a single one, behind links. Hidden files and folders are left out, and those to leave,
// which are named by their slash-separated paths in the folder.
func localFiles(path string, leave []string) ([]*localFile, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.IsDir() {
		if !st.Mode().IsRegular() {
			return nil, errors.New("neither a file nor a folder")
		}
		name := filepath.Base(path)
		return []*localFile{{path: name, at: path, size: st.Size()}}, checkPath(name)
	}
	var files []*localFile
	err = filepath.WalkDir(path, func(at string, d fs.DirEntry, err error) error {
		if err != nil || at == path {
			return err
		}
		rel, err := filepath.Rel(path, at)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		if strings.HasPrefix(d.Name(), ".") || slices.Contains(leave, name) {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			return nil
		}
		st, err := os.Stat(at)
		if err != nil {
			return err
		}
		if !st.Mode().IsRegular() {
			return fmt.Errorf("%s is not a file", at)
		}
		if err := checkPath(name); err != nil {
			return fmt.Errorf("%s: a name that other systems cannot have: %w", at, err)
		}
		files = append(files, &localFile{path: name, at: at, size: st.Size()})
		return nil
	})
	if err == nil && len(files) == 0 {
		err = errors.New("the folder has no files")
	}
	return files, err
}

// sample returns the beginning of the file.
func (f *localFile) sample() ([]byte, error) {
	file, err := os.Open(f.at)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	sample := make([]byte, min(sampleSize, f.size))
	if _, err := io.ReadFull(file, sample); err != nil {
		return nil, fmt.Errorf("%s: %w", f.at, err)
	}
	return sample, nil
}

// hash computes oid, once.
func (f *localFile) hash(ctx context.Context) error {
	if f.hashed && len(f.oid) == 2*f.hasher().Size() {
		return nil
	}
	file, err := os.Open(f.at)
	if err != nil {
		return err
	}
	defer file.Close()
	h := f.hasher()
	if !f.large {
		fmt.Fprintf(h, "blob %d\x00", f.size)
	}
	n, err := io.Copy(h, &cancellable{ctx, file})
	if err != nil {
		return err
	}
	if n != f.size {
		return fmt.Errorf("%s: it has %d bytes, and had %d a moment ago", f.at, n, f.size)
	}
	f.oid, f.hashed = hex.EncodeToString(h.Sum(nil)), true
	return nil
}

func (f *localFile) hasher() hash.Hash {
	if f.large {
		return sha256.New()
	}
	return sha1.New()
}

// cancellable is a reader that ends with its context.
type cancellable struct {
	ctx context.Context
	io.Reader
}

func (c *cancellable) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.Reader.Read(p)
}
