package bit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/internal/cpu"
	"github.com/bigtransfer/bit/internal/featurecache"
	"github.com/bigtransfer/bit/internal/safetensors"
	"github.com/bigtransfer/bit/resnet"
)

// embedVersion is part of every key of the cache. It changes when pictures are decoded, prepared or computed to other bits.
const embedVersion = 1

// bodyKey names the features of this model on this machine, and reports whether the weights are still there to tell them
// by. Kernels of another instruction set round otherwise, so they count too.
func (m *Classifier) bodyKey() (string, bool) {
	digest := m.bodyDigest()
	return fmt.Sprintf("%s-%v-%d", digest, cpu.Active(), embedVersion), digest != ""
}

// bodyDigest returns a digest of all that the features of a picture depend on: the network below the head and the
// preparation of pictures. It is "" if the weights are no longer there.
func (m *Classifier) bodyDigest() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.body != "" || m.predictor != nil && !m.keep {
		return m.body
	}
	h := sha256.New()
	c := m.net.Config
	c.Classes = 0
	if err := json.NewEncoder(h).Encode([]any{c, m.processor}); err != nil {
		panic(err) // numbers and strings
	}
	for _, p := range m.net.Params() {
		if p.Name != resnet.HeadKernel && p.Name != resnet.HeadBias {
			safetensors.NewEncoder(h, safetensors.F32).Encode(p.Value) // a hash takes every write
		}
	}
	m.body = hex.EncodeToString(h.Sum(nil)[:16])
	return m.body
}

// pictureKeys returns a digest of every picture: of its file where the source has it, else of its pixels. That of a
// picture that cannot be decoded has no meaning.
func pictureKeys(ctx context.Context, src data.Source, examples []data.Example, workers int) ([]featurecache.Key, error) {
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	keys := make([]featurecache.Key, len(examples))
	var next atomic.Int64
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(examples) {
					return
				}
				digest, err := pictureDigest(src, examples[i])
				if err != nil {
					cancel(err)
					return
				}
				keys[i] = featurecache.Key(digest[:])
			}
		})
	}
	all.Wait()
	return keys, context.Cause(ctx)
}

func pictureDigest(src data.Source, e data.Example) ([sha256.Size]byte, error) {
	if d, ok := src.(data.Digester); ok {
		if digest, err := d.Digest(e); !errors.Is(err, errors.ErrUnsupported) {
			return digest, err
		}
	}
	img, err := src.Image(e)
	if _, broken := errors.AsType[*data.BrokenError](err); broken {
		return [sha256.Size]byte{}, nil
	}
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	h := sha256.New()
	fmt.Fprintf(h, "pixels %d %d\n", img.W, img.H) // a file does not begin so
	h.Write(img.Pix)
	return [sha256.Size]byte(h.Sum(nil)), nil
}
