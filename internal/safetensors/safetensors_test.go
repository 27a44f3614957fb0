package safetensors

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"iter"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/bigtransfer/bit/internal/fuzztest"
)

// file puts a file together from a header and its data, with no help of the writer.
func file(header string, data ...byte) []byte {
	return slices.Concat(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), []byte(header), data)
}

func newReader(content []byte) (*Reader, error) {
	return NewReader(bytes.NewReader(content), int64(len(content)))
}

// values decodes a tensor.
func values(t *testing.T, tensor *Tensor) []float32 {
	t.Helper()
	n := 1
	for _, d := range tensor.Shape {
		n *= d
	}
	v := make([]float32, n)
	if err := NewDecoder(tensor.Open(), tensor.DType).Decode(v); err != nil {
		t.Fatal(err)
	}
	return v
}

// Bytes by hand: 1.5 is 0x3fc00000, -2 is 0xc0000000 in binary32; 1.5 is 0x3e00 in binary16 and 0x3fc0 in bfloat16.
func TestRead(t *testing.T) {
	f, err := newReader(file(`{"b":{"dtype":"F16","shape":[],"data_offsets":[8,10]},"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},`+
		`"__metadata__":{"k":"v"},"c":{"dtype":"BF16","shape":[1],"data_offsets":[10,12]},"none":{"dtype":"F32","shape":[3,0],"data_offsets":[12,12]}}  `,
		0, 0, 0xc0, 0x3f, 0, 0, 0, 0xc0, 0, 0x3e, 0xc0, 0x3f))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Check(); err != nil {
		t.Error(err)
	}
	if !reflect.DeepEqual(f.Metadata, map[string]string{"k": "v"}) {
		t.Errorf("metadata %v", f.Metadata)
	}
	for i, want := range []struct {
		name   string
		shape  []int
		values []float32
	}{{"a", []int{1, 2}, []float32{1.5, -2}}, {"b", []int{}, []float32{1.5}}, {"c", []int{1}, []float32{1.5}}, {"none", []int{3, 0}, []float32{}}} {
		got := &f.Tensors[i]
		if got.Name != want.name || !reflect.DeepEqual(got.Shape, want.shape) || !slices.Equal(values(t, got), want.values) {
			t.Errorf("tensor %d: %+v, want %+v", i, got, want)
		}
	}
	if err := f.CheckDigest(); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "no sha256") {
		t.Errorf("error %v, want that there is no sha256", err)
	}
}

// What is wrong with a tensor is said of that tensor.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		what, b string // entry of tensor b; tensor a has bytes 0 to 8
		data    int    // bytes in the file
		name    string
		problem error
	}{
		{"cut", `"dtype":"F32","shape":[2],"data_offsets":[8,16]`, 15, "b", ErrTruncated},
		{"far away", `"dtype":"F32","shape":[2],"data_offsets":[9223372036854775799,9223372036854775807]`, 16, "b", ErrTruncated},
		{"other size", `"dtype":"F32","shape":[2],"data_offsets":[8,12]`, 12, "b", ErrOffsets},
		{"half the size", `"dtype":"F16","shape":[2],"data_offsets":[8,16]`, 16, "b", ErrOffsets},
		{"backwards", `"dtype":"F32","shape":[2],"data_offsets":[16,8]`, 16, "b", ErrOffsets},
		{"negative axes", `"dtype":"F32","shape":[-1,-2],"data_offsets":[8,16]`, 16, "b", ErrOffsets},
		{"overflowing shape", `"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[8,8]`, 8, "b", ErrOffsets},
		{"overlap", `"dtype":"F32","shape":[2],"data_offsets":[4,12]`, 12, "b", ErrOverlap},
		{"hole", `"dtype":"F32","shape":[2],"data_offsets":[12,20]`, 20, "b", ErrHole},
		{"integers", `"dtype":"I32","shape":[2],"data_offsets":[8,16]`, 16, "b", ErrDType},
		{"negative place", `"dtype":"F32","shape":[2],"data_offsets":[-8,0]`, 8, "b", ErrOffsets},
		{"before the first", `"dtype":"F32","shape":[1],"data_offsets":[0,4]`, 8, "a", ErrOverlap},
	} {
		f, err := newReader(file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{`+c.b+`}}`, make([]byte, c.data)...))
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		var fault *Fault
		err = f.Check()
		if !errors.As(err, &fault) || fault.Name != c.name || !errors.Is(err, c.problem) || !errors.Is(err, ErrFormat) {
			t.Errorf("%s: error %v, want %v of tensor %q", c.what, err, c.problem, c.name)
		}
		if err := f.CheckDigest(); !errors.As(err, &fault) {
			t.Errorf("%s: the digest is checked first: %v", c.what, err)
		}
	}
}

func TestHeaderErrors(t *testing.T) {
	const entry = `{"dtype":"F32","shape":[1],"data_offsets":[0,4]}`
	for want, content := range map[string][]byte{
		"7 bytes":                          make([]byte, 7),
		"want at most 4":                   append(binary.LittleEndian.AppendUint64(nil, math.MaxUint64), 0, 0, 0, 0),
		`starts with "", want '{'`:         make([]byte, 12),
		`starts with "[]", want '{'`:       file("[]"),
		"unexpected EOF":                   file(`{"a":`),
		`key "a": there more than once`:    file(`{"a":`+entry+`,"a":`+entry+`}`, 0, 0, 0, 0),
		`tensor "a": unknown field`:        file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":0}}`, 0, 0, 0, 0),
		`tensor "a": no "dtype"`:           file(`{"a":{"DTYPE":"F32","shape":[1],"data_offsets":[0,4]}}`, 0, 0, 0, 0),
		`tensor "a": no "shape"`:           file(`{"a":{"dtype":"F32","shape":null,"data_offsets":[0,4]}}`, 0, 0, 0, 0),
		"data_offsets: 3 numbers, want 2":  file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}}`, 0, 0, 0, 0),
		"__metadata__":                     file(`{"__metadata__":{"step":1}}`),
		"5 bytes of data, the tensors of":  file(`{"a":`+entry+`}`, 0, 0, 0, 0, 0),
		"1 bytes of data, the tensors of":  file(`{}`, 0),
		"header of 100000001 bytes in a f": binary.LittleEndian.AppendUint64(nil, 100_000_001),
	} {
		if _, err := newReader(content); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want ErrFormat with %q", err, want)
		}
	}
}

// A disk that fails is no fault of the file.
func TestReadError(t *testing.T) {
	broken := errors.New("input/output error")
	content := digested()
	for _, good := range []int{0, 8, len(content) - 1} { // bytes before the bad sector
		f, err := NewReader(brokenAt{bytes.NewReader(content), int64(good), broken}, int64(len(content)))
		if err == nil {
			err = f.CheckDigest()
		}
		if !errors.Is(err, broken) || errors.Is(err, ErrFormat) {
			t.Errorf("after %d bytes: error %v, want %v", good, err, broken)
		}
	}
	// A file that was cut after its size was asked for.
	for _, cut := range []int{4, 20, len(content) - 1} {
		f, err := NewReader(bytes.NewReader(content[:cut]), int64(len(content)))
		if err == nil {
			err = f.CheckDigest()
		}
		if !errors.Is(err, ErrFormat) {
			t.Errorf("cut to %d bytes: error %v, want ErrFormat", cut, err)
		}
	}
}

type brokenAt struct {
	io.ReaderAt
	good int64
	err  error
}

func (b brokenAt) ReadAt(p []byte, at int64) (int, error) {
	if at+int64(len(p)) > b.good {
		return 0, b.err
	}
	return b.ReaderAt.ReadAt(p, at)
}

// digested is a file with a digest put together from the format's description: tensors sorted by name, not by place,
// and the digest amid other metadata, as a writer may order them that leaves the order to a map.
func digested() []byte {
	const zeros = "0000000000000000000000000000000000000000000000000000000000000000"
	header := `{"__metadata__":{"format":"run","sha256":"` + zeros + `","step":"3"},"momentum/a":{"dtype":"F32","shape":[1],"data_offsets":[8,12]},` +
		`"param/a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}} `
	data := []byte{0, 0, 0xc0, 0x3f, 0, 0, 0, 0xc0, 0, 0, 0x80, 0x3f}
	sum := sha256.Sum256(append([]byte(header), data...))
	return file(strings.Replace(header, zeros, hex.EncodeToString(sum[:]), 1), data...)
}

func TestDigestOfAnotherWriter(t *testing.T) {
	f, err := newReader(digested())
	if err != nil {
		t.Fatal(err)
	}
	if err := f.CheckDigest(); err != nil {
		t.Error(err)
	}
	if got := values(t, &f.Tensors[1]); f.Tensors[1].Name != "momentum/a" || !slices.Equal(got, []float32{1}) {
		t.Errorf("%s is %v, want momentum/a of 1", f.Tensors[1].Name, got)
	}
}

// No flip of a bit, anywhere, is taken for a sound file; nor is a cut or a longer one.
func TestEveryBit(t *testing.T) {
	var ours bytes.Buffer
	if err := WriteDigest(&ours, map[string]string{"step": "3"}, sources()); err != nil {
		t.Fatal(err)
	}
	check := func(content []byte) error {
		f, err := newReader(content)
		if err == nil {
			err = f.CheckDigest()
		}
		return err
	}
	for _, sound := range [][]byte{digested(), ours.Bytes()} {
		if err := check(sound); err != nil {
			t.Fatal(err)
		}
		for bit := range len(sound) * 8 {
			content := slices.Clone(sound)
			content[bit/8] ^= 1 << (bit % 8)
			if err := check(content); !errors.Is(err, ErrFormat) {
				t.Errorf("bit %d of byte %d: error %v, want ErrFormat", bit%8, bit/8, err)
			}
		}
		for n := range sound {
			if err := check(sound[:n]); !errors.Is(err, ErrFormat) {
				t.Errorf("cut to %d bytes: error %v, want ErrFormat", n, err)
			}
		}
		if err := check(append(slices.Clone(sound), 0)); !errors.Is(err, ErrFormat) {
			t.Errorf("a byte more: error %v, want ErrFormat", err)
		}
	}
}

// sources are two tensors, one of them in pieces.
func sources() []Source {
	return []Source{
		{Name: "param/<b>", DType: F32, Shape: []int{3, 1}, Values: inPieces([]float32{1.5}, nil, []float32{-2, 1})},
		{Name: "a", DType: F16, Shape: nil, Values: Whole([]float32{1.5})},
	}
}

func inPieces(pieces ...[]float32) iter.Seq[[]float32] { return slices.Values(pieces) }

// The whole file by hand: order kept, metadata sorted, the header padded to a multiple of 8 bytes.
func TestWrite(t *testing.T) {
	const header = `{"__metadata__":{"format":"pt","x":""},"param/\u003cb\u003e":{"dtype":"F32","shape":[3,1],"data_offsets":[0,12]},` +
		`"a":{"dtype":"F16","shape":[],"data_offsets":[12,14]}}`
	want := file(header+strings.Repeat(" ", 7-(len(header)+7)%8), 0, 0, 0xc0, 0x3f, 0, 0, 0, 0xc0, 0, 0, 0x80, 0x3f, 0, 0x3e)
	var got bytes.Buffer
	if err := Write(&got, map[string]string{"x": "", "format": "pt"}, sources()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%q\nwant\n%q", got.Bytes(), want)
	}
	got.Reset()
	if err := Write(&got, nil, nil); err != nil || !bytes.Equal(got.Bytes(), file("{}      ")) {
		t.Errorf("an empty file is %q, %v", got.Bytes(), err)
	}
}

// The zeros that stand for the digest may be in any other text.
func TestDigestAmidZeros(t *testing.T) {
	var out bytes.Buffer
	tensors := []Source{{Name: noDigest, DType: F32, Shape: []int{1}, Values: Whole([]float32{0})}}
	if err := WriteDigest(&out, map[string]string{noDigest: noDigest, "a": noDigest}, tensors); err != nil {
		t.Fatal(err)
	}
	f, err := newReader(out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := f.CheckDigest(); err != nil || f.Metadata["a"] != noDigest {
		t.Errorf("%v, metadata %v", err, f.Metadata)
	}
}

func TestWriteErrors(t *testing.T) {
	one := Whole([]float32{1})
	for what, c := range map[string]struct {
		tensors []Source
		want    error
	}{
		"name twice":           {[]Source{{"a", F32, []int{1}, one, nil}, {"a", F32, []int{1}, one, nil}}, ErrDuplicate},
		"name of the metadata": {[]Source{{"__metadata__", F32, []int{1}, one, nil}}, ErrDuplicate},
		"integers":             {[]Source{{"a", "I64", []int{1}, one, nil}}, ErrDType},
		"too few values":       {[]Source{{"a", F32, []int{2}, one, nil}}, ErrOffsets},
		"too many values":      {[]Source{{"a", F32, []int{0}, one, nil}}, ErrOffsets},
		"negative axis":        {[]Source{{"a", F32, []int{-1}, one, nil}}, ErrOffsets},
		"65520 as float16":     {[]Source{{"a", F16, []int{1}, Whole([]float32{65520}), nil}}, ErrNotFinite},
		"NaN as float16":       {[]Source{{"a", F16, []int{1}, Whole([]float32{float32(math.NaN())}), nil}}, ErrNotFinite},
	} {
		for _, write := range []func(io.Writer, map[string]string, []Source) error{Write, WriteDigest} {
			if err := write(io.Discard, nil, c.tensors); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.tensors[0].Name) {
				t.Errorf("%s: error %v, want %v with the name", what, err, c.want)
			}
		}
	}
	if err := WriteDigest(io.Discard, map[string]string{"sha256": ""}, nil); err == nil {
		t.Error("no error for metadata that takes the digest's key")
	}
	full := errors.New("no space left on device")
	if err := Write(failing{full}, nil, sources()); !errors.Is(err, full) {
		t.Errorf("error %v, want %v", err, full)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// float32 values keep their bits, NaN and -0 too, across the pieces in which they are coded.
func TestBits(t *testing.T) {
	want := make([]float32, piece/4*2+3)
	for i := range want {
		want[i] = math.Float32frombits(uint32(i) * 2654435761)
	}
	want[0], want[1], want[2] = float32(math.Copysign(0, -1)), math.Float32frombits(0x7fc12345), float32(math.Inf(-1))
	var out bytes.Buffer
	if err := Write(&out, nil, []Source{{Name: "a", DType: F32, Shape: []int{len(want)}, Values: Whole(want)}}); err != nil {
		t.Fatal(err)
	}
	f, err := newReader(out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range values(t, &f.Tensors[0]) {
		if math.Float32bits(v) != math.Float32bits(want[i]) {
			t.Fatalf("value %d has bits %#x, want %#x", i, math.Float32bits(v), math.Float32bits(want[i]))
		}
	}
	if err := NewDecoder(bytes.NewReader(make([]byte, 7)), F32).Decode(make([]float32, 2)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a stream cut short: %v", err)
	}
}

// A file that is accepted is filled by its tensors, each of the size of its shape, and reads the same once written.
func FuzzReader(f *testing.F) {
	f.Add(digested())
	f.Add(file(`{"a":{"dtype":"F16","shape":[2,0],"data_offsets":[0,0]},"b":{"dtype":"F16","shape":[],"data_offsets":[0,2]}}`, 0, 0x3e))
	f.Add(file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 0, 0, 0xc0, 0x3f))
	f.Fuzz(func(t *testing.T, content []byte) {
		var file *Reader
		var err error
		fuzztest.Within(t, len(content), func() { file, err = newReader(content) })
		if err != nil || file.Check() != nil {
			return
		}
		at := int64(8 + len(file.header))
		var again []Source
		for i := range file.Tensors {
			tensor := &file.Tensors[i]
			raw, err := io.ReadAll(tensor.Open())
			if err != nil || !bytes.Equal(raw, content[at:at+int64(len(raw))]) {
				t.Fatalf("tensor %q is not the bytes from %d on: %v", tensor.Name, at, err)
			}
			at += int64(len(raw))
			again = append(again, Source{Name: tensor.Name, DType: F32, Shape: tensor.Shape, Values: Whole(values(t, tensor))})
		}
		if at != int64(len(content)) {
			t.Fatalf("%d bytes, the tensors end after %d", len(content), at)
		}
		var out bytes.Buffer
		if err := Write(&out, file.Metadata, again); err != nil {
			t.Fatal(err)
		}
		back, err := newReader(out.Bytes())
		if err != nil || back.Check() != nil || len(back.Tensors) != len(file.Tensors) || len(back.Metadata) != len(file.Metadata) {
			t.Fatalf("written again: %v", err)
		}
	})
}
