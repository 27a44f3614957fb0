package torchfile

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/bigtransfer/bit/internal/fuzztest"
	"github.com/bigtransfer/bit/internal/safetensors"
	"github.com/bigtransfer/bit/internal/torchfile/torchtest"
	"github.com/bigtransfer/bit/tensor"
)

func readBytes(file []byte) ([]Tensor, error) {
	return Read(bytes.NewReader(file), int64(len(file)))
}

func values(t testing.TB, x Tensor) []float32 {
	t.Helper()
	r, err := x.Open()
	if err != nil {
		t.Fatalf("%s: %v", x.Name, err)
	}
	defer r.Close()
	xs := make([]float32, tensor.Len(x.Shape))
	if err := safetensors.NewDecoder(r, x.DType).Decode(xs); err != nil {
		t.Fatalf("%s: %v", x.Name, err)
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("%s: more data than its shape needs", x.Name)
	}
	return xs
}

// count returns 0, 1, …, n-1.
func count(n int) []float32 {
	xs := make([]float32, n)
	for i := range xs {
		xs[i] = float32(i)
	}
	return xs
}

// Files that PyTorch wrote (testdata/make.py says what is in them): views of every kind, in protocols 2 and 4.
func TestReadTorchSave(t *testing.T) {
	var transposed []float32 // (6, 4) of numbers counted along the columns
	for i := range 6 {
		for j := range 4 {
			transposed = append(transposed, float32(j*6+i))
		}
	}
	want := []struct {
		name   string
		dtype  safetensors.DType
		shape  []int
		values []float32
	}{
		{"whole", safetensors.F32, []int{2, 3}, []float32{0, 0.25, 0.5, 0.75, 1, 1.25}},
		{"transposed", safetensors.F32, []int{6, 4}, transposed},
		{"channels_last", safetensors.F32, []int{2, 3, 2, 2}, count(24)},
		{"middle", safetensors.F32, []int{3}, []float32{2, 3, 4}},
		{"every_other", safetensors.F32, []int{2}, []float32{6, 8}},
		{"scalar", safetensors.F32, []int{}, []float32{-2.5}},
		{"empty", safetensors.F32, []int{0, 3}, []float32{}},
		{"one_row", safetensors.F32, []int{1, 4}, []float32{4, 5, 6, 7}},
		{"half", safetensors.F16, []int{4}, []float32{1, -2, 65504, 0x1p-24}},
		{"bfloat16", safetensors.BF16, []int{4}, []float32{1, -2, 3.140625, 0x1p-133}},
		{"parameter", safetensors.F32, []int{2}, []float32{7, 8}},
		{"expanded", safetensors.F32, []int{3}, []float32{5, 5, 5}},
	}
	for _, name := range []string{"testdata/views.bin", "testdata/protocol4.bin"} {
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		tensors, err := readBytes(file)
		if err != nil {
			t.Fatal(err)
		}
		if len(tensors) != len(want)+1 {
			t.Fatalf("%s: %d tensors, want %d", name, len(tensors), len(want)+1)
		}
		for i, w := range want {
			x := tensors[i]
			if x.Fault != nil {
				t.Errorf("%s: %v", name, x.Fault)
				continue
			}
			if got := values(t, x); x.Name != w.name || x.DType != w.dtype || !slices.Equal(x.Shape, w.shape) || !slices.Equal(got, w.values) {
				t.Errorf("%s: %s %s %v %v, want %s %s %v %v", name, x.Name, x.DType, x.Shape, got, w.name, w.dtype, w.shape, w.values)
			}
		}
		last := tensors[len(want)]
		if last.Name != "long" || !errors.Is(last.Fault, safetensors.ErrDType) || !strings.Contains(last.Fault.Error(), "torch.LongStorage") {
			t.Errorf("%s: %s: fault %v, want the type", name, last.Name, last.Fault)
		}
	}
}

// floats is a storage that holds 0, 1, …
func floats(n int) torchtest.Storage {
	data, err := binary.Append(nil, binary.LittleEndian, count(n))
	if err != nil {
		panic(err)
	}
	return torchtest.Storage{Class: "FloatStorage", Elements: n, Data: data}
}

func tensorAt(name string, storage, offset int, shape, strides []int) torchtest.Tensor {
	return torchtest.Tensor{Name: name, Storage: storage, Offset: offset, Shape: shape, Strides: strides}
}

func TestFaults(t *testing.T) {
	type list = []int
	short, long := floats(12), floats(12)
	short.Data, long.Data = short.Data[:47], append(long.Data, 0)
	for what, c := range map[string]struct {
		storage torchtest.Storage
		tensors []torchtest.Tensor
		name    string
		problem error
	}{
		"beyond the storage":       {floats(12), []torchtest.Tensor{tensorAt("a", 0, 1, list{3, 4}, list{4, 1})}, "a", safetensors.ErrTruncated},
		"stride beyond":            {floats(12), []torchtest.Tensor{tensorAt("a", 0, 0, list{3, 4}, list{5, 1})}, "a", safetensors.ErrTruncated},
		"stride far beyond":        {floats(12), []torchtest.Tensor{tensorAt("a", 0, 0, list{3, 4}, list{math.MaxInt32, 1})}, "a", safetensors.ErrTruncated},
		"offset far beyond":        {floats(12), []torchtest.Tensor{tensorAt("a", 0, math.MaxInt32, list{1}, list{1})}, "a", safetensors.ErrTruncated},
		"negative stride":          {floats(12), []torchtest.Tensor{tensorAt("a", 0, 11, list{12}, list{-1})}, "a", safetensors.ErrOffsets},
		"negative offset":          {floats(12), []torchtest.Tensor{tensorAt("a", 0, -1, list{12}, list{1})}, "a", safetensors.ErrOffsets},
		"negative axis":            {floats(12), []torchtest.Tensor{tensorAt("a", 0, 0, list{-3, -4}, list{4, 1})}, "a", safetensors.ErrOffsets},
		"absurd shape":             {floats(12), []torchtest.Tensor{tensorAt("a", 0, 0, list{math.MaxInt32, math.MaxInt32, math.MaxInt32}, list{0, 0, 0})}, "a", safetensors.ErrOffsets},
		"fewer strides than axes":  {floats(12), []torchtest.Tensor{tensorAt("a", 0, 0, list{3, 4}, list{1})}, "a", safetensors.ErrOffsets},
		"one element, many times":  {floats(12), []torchtest.Tensor{tensorAt("a", 0, 0, list{1 << 20}, list{0})}, "a", safetensors.ErrOverlap},
		"one storage, twice":       {floats(12), []torchtest.Tensor{tensorAt("a", 0, 0, list{12}, list{1}), tensorAt("b", 0, 3, list{1}, list{1})}, "b", safetensors.ErrOverlap},
		"storage cut short":        {short, []torchtest.Tensor{tensorAt("a", 0, 0, list{12}, list{1})}, "a", safetensors.ErrTruncated},
		"storage with a remainder": {long, []torchtest.Tensor{tensorAt("a", 0, 0, list{12}, list{1})}, "a", safetensors.ErrOffsets},
	} {
		tensors, err := readBytes(torchtest.File([]torchtest.Storage{c.storage}, c.tensors))
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		last := tensors[len(tensors)-1]
		if last.Name != c.name || last.Fault == nil || !errors.Is(last.Fault, c.problem) {
			t.Errorf("%s: fault %v, want %v", what, last.Fault, c.problem)
		}
	}
	// A storage that is not there.
	pickle := torchtest.Pickle([]torchtest.Storage{floats(12)}, []torchtest.Tensor{tensorAt("a", 0, 0, list{12}, list{1})})
	tensors, err := readBytes(torchtest.Archive(pickle, nil))
	if err != nil || !errors.Is(tensors[0].Fault, safetensors.ErrTruncated) || !strings.Contains(tensors[0].Fault.Error(), "data/0") {
		t.Errorf("no storage: %+v, %v", tensors, err)
	}
}

// A bit that changed is found, in a tensor that is a whole storage, in a part of one, and in a permuted one.
func TestChecksum(t *testing.T) {
	for _, x := range []torchtest.Tensor{
		{Name: "whole", Shape: []int{3, 4}, Strides: []int{4, 1}},
		{Name: "part", Shape: []int{2, 4}, Strides: []int{4, 1}},
		{Name: "permuted", Shape: []int{4, 3}, Strides: []int{1, 4}},
		{Name: "sparse", Shape: []int{3}, Strides: []int{4}},
	} {
		s := floats(12)
		file := torchtest.File([]torchtest.Storage{s}, []torchtest.Tensor{x})
		file[bytes.Index(file, s.Data)+47] ^= 1
		tensors, err := readBytes(file)
		if err != nil {
			t.Fatal(err)
		}
		r, err := tensors[0].Open()
		if err == nil {
			_, err = bytes.NewBuffer(nil).ReadFrom(r)
		}
		if !errors.Is(err, zip.ErrChecksum) {
			t.Errorf("%s: error %v, want %v", x.Name, err, zip.ErrChecksum)
		}
	}
}

// Pickles that would do something, or that no writer makes, are refused with the reason.
func TestRefuses(t *testing.T) {
	one := []torchtest.Storage{floats(2)}
	good := torchtest.Pickle(one, []torchtest.Tensor{tensorAt("a", 0, 0, []int{2}, []int{1})})
	if _, err := readBytes(torchtest.Archive(good, one)); err != nil {
		t.Fatal(err)
	}
	replace := func(old, new string) string {
		if !bytes.Contains(good, []byte(old)) {
			t.Fatalf("no %q", old)
		}
		return strings.Replace(string(good), old, new, 1)
	}
	for what, c := range map[string]struct{ pickle, part string }{
		"call of a function":         {"\x80\x02cos\nsystem\nX\x02\x00\x00\x00id\x85R.", `"os.system"`},
		"call by names on the stack": {"\x80\x04\x8c\x08builtins\x8c\x04eval\x93)R.", `"builtins.eval"`},
		"function in a known module": {replace("_rebuild_tensor_v2", "_rebuild_device_tensor"), "_rebuild_device_tensor"},
		"function with a dot":        {replace("collections\nOrderedDict", "collections\nOrderedDict.x"), "OrderedDict.x"},
		"instance":                   {"\x80\x02(cos\nsystem\no.", `"os.system"`},
		"INST":                       {"\x80\x02(ios\nsystem\n.", "'i'"},
		"OBJ":                        {"\x80\x02(ccollections\nOrderedDict\no.", "'o'"},
		"NEWOBJ":                     {"\x80\x02ccollections\nOrderedDict\n)\x81.", `'\u0081'`},
		"extension":                  {"\x80\x02\x82\x01.", "refused"},
		"text persistent id":         {"\x80\x02P0\n.", "'P'"},
		"protocol 0 number":          {"\x80\x02I1\n.", "'I'"},
		"protocol 9":                 {"\x80\x09}.", "protocol 9"},
		"OrderedDict of arguments":   {"\x80\x02ccollections\nOrderedDict\n}\x85R.", "with arguments (dict)"},
		"storage called":             {"\x80\x02ctorch\nFloatStorage\nK\x02\x85R.", "torch.FloatStorage with arguments (int64)"},
		"call of text":               {"\x80\x02X\x01\x00\x00\x00f)R.", "of type string, want global"},
		"attributes of text":         {"\x80\x02X\x01\x00\x00\x00f}b.", "of type string"},
		"empty":                      {"", "cut short"},
		"only a stop":                {"\x80\x02.", "too few"},
		"nothing above a mark":       {"\x80\x02}(K\x01\x86.", "too few"},
		"no mark":                    {"\x80\x02}u.", "no mark"},
		"key without value":          {"\x80\x02}(K\x01u.", "without value"},
		"kept by nobody":             {"\x80\x02h\x07.", "kept as 7"},
		"text beyond the end":        {"\x80\x02X\xff\xff\xff\xffa.", "cut short"},
		"text that is none":          {"\x80\x02X\x01\x00\x00\x00\xff.", "UTF-8"},
		"long of 255 bytes":          {"\x80\x02\x8a\xff" + strings.Repeat("\x01", 255) + ".", "255 bytes"},
		"name without end":           {"\x80\x02c" + strings.Repeat("a", 300), "without end"},
		"more after the stop":        {string(good) + ".", "goes on"},
		"two values":                 {"\x80\x02}}.", "goes on"},
		"no dictionary":              {"\x80\x02K\x01.", "of type int64"},
		"number for a tensor":        {"\x80\x02}X\x01\x00\x00\x00aK\x01s.", `"a" holds a value of type int64`},
		"number for a name":          {"\x80\x02}K\x01K\x01s.", "key 0 of type int64"},
		"name twice":                 {strings.Replace(string(good), "u.", "", 1) + string(good[bytes.Index(good, []byte("X\x01\x00\x00\x00a")):]), "more than once"},
		"persistent id of a module":  {replace("storage", "modules"), "persistent id"},
		"storage of two sizes": {string(torchtest.Pickle([]torchtest.Storage{{Class: "FloatStorage", Elements: 2}}, []torchtest.Tensor{tensorAt("a", 0, 0, []int{1}, []int{1})}))[:len(good)-2] +
			strings.Replace(string(good[bytes.Index(good, []byte("X\x01\x00\x00\x00a")):]), "cpuJ\x02", "cpuJ\x01", 1), "elsewhere 1"},
		"storage of negative size": {replace("cpuJ\x02\x00\x00\x00", "cpuJ\xff\xff\xff\xff"), "-1 elements"},
		"endless":                  {"\x80\x02" + strings.Repeat("N", maxOps), "more than"},
		"dictionary in itself":     {"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.", `"a" holds a value of type dict`},
	} {
		_, err := readBytes(torchtest.Archive([]byte(c.pickle), one))
		if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.part) {
			t.Errorf("%s: error %v, want one with %s", what, err, c.part)
		}
	}
	for n := range good { // cut anywhere
		if _, err := readBytes(torchtest.Archive(good[:n], one)); !errors.Is(err, ErrFormat) {
			t.Errorf("the first %d bytes: error %v", n, err)
		}
	}
}

// What can be wrong with the archive.
func TestArchive(t *testing.T) {
	pickle := torchtest.Pickle(nil, nil)
	build := func(members map[string]string, method uint16) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for name, text := range members {
			w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: method})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for what, c := range map[string]struct {
		file []byte
		part string
	}{
		"no archive":      {[]byte("PK\x03\x04"), "zip"},
		"no pickle":       {build(map[string]string{"a/data/0": ""}, zip.Store), "data.pkl"},
		"TorchScript":     {build(map[string]string{"a/data.pkl": string(pickle), "a/constants.pkl": ""}, zip.Store), "TorchScript"},
		"big-endian":      {build(map[string]string{"a/data.pkl": string(pickle), "a/byteorder": "big"}, zip.Store), `"big"`},
		"compressed":      {build(map[string]string{"a/data.pkl": string(pickle) + strings.Repeat(" ", 100)}, zip.Deflate), "stored"},
		"another folder":  {build(map[string]string{"a/data.pkl": string(pickle), "b/x": ""}, zip.Store), `"b/x"`},
		"pickle too long": {build(map[string]string{"a/data.pkl": string(pickle) + strings.Repeat(" ", maxPickle)}, zip.Store), "at most"},
	} {
		if _, err := readBytes(c.file); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.part) {
			t.Errorf("%s: error %v, want one with %s", what, err, c.part)
		}
	}
	if tensors, err := readBytes(build(map[string]string{"data.pkl": string(pickle), "byteorder": "little"}, zip.Store)); err == nil && len(tensors) > 0 {
		t.Error("tensors in an empty dictionary")
	}
}

func FuzzRead(f *testing.F) {
	for _, name := range []string{"testdata/views.bin", "testdata/protocol4.bin"} {
		file, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, file []byte) { readAll(t, file) })
}

// The pickle alone, over sound storages, so that the fuzzer reaches the opcodes.
func FuzzPickle(f *testing.F) {
	storages := []torchtest.Storage{floats(24), floats(6)}
	for _, name := range []string{"testdata/views.bin", "testdata/protocol4.bin"} {
		z, err := zip.OpenReader(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, m := range z.File {
			if strings.HasSuffix(m.Name, pickleName) {
				r, err := m.Open()
				if err != nil {
					f.Fatal(err)
				}
				var b bytes.Buffer
				if _, err := b.ReadFrom(r); err != nil {
					f.Fatal(err)
				}
				f.Add(b.Bytes())
			}
		}
		z.Close()
	}
	f.Add(torchtest.Pickle(storages, []torchtest.Tensor{tensorAt("a", 0, 0, []int{4, 6}, []int{1, 4}), tensorAt("b", 1, 2, []int{2}, []int{2})}))
	f.Fuzz(func(t *testing.T, pickle []byte) {
		readAll(t, torchtest.Archive(pickle, storages))
	})
}

// readAll reads a file and all tensors without a fault.
func readAll(t *testing.T, file []byte) {
	t.Helper()
	// Once more the file for values that grow to float32.
	fuzztest.Within(t, len(file)*3/2, func() {
		tensors, err := readBytes(file)
		if err != nil {
			return
		}
		for _, x := range tensors {
			if x.Fault != nil {
				continue
			}
			r, err := x.Open()
			if err != nil {
				continue
			}
			xs := make([]float32, tensor.Len(x.Shape))
			_ = safetensors.NewDecoder(r, x.DType).Decode(xs) // a checksum may be wrong
			r.Close()
		}
	})
}
