package featurecache

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

const width = 3

func key(i int) (k Key) {
	binary.BigEndian.PutUint64(k[:], uint64(i))
	return k
}

// vectors are those of the keys from to to-1: vector i is i, i+0.25, i+0.5.
func vectors(from, to int) (keys []Key, values []float32) {
	for i := from; i < to; i++ {
		keys = append(keys, key(i))
		values = append(values, float32(i), float32(i)+0.25, float32(i)+0.5)
	}
	return keys, values
}

// has fails unless c has the vectors from to to-1 and no others below limit.
func has(t *testing.T, c *Cache, limit int, want func(i int) bool) {
	t.Helper()
	keys, values := vectors(0, limit)
	got := make([]float32, len(values))
	for i, found := range c.Get(keys, got) {
		if found != want(i) {
			t.Errorf("vector %d is there: %v, want %v", i, found, want(i))
		}
		for j := range width {
			if at := i*width + j; found && got[at] != values[at] || !found && got[at] != 0 {
				t.Errorf("vector %d is %v", i, got[i*width:][:width])
				break
			}
		}
	}
}

func put(t *testing.T, c *Cache, from, to int) {
	t.Helper()
	keys, values := vectors(from, to)
	if err := c.Put(keys, values); err != nil {
		t.Fatal(err)
	}
}

func packFiles(t *testing.T, c *Cache) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(c.dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestCache(t *testing.T) {
	root := t.TempDir()
	c := Open(filepath.Join(root, "deep", "cache"), "model", width, 0)
	has(t, c, 3, func(int) bool { return false })
	put(t, c, 2, 5)
	put(t, c, 7, 8)
	put(t, c, 0, 0)
	has(t, c, 10, func(i int) bool { return i >= 2 && i < 5 || i == 7 })
	has(t, Open(c.root, "other", width, 0), 10, func(int) bool { return false })
	// The same key twice in a question.
	got := make([]float32, 2*width)
	if found := c.Get([]Key{key(7), key(7)}, got); !found[0] || !found[1] || got[0] != 7 || got[width] != 7 {
		t.Errorf("found %v, %v", found, got)
	}
}

// Any changed bit of a pack loses at most what it holds, and is never seen in a vector.
func TestDamage(t *testing.T) {
	c := Open(t.TempDir(), "model", width, 0)
	put(t, c, 0, 4)
	path := packFiles(t, c)[0]
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write := func(content []byte) {
		if err := os.WriteFile(path, content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	keys, values := vectors(0, 4)
	for at := range good {
		bad := bytes.Clone(good)
		bad[at] ^= 1 << (at % 8)
		for _, content := range [][]byte{bad, good[:at], append(bad, 0)} {
			write(content)
			got := make([]float32, len(values))
			for i, found := range c.Get(keys, got) {
				for j := range width {
					if found && got[i*width+j] != values[i*width+j] {
						t.Fatalf("byte %d: vector %d is %v", at, i, got[i*width:][:width])
					}
				}
			}
			if _, err := os.Stat(path); err == nil {
				t.Fatalf("byte %d: the damaged pack stays", at)
			}
		}
	}
	write(good)
	has(t, c, 4, func(int) bool { return true })
}

// Many small packs become few, and nothing is lost.
func TestJoin(t *testing.T) {
	c := Open(t.TempDir(), "model", width, 0)
	const n = 200
	for i := range n {
		put(t, c, i, i+1)
	}
	if names := packFiles(t, c); len(names) > maxPacks {
		t.Errorf("%d packs, want at most %d", len(names), maxPacks)
	}
	has(t, c, n, func(int) bool { return true })
}

// The packs that were not used for the longest time go first, of any model.
func TestEviction(t *testing.T) {
	root := t.TempDir()
	size := packSize(4, width)
	a, b := Open(root, "a", width, 3*size), Open(root, "b", width, 3*size)
	age := func(c *Cache, hours int) {
		then := time.Now().Add(-time.Duration(hours) * time.Hour)
		for _, path := range packFiles(t, c) {
			if err := os.Chtimes(path, then, then); err != nil {
				t.Fatal(err)
			}
		}
	}
	put(t, a, 0, 4)
	age(a, 3)
	put(t, b, 0, 4)
	age(b, 2)
	put(t, b, 4, 8)
	has(t, a, 4, func(int) bool { return true }) // which is a use of it
	left := filepath.Join(a.dir, "0123"+packSuffix+".tmp")
	if err := os.WriteFile(left, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	then := time.Now().Add(-48 * time.Hour)
	if err := os.Chtimes(left, then, then); err != nil {
		t.Fatal(err)
	}
	put(t, b, 8, 12) // the fourth
	has(t, a, 4, func(int) bool { return true })
	has(t, b, 12, func(i int) bool { return i >= 4 })
	if _, err := os.Stat(left); err == nil {
		t.Error("what a killed process left stays")
	}
	put(t, a, 0, 100) // more than the cache may hold
	has(t, a, 100, func(i int) bool { return i < 4 })
}

// Processes do not wait for one another: every writer's vectors are found.
func TestManyAtOnce(t *testing.T) {
	root := t.TempDir()
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			c := Open(root, "model", width, 0) // as another process has it
			for i := range 20 {
				put(t, c, 20*w+i, 20*w+i+1)
				c.Get([]Key{key(i)}, make([]float32, width))
			}
		})
	}
	all.Wait()
	has(t, Open(root, "model", width, 0), 160, func(int) bool { return true })
}

func TestDir(t *testing.T) {
	t.Setenv("BIT_CACHE", "/somewhere")
	if dir, err := Dir(); dir != "/somewhere" || err != nil {
		t.Errorf("%s, %v", dir, err)
	}
	t.Setenv("BIT_CACHE", "")
	t.Setenv("XDG_CACHE_HOME", "/home/a/.cache")
	if dir, err := Dir(); err == nil && filepath.Base(dir) != "features" {
		t.Errorf("%s", dir)
	}
}
