package numpy

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// Bytes by hand, after numpy/lib/format.py: magic, version 1.0, the header's length, a dictionary padded with spaces so
// that the whole is a multiple of 64, then the values.
func TestWrite(t *testing.T) {
	for _, c := range []struct {
		array  Array
		dict   string
		values string
	}{
		{Float32("a", []int{1, 2}, []float32{1.5, -2}), "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }", "\x00\x00\xc0\x3f\x00\x00\x00\xc0"},
		{Float32("a", []int{0}, nil), "{'descr': '<f4', 'fortran_order': False, 'shape': (0,), }", ""},
		{Float32("a", nil, []float32{0}), "{'descr': '<f4', 'fortran_order': False, 'shape': (), }", "\x00\x00\x00\x00"},
		{Int64("a", []int{3, -1}), "{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }", "\x03\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"},
		{Strings("a", []string{"é", "", "ab"}), "{'descr': '<U2', 'fortran_order': False, 'shape': (3,), }",
			"\xe9\x00\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00" + "a\x00\x00\x00b\x00\x00\x00"},
		{Strings("a", nil), "{'descr': '<U1', 'fortran_order': False, 'shape': (0,), }", ""},
	} {
		var b bytes.Buffer
		if err := Write(&b, c.array); err != nil {
			t.Fatal(err)
		}
		head := "\x93NUMPY\x01\x00\x76\x00" + c.dict // 118 bytes follow the length
		want := head + strings.Repeat(" ", 127-len(head)) + "\n" + c.values
		if b.String() != want {
			t.Errorf("wrote\n%q, want\n%q", b.String(), want)
		}
	}
}

func TestWriteZip(t *testing.T) {
	arrays := []Array{Float32("features", []int{2, 1}, []float32{1, 2}), Strings("paths", []string{"a/b.png", "c.png"})}
	var b bytes.Buffer
	if err := WriteZip(&b, arrays); err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r) // checks the sum
		if err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		if err := Write(&want, arrays[i]); err != nil {
			t.Fatal(err)
		}
		if f.Name != arrays[i].Name+".npy" || f.Flags&8 != 0 || !bytes.Equal(got, want.Bytes()) {
			t.Errorf("member %d is %s with flags %#x", i, f.Name, f.Flags)
		}
	}
	full := errors.New("no space left on device")
	if err := WriteZip(failing{full}, arrays); !errors.Is(err, full) {
		t.Errorf("error %v, want %v", err, full)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
