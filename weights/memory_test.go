package weights

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/bigtransfer/bit/internal/torchfile/torchtest"
	"github.com/bigtransfer/bit/resnet"
	"github.com/bigtransfer/bit/tensor"
)

// TestOpenMemory: all memory that is ever allocated on the way from a file to a network, and so its peak too, is little
// more than the parameters, in every format.
func TestOpenMemory(t *testing.T) {
	cfg := resnet.Config{Channels: 3, StemWidth: 64, Widths: []int{256, 512, 1024, 2048}, Depths: []int{1, 1, 1, 1}, Groups: 32, Classes: 1000,
		GNEpsilon: resnet.GNEpsilon, WSEpsilon: resnet.WSEpsilonOfficial}
	net, err := resnet.NewNetwork(cfg)
	if err != nil {
		t.Fatal(err)
	}
	state := uint32(1)
	for _, p := range net.Params() {
		if p.Name == resnet.HeadKernel {
			continue // a fresh head, all zeros: compressed, its size is beyond belief
		}
		for i := range p.Value {
			state = state*1664525 + 1013904223
			p.Value[i] = float32(state>>8)/(1<<24) - 0.5
		}
	}
	dir := t.TempDir()
	if err := SaveHF(t.Context(), dir+"/hf", FromNetwork(net, nil, nil), F32, Card{Name: "hf"}); err != nil {
		t.Fatal(err)
	}
	var members []zipMember
	for _, p := range npzNaming.params(cfg) {
		data, err := binary.Append(nil, binary.LittleEndian, net.Param(p.Name).Value)
		if err != nil {
			t.Fatal(err)
		}
		shape := strings.Trim(strings.ReplaceAll(fmt.Sprint(p.stored), " ", ","), "[]") + ","
		members = append(members, zipMember{p.file + ".npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': ("+shape+"), }", data)})
	}
	var deflated bytes.Buffer
	z := zip.NewWriter(&deflated)
	for _, m := range members {
		w, err := z.Create(m.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(m.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	npz := writeZip(t, members)
	var storages []torchtest.Storage
	var tensors []torchtest.Tensor
	for i, p := range hfNaming.params(cfg) {
		s := torchtest.Storage{Class: "FloatStorage", Elements: tensor.Len(p.stored)}
		for part := range stored(p, net.Param(p.Name).Value, hfNaming.oihw) {
			data, err := binary.Append(nil, binary.LittleEndian, part)
			if err != nil {
				t.Fatal(err)
			}
			s.Data = append(s.Data, data...)
		}
		storages = append(storages, s)
		tensors = append(tensors, torchtest.Tensor{Name: p.file, Storage: i, Shape: p.stored, Strides: torchtest.Contiguous(p.stored)})
	}
	torch := fstest.MapFS{torchFile: {Data: torchtest.File(storages, tensors)}}

	size := 4 * cfg.NumParams()
	head := 4 * tensor.Len(net.Param(resnet.HeadKernel).Shape)
	for name, open := range map[string]struct {
		open  func() (*Model, error)
		extra int // beyond the parameters
	}{
		"Hugging Face": {func() (*Model, error) { return Open(dir + "/hf") }, 0},
		"PyTorch":      {func() (*Model, error) { return OpenFS(torch, torchFile) }, 0},
		"npz":          {func() (*Model, error) { return openBytes(npz) }, 0},
		// A head that is proven by reading grows in doublings, of which the last is kept.
		"npz, deflated": {func() (*Model, error) { return openBytes(deflated.Bytes()) }, head},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			m, err := open.open()
			if err != nil {
				t.Fatal(err)
			}
			opened, err := m.Network()
			runtime.ReadMemStats(&after)
			if err != nil {
				t.Fatal(err)
			}
			spent := int(after.TotalAlloc - before.TotalAlloc)
			t.Logf("%d bytes allocated for %d of parameters", spent, size)
			if spent > size*11/10+open.extra {
				t.Errorf("%d bytes allocated, want at most 1.1 of %d and %d", spent, size, open.extra)
			}
			for _, p := range net.Params() {
				got := opened.Param(p.Name).Value
				for i, v := range p.Value {
					if got[i] != v {
						t.Fatalf("%s: value %d is %v, want %v", p.Name, i, got[i], v)
					}
				}
			}
		})
	}
}
