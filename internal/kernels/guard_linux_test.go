package kernels

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/bigtransfer/bit/internal/cpu"
)

// newArena returns n values, a whole number of pages, between two pages that fault when touched.
func newArena(t testing.TB, n int) arena {
	page := unix.Getpagesize()
	if 4*n%page != 0 {
		t.Fatalf("%d values are no whole number of pages of %d bytes", n, page)
	}
	mem, err := unix.Mmap(-1, 0, 4*n+2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Munmap(mem); err != nil {
			t.Error(err)
		}
	})
	for _, guard := range [][]byte{mem[:page], mem[page+4*n:]} {
		if err := unix.Mprotect(guard, unix.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(&mem[page])), n)
}

// The guards are worth something only if they stop a kernel one value too far.
func TestGuardPagesStopKernels(t *testing.T) {
	eachLevel(t, func(t *testing.T, _ cpu.Level) {
		const n = 64
		a := newArena(t, 1024)
		dst := make([]float32, n)
		for name, src := range map[string]unsafe.Pointer{
			"behind": unsafe.Add(unsafe.Pointer(&a[0]), 4*(len(a)-n+1)),
			"before": unsafe.Add(unsafe.Pointer(&a[0]), -4),
		} {
			values := unsafe.Slice((*float32)(src), n)
			if touch(func() { CopyRows(dst, n, values, n, 1, n) }) == nil {
				t.Errorf("%d values, one of them %s the arena, were read without a fault", n, name)
			}
		}
	})
}
