package parquetfile

import (
	"container/list"
	"sync"
	"sync/atomic"
)

// DefaultCacheBytes is what a cache of size 0 holds: pages of about a megabyte for some dozens of goroutines, so that those
// which read in order do not decode a page for every row.
const DefaultCacheBytes = 64 << 20

// Cache keeps the pages that were used last. It may be shared by files and goroutines.
type Cache struct {
	Bytes int64 // most that it keeps, DefaultCacheBytes if 0; a larger page is kept alone

	files atomic.Uint64
	mu    sync.Mutex
	used  int64
	pages map[pageKey]*list.Element // of *cachedPage
	order list.List                 // the one that was used last comes first
}

type pageKey struct {
	file  uint64
	chunk chunkKey
	page  int
}

type cachedPage struct {
	key    pageKey
	size   int64 // as counted in used
	once   sync.Once
	values [][]byte
	err    error
}

func (c *Cache) nextID() uint64 { return c.files.Add(1) }

// get returns a page, which is decoded once however many wait for it. decode returns its size too.
func (c *Cache) get(key pageKey, decode func() ([][]byte, int64, error)) ([][]byte, error) {
	c.mu.Lock()
	if c.pages == nil {
		c.pages = map[pageKey]*list.Element{}
	}
	e := c.pages[key]
	if e == nil {
		e = c.order.PushFront(&cachedPage{key: key})
		c.pages[key] = e
	}
	c.order.MoveToFront(e)
	c.mu.Unlock()
	p := e.Value.(*cachedPage)
	p.once.Do(func() {
		var size int64
		p.values, size, p.err = decode()
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.pages[key] != e {
			return
		}
		if p.err != nil { // the next reader tries again
			c.drop(e)
			return
		}
		p.size = size
		c.used += size
		limit := c.Bytes
		if limit == 0 {
			limit = DefaultCacheBytes
		}
		for last := c.order.Back(); c.used > limit && last != nil; {
			before := last.Prev()
			if last != e && last.Value.(*cachedPage).size > 0 { // others are being decoded
				c.drop(last)
			}
			last = before
		}
	})
	return p.values, p.err
}

func (c *Cache) drop(e *list.Element) {
	p := e.Value.(*cachedPage)
	c.order.Remove(e)
	delete(c.pages, p.key)
	c.used -= p.size
}
