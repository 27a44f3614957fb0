// Package featurecache keeps feature vectors of pictures on disk, for any number of processes at once.
//
// A cache is a folder with a folder for each key of a model. In it are packs, files that are written once and appear
// whole: the vectors that one run computed. So there is nothing to lock. Reading takes what it finds; a pack that
// vanishes meanwhile or is damaged is as good as none. When the packs of a model become many, small ones are joined;
// when the cache becomes too large, the packs that were not used for the longest time go.
package featurecache

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Key is a digest of what a vector was computed from.
type Key [16]byte

// DefaultLimit is the size of a cache in bytes: 500,000 vectors of 1,024 features.
const DefaultLimit = 2 << 30

// maxPacks is how many packs a model has before small ones are joined.
const maxPacks = 32

// Cache is the vectors of one model. It may be used by any number of goroutines and processes.
type Cache struct {
	root  string // of the vectors of all models
	dir   string
	width int
	limit int64
}

// Dir returns the folder of the cache: $BIT_CACHE, or bit/features in the user's folder for caches.
func Dir() (string, error) {
	if dir := os.Getenv("BIT_CACHE"); dir != "" {
		return dir, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder for the cache of features, set BIT_CACHE: %w", err)
	}
	return filepath.Join(dir, "bit", "features"), nil
}

// Open returns the cache in the folder root of a model's vectors, of the given width. The model's key is part of a path.
// limit is the size in bytes of the vectors of all models, 0 for DefaultLimit.
func Open(root, model string, width int, limit int64) *Cache {
	if limit <= 0 {
		limit = DefaultLimit
	}
	return &Cache{root: root, dir: filepath.Join(root, model), width: width, limit: limit}
}

const packSuffix = ".features"

// packs returns the names of the packs. A folder that does not exist has none.
func (c *Cache) packs() ([]string, error) {
	entries, err := os.ReadDir(c.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), packSuffix) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// Get copies the vectors that it has to dst [N, width] and reports which. What cannot be read is not there.
func (c *Cache) Get(keys []Key, dst []float32) (found []bool) {
	found = make([]bool, len(keys))
	wanted := make(map[Key][]int, len(keys))
	for i, key := range keys {
		wanted[key] = append(wanted[key], i)
	}
	names, _ := c.packs()
	for _, name := range names {
		if len(wanted) == 0 {
			break
		}
		path := filepath.Join(c.dir, name)
		used, err := c.read(path, wanted, dst, found)
		if errors.Is(err, errDamaged) {
			os.Remove(path)
		}
		if used {
			now := time.Now()
			os.Chtimes(path, now, now) // for the next eviction
		}
	}
	return found
}

// read takes the wanted vectors of a pack, which are then wanted no more.
func (c *Cache) read(path string, wanted map[Key][]int, dst []float32, found []bool) (used bool, err error) {
	p, err := openPack(path, c.width)
	if err != nil {
		return false, err
	}
	defer p.Close()
	vector := make([]float32, c.width)
	for row, key := range p.keys {
		at := wanted[key]
		if at == nil {
			continue
		}
		if err := p.vector(row, vector); err != nil {
			return used, err
		}
		for _, i := range at {
			copy(dst[i*c.width:], vector)
			found[i] = true
		}
		delete(wanted, key)
		used = true
	}
	return used, nil
}

// Put keeps vectors [N, width]. They are in the file system when it returns.
func (c *Cache) Put(keys []Key, vectors []float32) error {
	if len(keys) == 0 || packSize(len(keys), c.width) > c.limit {
		return nil
	}
	if err := os.MkdirAll(c.dir, 0o777); err != nil {
		return err
	}
	if err := writePack(c.newPath(), keys, vectors, c.width); err != nil {
		return err
	}
	if err := c.join(); err != nil {
		return err
	}
	return c.evict()
}

func (c *Cache) newPath() string {
	var name [8]byte
	rand.Read(name[:]) // never fails
	return filepath.Join(c.dir, hex.EncodeToString(name[:])+packSuffix)
}

// join makes one pack of the smaller half when there are too many. Another process may do the same at the same time; then
// some vectors are there twice.
func (c *Cache) join() error {
	names, err := c.packs()
	if err != nil || len(names) <= maxPacks {
		return err
	}
	type sized struct {
		path string
		size int64
	}
	var all []sized
	for _, name := range names {
		path := filepath.Join(c.dir, name)
		if info, err := os.Stat(path); err == nil {
			all = append(all, sized{path, info.Size()})
		}
	}
	slices.SortFunc(all, func(a, b sized) int { return cmp.Compare(a.size, b.size) })
	all = all[:len(all)/2]
	var keys []Key
	var vectors []float32
	seen := map[Key]bool{}
	for _, f := range all {
		p, err := openPack(f.path, c.width)
		if err != nil {
			continue // vanished, or damaged and of no use
		}
		for row, key := range p.keys {
			at := len(vectors)
			vectors = slices.Grow(vectors, c.width)[:at+c.width]
			if seen[key] || p.vector(row, vectors[at:]) != nil {
				vectors = vectors[:at]
				continue
			}
			seen[key] = true
			keys = append(keys, key)
		}
		p.Close()
	}
	if err := writePack(c.newPath(), keys, vectors, c.width); err != nil {
		return err
	}
	for _, f := range all {
		os.Remove(f.path)
	}
	return nil
}

// evict removes packs of any model, the longest unused first, until the limit is kept, and what a killed process left.
func (c *Cache) evict() error {
	type file struct {
		path string
		size int64
		used time.Time
	}
	var files []file
	total := int64(0)
	err := filepath.WalkDir(c.root, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && e.IsDir() {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := e.Info()
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case strings.HasSuffix(path, packSuffix+".tmp") && time.Since(info.ModTime()) > 24*time.Hour:
			os.Remove(path)
		case strings.HasSuffix(path, packSuffix):
			files = append(files, file{path, info.Size(), info.ModTime()})
			total += info.Size()
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(files, func(a, b file) int { return a.used.Compare(b.used) })
	for _, f := range files {
		if total <= c.limit {
			break
		}
		if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		total -= f.size
		os.Remove(filepath.Dir(f.path)) // if it is empty now
	}
	return nil
}
