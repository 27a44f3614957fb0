package batch

import "sync/atomic"

// Cache keeps decoded pictures in memory, since decoding costs far more than augmenting. It is filled in the order of
// first use until its budget is spent, and then keeps what it has: over epochs in random order every picture is as
// likely to be used next as any other, so replacing one by another would gain nothing. It is safe for concurrent use.
//
// A Cache belongs to one list of examples and one pipeline or processor, because it is keyed by the index in the list
// and may hold pictures after the pipeline's fixed steps.
type Cache struct {
	images []atomic.Pointer[picture]
	left   atomic.Int64 // bytes
}

// NewCache returns a cache for n examples that holds at most the given number of bytes of pixels (3 per pixel). While it
// is being filled, the garbage collector may let the process grow to twice that.
func NewCache(n int, bytes int64) *Cache {
	c := &Cache{images: make([]atomic.Pointer[picture], n)}
	c.left.Store(bytes)
	return c
}

// get returns the picture at index, or nil. A nil Cache is empty.
func (c *Cache) get(index int) *picture {
	if c == nil {
		return nil
	}
	return c.images[index].Load()
}

// put keeps pic, which must not change afterwards, if the budget allows.
func (c *Cache) put(index int, pic *picture) {
	if c == nil {
		return
	}
	size := int64(cap(pic.Pix))
	if c.left.Add(-size) < 0 || !c.images[index].CompareAndSwap(nil, pic) {
		c.left.Add(size)
	}
}
