// Package nn holds the layers of a pre-activation ResNet as pairs of a forward and a backward half.
//
// Activations are N H W C, float32, and live in a [Map]; kernels are H W I O. There is no tape: a network calls the
// halves in its own order and each layer keeps what its backward half needs in named fields. Forward overwrites its
// output. Backward adds to parameter gradients and overwrites activation gradients unless it says otherwise.
//
// Every split of the work depends on shapes alone and every sum has one order, so results have the same bits for any
// number of threads.
package nn

import "github.com/bigtransfer/bit/internal/par"

// Map is a batch of activations, [N,H,W,C], and what its producer found out about it.
type Map struct {
	N, H, W, C int
	Data       []float32
	moments    moments // partial sums for the GroupNorm that reads this map
}

// NewMap returns a zero map.
func NewMap(n, h, w, c int) *Map { return NewMapOver(n, h, w, c, make([]float32, n*h*w*c)) }

// NewMapOver returns a map whose values are the first n·h·w·c of data.
func NewMapOver(n, h, w, c int, data []float32) *Map {
	m := &Map{N: n, H: h, W: w, C: c, Data: data[:n*h*w*c]}
	m.moments = moments{blocks: m.blocks(), channels: c}
	return m
}

// Rows returns N·H·W: the map as a matrix has one row for each pixel.
func (m *Map) Rows() int { return m.N * m.H * m.W }

// Pixels returns H·W.
func (m *Map) Pixels() int { return m.H * m.W }

func (m *Map) blocks() blocks { return newBlocks(m.N, m.Pixels()) }

// maxBlock bounds the rows that are worked on together, so that a block of A (maxBlock x maxDepth) and its part of C
// stay in the second-level cache while all panels of B pass by.
const maxBlock = 128

// blocks cuts the rows of a batch of images, one after the other, into blocks. A large image is cut into several, small
// ones share one, and none has parts in two blocks that hold other images: so what is summed over a block's part of an
// image, and with it every result for an image, has the same bits whatever else is in the batch.
type blocks struct {
	images, pixels int // rows = images·pixels
	parts          int // blocks of an image; 1 where images share
	size           int // rows of a whole block
	count          int
}

func newBlocks(images, pixels int) blocks {
	b := blocks{images: images, pixels: pixels, parts: 1}
	if pixels <= maxBlock {
		share := maxBlock / pixels
		b.size, b.count = share*pixels, ceilDiv(images, share)
		return b
	}
	b.size = ceilDiv(ceilDiv(pixels, ceilDiv(pixels, maxBlock)), 14) * 14 // whole tiles of the widest kernel
	b.parts = ceilDiv(pixels, b.size)
	b.count = images * b.parts
	return b
}

// span returns the rows of a block.
func (b blocks) span(i int) (lo, hi int) {
	if b.parts == 1 {
		return i * b.size, min((i+1)*b.size, b.images*b.pixels)
	}
	first := i / b.parts * b.pixels
	lo = first + i%b.parts*b.size
	return lo, min(lo+b.size, first+b.pixels)
}

// pieces returns the number of parts of images in blocks: parts for each image, in order.
func (b blocks) pieces() int { return b.images * b.parts }

// eachPiece calls f for each piece in rows [m0,m1) of a block: its number, its image and its rows [lo,hi).
func (b blocks) eachPiece(m0, m1 int, f func(piece, image, lo, hi int)) {
	for lo := m0; lo < m1; {
		image := lo / b.pixels
		hi := min(m1, (image+1)*b.pixels)
		f(image*b.parts+(lo-image*b.pixels)/b.size, image, lo, hi)
		lo = hi
	}
}

// pieceRows returns the number of rows of the part-th piece of an image.
func (b blocks) pieceRows(part int) int { return min(b.size, b.pixels-part*b.size) }

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// Engine is what the layers of one network share while they run: the threads and a scratch memory for each.
// One goroutine at a time may use it.
type Engine struct {
	Pool *par.Pool
	// Winograd says where 3x3 convolutions and their gradients are computed in transformed tiles. Their results then
	// differ from the direct product's by rounding. Set it before layers are planned.
	Winograd WinogradUse
	scratch  []scratch // one for each thread
	padded   []float32 // see padded
}

// WinogradUse says which of the convolutions that can be computed in transformed tiles are.
type WinogradUse int

const (
	WinogradNever WinogradUse = iota
	WinogradWhereItPays
	WinogradAlways // for tests
)

// scratch is memory for one task of a layer, its contents undefined.
type scratch struct {
	a, b, c []float32 // packed operands, and a block of results on its way to scattered rows
}

// reserve sees to at least so much scratch memory for every thread. Layers say what they need when they are planned,
// so that running them allocates nothing, whichever thread a task falls to.
func (e *Engine) reserve(a, b, c int) {
	for i := range e.scratch {
		s := &e.scratch[i]
		grown(&s.a, a)
		grown(&s.b, b)
		grown(&s.c, c)
	}
}

// NewEngine returns an engine over the given threads.
func NewEngine(pool *par.Pool) *Engine {
	return &Engine{Pool: pool, scratch: make([]scratch, pool.Threads())}
}

// grown returns s with at least n values, its contents undefined.
func grown(s *[]float32, n int) []float32 {
	if len(*s) < n {
		*s = make([]float32, n)
	}
	return *s
}
