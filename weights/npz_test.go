package weights

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/bigtransfer/bit/internal/fixture"
	"github.com/bigtransfer/bit/resnet"
)

// zipMember is one member of an archive under construction.
type zipMember struct {
	name string
	data []byte
}

func readMembers(t testing.TB, path string) []zipMember {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var ms []zipMember
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		ms = append(ms, zipMember{f.Name, data})
	}
	return ms
}

// writeZip makes an archive of stored members without data descriptors, as NumPy does.
func writeZip(t testing.TB, ms []zipMember) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, m := range ms {
		w, err := z.CreateRaw(&zip.FileHeader{
			Name: m.name, Method: zip.Store, CRC32: crc32.ChecksumIEEE(m.data),
			CompressedSize64: uint64(len(m.data)), UncompressedSize64: uint64(len(m.data)),
		})
		if err == nil {
			_, err = w.Write(m.data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// npy makes a .npy file of version 1 with the given header dictionary.
func npy(dict string, data []byte) []byte {
	dict += strings.Repeat(" ", 63-(10+len(dict))%64) + "\n"
	b := append([]byte("\x93NUMPY\x01\x00"), byte(len(dict)), byte(len(dict)>>8))
	return append(append(b, dict...), data...)
}

func openBytes(file []byte) (*Model, error) {
	return OpenFS(fstest.MapFS{"x.npz": {Data: file}}, "x.npz")
}

// wantTensorError fails unless err is a TensorError with these fields that names everything in its text.
func wantTensorError(t *testing.T, err error, name string, problem error, want, got []int) {
	t.Helper()
	var te *TensorError
	if !errors.As(err, &te) {
		t.Fatalf("error %v, want a TensorError", err)
	}
	if te.Name != name || !errors.Is(err, problem) || !slices.Equal(te.Want, want) || !slices.Equal(te.Got, got) {
		t.Fatalf("%v\nis name %q, problem %q, expected %v, found %v\nwant name %q, problem %q, expected %v, found %v",
			err, te.Name, te.Problem, te.Want, te.Got, name, problem, want, got)
	}
	for _, part := range []string{te.File, name, problem.Error(), "expected " + formatShape(want), "found " + formatShape(got)} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

const (
	conv2     = "resnet/block2/unit02/b/standardized_conv2d/kernel"
	lastNorm  = "resnet/group_norm/gamma"
	stemInNpz = "resnet/root_block/standardized_conv2d/kernel"
)

// Every way that one tensor of a real file can go wrong.
func TestNpzCorruption(t *testing.T) {
	real := readMembers(t, fixture.Case(t, "official-tiny", "weights.npz"))
	edit := func(name string, f func(data []byte) []byte) func([]zipMember) []zipMember {
		return func(ms []zipMember) []zipMember {
			for i := range ms {
				if ms[i].name == name+".npy" {
					ms[i].data = f(bytes.Clone(ms[i].data))
					return ms
				}
			}
			panic("no member " + name)
		}
	}
	header := func(name, from, to string) func([]zipMember) []zipMember {
		return edit(name, func(data []byte) []byte {
			text := strings.TrimSpace(string(data[10:128]))
			if !strings.Contains(text, from) {
				panic("no " + from + " in " + text)
			}
			return npy(strings.Replace(text, from, to, 1), data[128:])
		})
	}
	value := func(name string, i int, v float64) func([]zipMember) []zipMember {
		return edit(name, func(data []byte) []byte {
			binary.LittleEndian.PutUint32(data[128+4*i:], math.Float32bits(float32(v)))
			return data
		})
	}
	remove := func(name string) func([]zipMember) []zipMember {
		return func(ms []zipMember) []zipMember {
			return slices.DeleteFunc(ms, func(m zipMember) bool { return m.name == name+".npy" })
		}
	}
	add := func(name string) func([]zipMember) []zipMember {
		return func(ms []zipMember) []zipMember {
			return append(ms, zipMember{name + ".npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", make([]byte, 8))})
		}
	}
	shape := []int{3, 3, 64, 64}
	for _, c := range []struct {
		what      string
		change    func([]zipMember) []zipMember
		name      string
		problem   error
		want, got []int
	}{
		{"wrong shape, same size", header(conv2, "(3, 3, 64, 64)", "(3, 3, 32, 128)"), conv2, ErrShape, shape, []int{3, 3, 32, 128}},
		{"kernel with too few axes", header(conv2, "(3, 3, 64, 64)", "(3, 3, 4096)"), conv2, ErrShape, shape, []int{3, 3, 4096}},
		{"stem that is no 7x7", header(stemInNpz, "(7, 7, 3, 32)", "(7, 3, 7, 32)"), stemInNpz, ErrShape, []int{7, 7, -1, -1}, []int{7, 3, 7, 32}},
		{"missing", remove(conv2), conv2, ErrMissing, shape, nil},
		{"missing stem", remove(stemInNpz), stemInNpz, ErrMissing, []int{7, 7, -1, -1}, nil},
		{"missing last kernel of a block", remove("resnet/block3/unit01/c/standardized_conv2d/kernel"),
			"resnet/block3/unit01/c/standardized_conv2d/kernel", ErrMissing, []int{1, 1, -1, -1}, nil},
		{"missing projection", remove("resnet/block1/unit01/a/proj/standardized_conv2d/kernel"),
			"resnet/block1/unit01/a/proj/standardized_conv2d/kernel", ErrMissing, []int{1, 1, 32, 128}, nil},
		{"missing bias", remove("resnet/head/conv2d/bias"), "resnet/head/conv2d/bias", ErrMissing, []int{-1}, nil},
		{"extra", add("resnet/head/conv2d/momentum"), "resnet/head/conv2d/momentum", ErrUnexpected, nil, []int{2}},
		{"extra unit", add("resnet/block1/unit02/b/group_norm/gamma"), "resnet/block1/unit02/a/group_norm/gamma", ErrMissing, []int{128}, nil},
		{"absurd unit number", add("resnet/block1/unit9999/a/group_norm/gamma"), "resnet/block1/unit9999/a/group_norm/gamma", ErrUnexpected, nil, []int{2}},
		{"twice", add(conv2), conv2, ErrDuplicate, nil, []int{2}},
		{"twice, once with a counter", add("resnet/block2/unit02/b/standardized_conv2d_4/kernel"),
			"resnet/block2/unit02/b/standardized_conv2d_4/kernel", ErrDuplicate, nil, []int{2}},
		{"data cut short", edit(conv2, func(d []byte) []byte { return d[:len(d)-1] }), conv2, ErrTruncated, shape, shape},
		{"no data", edit(conv2, func(d []byte) []byte { return d[:128] }), conv2, ErrTruncated, shape, shape},
		{"header cut short", edit(conv2, func(d []byte) []byte { return d[:100] }), conv2, ErrCorrupt, shape, nil},
		{"too much data", edit(conv2, func(d []byte) []byte { return append(d, 0) }), conv2, ErrOffsets, shape, shape},
		{"no array", edit(conv2, func(d []byte) []byte { return []byte("hello") }), conv2, ErrCorrupt, shape, nil},
		{"no header text", edit(conv2, func(d []byte) []byte { copy(d[10:128], make([]byte, 118)); return d }), conv2, ErrCorrupt, shape, nil},
		{"unreadable stem", edit(stemInNpz, func(d []byte) []byte { return nil }), stemInNpz, ErrCorrupt, []int{7, 7, -1, -1}, nil},
		{"NaN", value(conv2, 64*64+2*64+5, math.NaN()), conv2, ErrNotFinite, shape, shape},
		{"infinity", value(conv2, 3*3*64*64-1, math.Inf(-1)), conv2, ErrNotFinite, shape, shape},
		{"NaN in a vector", value(lastNorm, 0, math.NaN()), lastNorm, ErrNotFinite, []int{1024}, []int{1024}},
		{"big-endian", header(conv2, "<f4", ">f4"), conv2, ErrDType, shape, shape},
		{"integers", header(conv2, "<f4", "<i4"), conv2, ErrDType, shape, shape},
		{"double precision", func(ms []zipMember) []zipMember {
			return edit(conv2, func(d []byte) []byte { return append(d, d[128:]...) })(header(conv2, "<f4", "<f8")(ms))
		}, conv2, ErrDType, shape, shape},
		{"half precision of twice the data", header(conv2, "<f4", "<f2"), conv2, ErrOffsets, shape, shape},
		{"Fortran order", header(conv2, "False", "True"), conv2, ErrOrder, shape, shape},
		{"shape beyond an int", header(conv2, "(3, 3, 64, 64)", "(99999999999999999999,)"), conv2, ErrCorrupt, shape, nil},
		{"more values than an int", header(conv2, "(3, 3, 64, 64)", "(9999999999, 9999999999)"), conv2, ErrShape, shape, []int{9999999999, 9999999999}},
	} {
		t.Run(c.what, func(t *testing.T) {
			_, err := openBytes(writeZip(t, c.change(slices.Clone(real))))
			wantTensorError(t, err, c.name, c.problem, c.want, c.got)
		})
	}
}

func TestNpzNotFiniteSaysWhere(t *testing.T) {
	ms := readMembers(t, fixture.Case(t, "official-tiny", "weights.npz"))
	for _, m := range ms {
		if m.name == conv2+".npy" {
			binary.LittleEndian.PutUint32(m.data[128+4*(((1*3+2)*64+7)*64+9):], math.Float32bits(float32(math.Inf(1))))
		}
	}
	_, err := openBytes(writeZip(t, ms))
	if err == nil || !strings.Contains(err.Error(), "+Inf at (1, 2, 7, 9)") {
		t.Errorf("error %v, want +Inf at (1, 2, 7, 9)", err)
	}
}

// A numeric counter on a component is no difference.
func TestNpzCounter(t *testing.T) {
	path := fixture.Case(t, "official-tiny", "weights.npz")
	ms := readMembers(t, path)
	for i := range ms {
		ms[i].name = strings.Replace(ms[i].name, "standardized_conv2d/", fmt.Sprintf("standardized_conv2d_%d/", i), 1)
	}
	m, err := openBytes(writeZip(t, ms))
	if err != nil {
		t.Fatal(err)
	}
	sameTensors(t, m.Tensors, open(t, path).Tensors)
}

// Order of members and compression do not matter.
func TestNpzCompressedAndReordered(t *testing.T) {
	path := fixture.Case(t, "official-tiny", "weights.npz")
	ms := readMembers(t, path)
	slices.SortFunc(ms, func(a, b zipMember) int { return strings.Compare(b.name, a.name) })
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, m := range ms {
		w, err := z.Create(m.name) // deflated, with a data descriptor
		if err == nil {
			_, err = w.Write(m.data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	m, err := openBytes(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	sameTensors(t, m.Tensors, open(t, path).Tensors)
}

// A file that ends early has lost its zip directory; the array it ends in is named all the same.
func TestNpzCut(t *testing.T) {
	file := writeZip(t, readMembers(t, fixture.Case(t, "official-tiny", "weights.npz")))
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	shapes := map[string][]int{}
	for _, p := range npzNaming.params(open(t, fixture.Case(t, "official-tiny", "weights.npz")).Config) {
		shapes[p.file] = p.stored
	}
	for _, f := range z.File {
		name := strings.TrimSuffix(f.Name, ".npy")
		at, err := f.DataOffset()
		if err != nil {
			t.Fatal(err)
		}
		for _, cut := range []int64{at + 128, at + 129, at + int64(f.UncompressedSize64) - 1} {
			_, err := openBytes(file[:cut])
			wantTensorError(t, err, name, ErrTruncated, shapes[name], shapes[name])
		}
		if _, err := openBytes(file[:at]); !errors.Is(err, ErrTruncated) || !strings.Contains(err.Error(), name) {
			t.Errorf("cut before the data of %s: %v", name, err)
		}
	}
	for _, n := range []int{0, 1, 3, 4, 29, 40, len(file) - 1, len(file) - 22, len(file) - 23, len(file) - 1000} {
		if _, err := openBytes(file[:n]); err == nil {
			t.Errorf("no error for the first %d bytes", n)
		}
	}
}

func TestNpzChecksum(t *testing.T) {
	file := writeZip(t, readMembers(t, fixture.Case(t, "official-tiny", "weights.npz")))
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		if f.Name == conv2+".npy" {
			at, err := f.DataOffset()
			if err != nil {
				t.Fatal(err)
			}
			file[at+5000] ^= 1 // the lowest bit of a float: still a fine number
		}
	}
	_, err = openBytes(file)
	wantTensorError(t, err, conv2, ErrCorrupt, []int{3, 3, 64, 64}, []int{3, 3, 64, 64})
	if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("error %v, want the checksum named", err)
	}
}

// centralEntries returns the position of every central directory entry of an archive without zip64 records.
func centralEntries(file []byte) map[string]int {
	le := binary.LittleEndian
	at := int(le.Uint32(file[len(file)-6:]))
	entries := map[string]int{}
	for le.Uint32(file[at:]) == 0x02014b50 {
		n, x, c := int(le.Uint16(file[at+28:])), int(le.Uint16(file[at+30:])), int(le.Uint16(file[at+32:]))
		entries[string(file[at+46:at+46+n])] = at
		at += 46 + n + x + c
	}
	return entries
}

// Two names for one place, and a member that claims more than there is.
func TestNpzPlaces(t *testing.T) {
	le := binary.LittleEndian
	real := writeZip(t, readMembers(t, fixture.Case(t, "official-tiny", "weights.npz")))
	gamma, beta := "resnet/block2/unit01/c/group_norm/gamma", "resnet/block2/unit01/c/group_norm/beta"

	file := bytes.Clone(real)
	at := centralEntries(file)
	copy(file[at[beta+".npy"]+42:], real[at[gamma+".npy"]+42:][:4]) // offset of the local header
	_, err := openBytes(file)
	var te *TensorError
	if !errors.As(err, &te) || !errors.Is(err, ErrOverlap) || te.Name != beta && te.Name != gamma {
		t.Errorf("error %v, want that %s and %s overlap", err, gamma, beta)
	}

	file = bytes.Clone(real)
	le.PutUint32(file[at[conv2+".npy"]+20:], uint32(len(file)))
	_, err = openBytes(file)
	wantTensorErrorNoShape(t, err, conv2, ErrTruncated)

	file = bytes.Clone(real)
	le.PutUint32(file[at[conv2+".npy"]+24:], 1<<31) // unpacked size of a stored member
	_, err = openBytes(file)
	wantTensorErrorNoShape(t, err, conv2, ErrOffsets)
}

func wantTensorErrorNoShape(t *testing.T, err error, name string, problem error) {
	t.Helper()
	var te *TensorError
	if !errors.As(err, &te) || te.Name != name || !errors.Is(err, problem) || te.Want == nil {
		t.Errorf("error %v, want %q: %v", err, name, problem)
	}
}

// zip64 writes stored members as Python does beyond 2 GiB: offsets (and, if sizes is set, sizes) live in zip64 extra
// fields, and the number of entries and the place of the directory in the zip64 end records.
func zip64(ms []zipMember, sizes bool) []byte {
	le := binary.LittleEndian
	var file, central []byte
	for _, m := range ms {
		at := uint64(len(file))
		n, crc := uint64(len(m.data)), crc32.ChecksumIEEE(m.data)
		size32, extra := uint32(n), []byte(nil)
		if sizes {
			size32 = math.MaxUint32
			extra = le.AppendUint64(le.AppendUint64(nil, n), n)
			extra = append(le.AppendUint16(le.AppendUint16(nil, 1), 16), extra...)
		}
		fixed := func(b []byte) []byte { // the part that local and central headers share
			b = le.AppendUint16(b, 45) // version needed
			b = append(b, make([]byte, 8)...)
			b = le.AppendUint32(b, crc)
			return le.AppendUint16(le.AppendUint32(le.AppendUint32(b, size32), size32), uint16(len(m.name)))
		}
		file = fixed(le.AppendUint32(file, 0x04034b50))
		file = le.AppendUint16(file, uint16(len(extra)))
		file = append(append(append(file, m.name...), extra...), m.data...)

		extra = nil
		if sizes {
			extra = le.AppendUint64(le.AppendUint64(nil, n), n)
		}
		extra = le.AppendUint64(extra, at)
		extra = append(le.AppendUint16(le.AppendUint16(nil, 1), uint16(len(extra))), extra...)
		central = fixed(le.AppendUint16(le.AppendUint32(central, 0x02014b50), 45))
		central = le.AppendUint16(central, uint16(len(extra)))
		central = append(central, make([]byte, 10)...) // comment, disk, attributes
		central = le.AppendUint32(central, math.MaxUint32)
		central = append(append(central, m.name...), extra...)
	}
	at := uint64(len(file))
	file = append(file, central...)
	end := uint64(len(file))
	file = le.AppendUint64(le.AppendUint32(file, 0x06064b50), 44)
	file = le.AppendUint16(le.AppendUint16(file, 45), 45)
	file = append(file, make([]byte, 8)...)
	for _, v := range []uint64{uint64(len(ms)), uint64(len(ms)), uint64(len(central)), at} {
		file = le.AppendUint64(file, v)
	}
	file = append(le.AppendUint32(file, 0x07064b50), make([]byte, 4)...)
	file = le.AppendUint32(le.AppendUint64(file, end), 1)
	file = append(le.AppendUint32(file, 0x06054b50), make([]byte, 4)...)
	file = le.AppendUint16(le.AppendUint16(file, math.MaxUint16), math.MaxUint16)
	file = le.AppendUint32(le.AppendUint32(file, math.MaxUint32), math.MaxUint32)
	return append(file, 0, 0)
}

func TestNpzZip64(t *testing.T) {
	path := fixture.Case(t, "official-tiny", "weights.npz")
	ms := readMembers(t, path)
	for _, sizes := range []bool{false, true} {
		file := zip64(ms, sizes)
		m, err := openBytes(file)
		if err != nil {
			t.Fatalf("sizes in zip64: %v: %v", sizes, err)
		}
		sameTensors(t, m.Tensors, open(t, path).Tensors)
		// Cut in the middle: the walk over local headers follows zip64 sizes too.
		if _, err := openBytes(file[:len(file)/2]); !errors.Is(err, ErrTruncated) {
			t.Errorf("sizes in zip64: %v: cut in half: %v, want %v", sizes, err, ErrTruncated)
		}
	}
}

// A few hundred bytes that claim gigabytes cost no gigabytes.
func TestNpzClaims(t *testing.T) {
	deflated := func(name string, data []byte, size uint64) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		var packed bytes.Buffer
		w, err := z.CreateRaw(&zip.FileHeader{Name: name, Method: zip.Deflate, UncompressedSize64: size, CompressedSize64: uint64(len(data) + 5)})
		if err != nil {
			t.Fatal(err)
		}
		packed.WriteByte(1) // one stored block, the last
		packed.Write(binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(nil, uint16(len(data))), ^uint16(len(data))))
		packed.Write(data)
		w.Write(packed.Bytes())
		z.Close()
		return b.Bytes()
	}
	dict := func(shape string) []byte {
		return npy("{'descr': '<f4', 'fortran_order': False, 'shape': "+shape+", }", make([]byte, 8))
	}
	const bias = "resnet/head/conv2d/bias.npy"
	for what, file := range map[string][]byte{
		"stored":         writeZip(t, []zipMember{{bias, dict("(3000000000,)")}}),
		"stored, 2^63":   writeZip(t, []zipMember{{bias, dict("(3037000500, 3037000500)")}}),
		"deflated":       deflated(bias, dict("(3000000000,)"), 128+12_000_000_000),
		"header of 4 GB": writeZip(t, []zipMember{{bias, []byte("\x93NUMPY\x02\x00\xff\xff\xff\xff{")}}),
		"many axes":      writeZip(t, []zipMember{{bias, dict("(" + strings.Repeat("1,", 3000) + ")")}}),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := openBytes(file)
		path := t.TempDir() + "/x.npz"
		if werr := os.WriteFile(path, file, 0o666); werr != nil {
			t.Fatal(werr)
		}
		_, err2 := ReadNpz(path)
		runtime.ReadMemStats(&after)
		if err == nil || err2 == nil && what != "many axes" {
			t.Errorf("%s: errors %v and %v, want two", what, err, err2)
		}
		if spent := after.TotalAlloc - before.TotalAlloc; spent > 16<<20 {
			t.Errorf("%s: %d bytes allocated for a file of %d", what, spent, len(file))
		}
	}
}

func TestNpyHeader(t *testing.T) {
	good := map[string]npyHeader{
		"{'descr': '<f4', 'fortran_order': False, 'shape': (7, 7, 3, 64), }": {descr: "<f4", shape: []int{7, 7, 3, 64}},
		"{'descr': '<f8', 'fortran_order': True, 'shape': (), }":             {descr: "<f8", fortran: true, shape: []int{}},
		`{"shape":(5,),"descr":"|u1","fortran_order":False}`:                 {descr: "|u1", shape: []int{5}},
		"{'shape': (2,\n 3), 'fortran_order': False , 'descr' : '<i8'}\n":    {descr: "<i8", shape: []int{2, 3}},
	}
	for text, want := range good {
		got, err := parseNpyHeader([]byte(text))
		if err != nil || got.descr != want.descr || got.fortran != want.fortran || !slices.Equal(got.shape, want.shape) || got.shape == nil {
			t.Errorf("%s: %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "{", "{}", "()", "{'descr': '<f4'}",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (7,)",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (7,)} x",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (-7,)}",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (7 7)}",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (,)}",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
		"{'descr': '<f4', 'fortran_order': 0, 'shape': (7,)}",
		"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (7,)}",
		"{'descr': '<f4', 'descr': '<f8', 'fortran_order': False, 'shape': (7,)}",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (7,), 'x': '1'}",
		"{'descr': '<f4' 'fortran_order': False, 'shape': (7,)}",
		`{'descr': '\x3cf4', 'fortran_order': False, 'shape': (7,)}`,
	} {
		if h, err := parseNpyHeader([]byte(text)); err == nil {
			t.Errorf("%s: %+v, want an error", text, h)
		}
	}
	for _, version := range []string{"\x01\x00\x46\x00", "\x02\x00\x46\x00\x00\x00", "\x03\x00\x46\x00\x00\x00"} {
		dict := fmt.Sprintf("%-70s", "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }")
		h, err := readNpyHeader(strings.NewReader("\x93NUMPY" + version + dict + "data"))
		if err != nil || !slices.Equal(h.shape, []int{3, 4}) || h.size != int64(6+len(version)+70) {
			t.Errorf("version %d: %+v, %v", version[0], h, err)
		}
	}
	if _, err := readNpyHeader(strings.NewReader("\x93NUMPY\x04\x00\x46\x00\x00\x00{}")); err == nil {
		t.Error("no error for version 4")
	}
}

// Element types that reference files use, from bytes written by hand.
func TestReadNpzTypes(t *testing.T) {
	member := func(name, descr string, n int, data string) zipMember {
		return zipMember{name + ".npy", npy(fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%d,), }", descr, n), []byte(data))}
	}
	path := t.TempDir() + "/types.npz"
	err := os.WriteFile(path, writeZip(t, []zipMember{
		member("f2", "<f2", 2, "\x00\x3c\x00\xc0"),
		member("f4", "<f4", 1, "\x00\x00\xc0\x7f"), // NaN
		member("f8", "<f8", 1, "\x00\x00\x00\x00\x00\x00\xf8\xbf"),
		member("i1", "|i1", 2, "\xff\x7f"),
		member("i2", "<i2", 1, "\xfe\xff"),
		member("i4", "<i4", 1, "\xfd\xff\xff\xff"),
		member("i8", "<i8", 1, "\xfc\xff\xff\xff\xff\xff\xff\xff"),
		member("u1", "|u1", 1, "\xff"),
		member("u2", "<u2", 1, "\xff\xff"),
		member("u4", "<u4", 1, "\xff\xff\xff\xff"),
		{"scalar.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (), }", []byte("\x00\x00\x80\x3f"))},
		{"empty.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3), }", nil)},
	}), 0o666)
	if err != nil {
		t.Fatal(err)
	}
	arrays, err := ReadNpz(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]float64{
		"f2": {1, -2}, "f4": {math.NaN()}, "f8": {-1.5}, "i1": {-1, 127}, "i2": {-2}, "i4": {-3}, "i8": {-4},
		"u1": {255}, "u2": {65535}, "u4": {math.MaxUint32}, "scalar": {1}, "empty": {},
	} {
		got := arrays[name].Float64s()
		if !slices.EqualFunc(got, want, func(a, b float64) bool { return a == b || a != a && b != b }) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

// Depths, widths, channels and classes come back from nothing but names and shapes.
func TestInfer(t *testing.T) {
	want := resnet.Variant{Depth: 101, Width: 3}.Config(21843)
	want.Channels = 4
	for name, n := range map[string]naming{"npz": npzNaming, "Hugging Face": hfNaming, "timm": timmNaming} {
		var entries []entry
		for _, p := range n.params(want) {
			entries = append(entries, entry{name: p.file, key: p.file, shape: p.stored})
		}
		got, err := n.infer("x", entries)
		got.Groups, got.GNEpsilon, got.WSEpsilon = want.Groups, want.GNEpsilon, want.WSEpsilon
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, want)
		}
	}
}

// Half precision, NumPy's float16 and JAX's bfloat16, of which NumPy only knows the size.
func TestNpzHalf(t *testing.T) {
	bits := []uint16{0x3f80, 0xc000, 0x0000, 0x8000, 0x4049, 0x3eab, 0x0001, 0x7bff, 0xbf00, 0x42c8}
	for descr, want := range map[string][]float64{
		"<f2": {1.875, -2, 0, 0, 2.142578125, 1.6669921875, 0x1p-24, 65504, -1.75, 3.390625},
		"|V2": {1, -2, 0, 0, 3.140625, 0.333984375, 0x1p-133, 0x1.fep120, -0.5, 100},
	} {
		ms := readMembers(t, fixture.Case(t, "official-tiny", "weights.npz"))
		for i := range ms {
			if ms[i].name == "resnet/head/conv2d/bias.npy" {
				data, err := binary.Append(nil, binary.LittleEndian, bits)
				if err != nil {
					t.Fatal(err)
				}
				ms[i].data = npy("{'descr': '"+descr+"', 'fortran_order': False, 'shape': (10,), }", data)
			}
		}
		m, err := openBytes(writeZip(t, ms))
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range m.Tensors["head/bias"].Data {
			if float64(v) != want[i] {
				t.Errorf("%s %#04x is %v, want %v", descr, bits[i], v, want[i])
			}
		}
	}
}
