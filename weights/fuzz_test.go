package weights

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/bigtransfer/bit/internal/fuzztest"
	"github.com/bigtransfer/bit/resnet"
	"github.com/bigtransfer/bit/tensor"
)

// smallNpz is an official-format file of the smallest network that 32 groups allow.
func smallNpz(t testing.TB) []byte {
	t.Helper()
	cfg := resnet.Config{Channels: 1, StemWidth: 32, Widths: []int{128}, Depths: []int{1}, Groups: 32, Classes: 2,
		GNEpsilon: resnet.GNEpsilon, WSEpsilon: resnet.WSEpsilonOfficial}
	var ms []zipMember
	for _, p := range npzNaming.params(cfg) {
		n := tensor.Len(p.stored)
		dict := "{'descr': '<f4', 'fortran_order': False, 'shape': " + formatShape(p.stored) + ", }"
		if len(p.stored) == 1 {
			dict = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + formatShape(p.stored)[1:len(formatShape(p.stored))-1] + ",), }"
		}
		ms = append(ms, zipMember{p.file + ".npy", npy(dict, make([]byte, 4*n))})
	}
	file := writeZip(t, ms)
	if _, err := openBytes(file); err != nil {
		t.Fatal(err)
	}
	return file
}

// whole fails unless a model that was opened without error has every parameter.
func whole(t *testing.T, m *Model) {
	t.Helper()
	if err := m.check(); err != nil {
		t.Errorf("opened without error, but: %v", err)
	}
}

func FuzzNpz(f *testing.F) {
	file := smallNpz(f)
	f.Add(file)
	f.Add(file[:len(file)/2])
	f.Add(zip64([]zipMember{{"resnet/head/conv2d/bias.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", make([]byte, 8))}}, true))
	f.Add([]byte("PK\x05\x06" + string(make([]byte, 18))))
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzztest.Within(t, len(data), func() {
			if m, err := openBytes(data); err == nil {
				whole(t, m)
			}
		})
	})
}

// The arrays of a reference file: no archive around, so that the fuzzer reaches the header.
func FuzzNpy(f *testing.F) {
	f.Add(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", make([]byte, 8)))
	f.Add(npy("{'descr': '|u1', 'fortran_order': False, 'shape': (2, 0, 3), }", nil))
	f.Add([]byte("\x93NUMPY\x03\x00\x46\x00\x00\x00{'descr': '<f8', 'fortran_order': True, 'shape': (), }"))
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzztest.Within(t, len(data), func() {
			h, err := readNpyHeader(bytes.NewReader(data))
			if err != nil {
				return
			}
			if h.size > int64(len(data)) {
				t.Errorf("header of %d bytes in %d", h.size, len(data))
			}
			if h.check(uint64(len(data))) == nil {
				n, ok := tensor.CheckedLen(h.shape)
				if !ok || int64(n)*int64(npyElement[h.descr]) != int64(len(data))-h.size {
					t.Errorf("shape %v of %q accepted for %d bytes", h.shape, h.descr, int64(len(data))-h.size)
				}
			}
		})
	})
}

// savedFiles returns a small Hugging Face directory.
func savedFiles(f *testing.F) map[string][]byte {
	dir := filepath.Join(f.TempDir(), "model")
	if err := SaveHF(f.Context(), dir, randomModel(f, 1), F16, Card{}); err != nil {
		f.Fatal(err)
	}
	all := map[string][]byte{}
	for _, name := range []string{configFile, tensorsFile} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			f.Fatal(err)
		}
		all[name] = text
	}
	return all
}

func FuzzSafetensors(f *testing.F) {
	saved := savedFiles(f)
	f.Add(saved[tensorsFile])
	f.Add(withHeader([]byte(`{"a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}`), []byte{0, 0}))
	f.Add(withHeader([]byte(`{"__metadata__":{"x":"y"},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}`), make([]byte, 4)))
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzztest.Within(t, len(data), func() {
			m, err := OpenFS(fstest.MapFS{configFile: {Data: saved[configFile]}, tensorsFile: {Data: data}}, ".")
			if err == nil {
				whole(t, m)
			}
		})
	})
}

func FuzzConfig(f *testing.F) {
	saved := savedFiles(f)
	f.Add(saved[configFile])
	f.Add([]byte(`{"model_type":"bit","depths":[1,2],"hidden_sizes":[16,24],"embedding_size":6,"num_groups":2,"num_channels":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzztest.Within(t, len(data), func() {
			m, err := OpenFS(fstest.MapFS{configFile: {Data: data}, tensorsFile: {Data: saved[tensorsFile]}}, ".")
			if err == nil {
				whole(t, m)
			}
		})
	})
}

func FuzzTimmConfig(f *testing.F) {
	tensors := timmTiny(f).bytes(f)
	f.Add([]byte(timmJSON))
	f.Add([]byte(`{"architecture":"resnetv2_50x1_bit","bit_num_groups":8,"label_names":{"0":"a"},"pretrained_cfg":{"crop_mode":"squash","label_names":["b"],"label_descriptions":{"b":"c"}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzztest.Within(t, len(data)+len(tensors), func() {
			m, err := OpenFS(fstest.MapFS{configFile: {Data: data}, tensorsFile: {Data: tensors}}, ".")
			if err == nil {
				whole(t, m)
			}
		})
	})
}

func FuzzIndex(f *testing.F) {
	files := fstest.MapFS{}
	for name, text := range shards(f) {
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	const index = tensorsFile + indexSuffix
	f.Add(files[index].Data)
	f.Add([]byte(`{"weight_map":{"a":"model-00001-of-00002.safetensors","b":"../c","d":""}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := maps.Clone(files)
		dir[index] = &fstest.MapFile{Data: data}
		fuzztest.Within(t, len(data)+1<<20, func() {
			m, err := OpenFS(dir, ".")
			if err == nil {
				whole(t, m)
			}
		})
	})
}
