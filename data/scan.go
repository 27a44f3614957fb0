package data

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"runtime"
	"sync"

	"github.com/bigtransfer/bit/imaging"
)

// Digest tells pictures apart by their size and pixels: it is that of the decoded picture, so that a file which is saved
// again without loss keeps it.
type Digest [16]byte

// MarshalText writes the digest in hexadecimal digits.
func (d Digest) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, d[:]), nil }

// UnmarshalText reads what MarshalText writes.
func (d *Digest) UnmarshalText(text []byte) error {
	if len(text) != 2*len(d) {
		return errors.New("expected a digest of 32 hexadecimal digits")
	}
	_, err := hex.Decode(d[:], text)
	return err
}

// DigestOf returns the digest of a picture: the first half of the SHA-256 of its width and height, as little-endian
// uint32, and its pixels.
func DigestOf(im *imaging.Image) Digest {
	h := sha256.New()
	var size [8]byte
	binary.LittleEndian.PutUint32(size[:4], uint32(im.W))
	binary.LittleEndian.PutUint32(size[4:], uint32(im.H))
	h.Write(size[:])
	h.Write(im.Pix)
	return Digest(h.Sum(nil))
}

// Look is what a scan finds out about a picture.
type Look struct {
	Width, Height int // in pixels; 0 if it is broken
	Digest        Digest
	Hash          imaging.Hash
	Broken        *BrokenError // or nil
}

// ScanOptions are the settings of [Scan]. The zero value is ready.
type ScanOptions struct {
	Workers    int            // goroutines that decode; 0 for one per CPU
	OnProgress func(done int) // called now and then with how many pictures are done, by one goroutine at a time; or nil
}

// Scan decodes all pictures and says of each what it is, in the order of examples. Broken ones do not end it.
func Scan(ctx context.Context, src Source, examples []Example, o ScanOptions) ([]Look, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	src = Uncounted(src)
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	looks := make([]Look, len(examples))
	next := make(chan int, o.Workers)
	var running sync.WaitGroup
	var progress sync.Mutex
	done := 0
	for range o.Workers {
		running.Go(func() {
			var hasher imaging.Hasher
			for i := range next {
				if err := looks[i].take(src, examples[i], &hasher); err != nil {
					cancel(err)
				}
				progress.Lock()
				if done++; o.OnProgress != nil {
					o.OnProgress(done)
				}
				progress.Unlock()
			}
		})
	}
	for i := range examples {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	running.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return looks, nil
}

// take looks at a picture.
func (l *Look) take(src Source, e Example, hasher *imaging.Hasher) error {
	im, err := src.Image(e)
	if broken, ok := errors.AsType[*BrokenError](err); ok {
		l.Broken = broken
		return nil
	}
	if err != nil {
		return err
	}
	*l = Look{Width: im.W, Height: im.H, Digest: DigestOf(im), Hash: hasher.Hash(im)}
	return nil
}
