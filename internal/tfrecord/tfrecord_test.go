package tfrecord

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

// CRC32C of "123456789" is 0xe3069283 (RFC 3720 gives the polynomial; the value is the catalogue's check value). Rotated
// right by 15 bits it is 0x2507c60d; 0x2507c60d + 0xa282ead8 = 0xc78ab0e5.
func TestMaskedCRC(t *testing.T) {
	if got := maskedCRC([]byte("123456789")); got != 0xc78ab0e5 {
		t.Errorf("masked CRC32C is %#x, want 0xc78ab0e5", got)
	}
}

// Every event file that TensorFlow writes starts with a record of 24 bytes, whose header is these 12 bytes.
func TestHeaderOfEventFiles(t *testing.T) {
	got := Append(nil, make([]byte, 24))[:headerLen]
	if want := "1800000000000000a37f4b22"; hex.EncodeToString(got) != want {
		t.Errorf("header %x, want %s", got, want)
	}
	if !Is(got) {
		t.Error("the header is not recognised")
	}
	got[0]++
	if Is(got) || Is(got[:11]) || Is(nil) {
		t.Error("a damaged header is recognised")
	}
}

// written returns a file of records of many sizes, and the records.
func written(t *testing.T) (file []byte, records [][]byte) {
	var buf bytes.Buffer
	w := NewWriter(&buf)
	for i, n := range []int{0, 1, 7, 4096, 1<<20 - 4, 1 << 20, 3<<20 + 5, 2} {
		data := bytes.Repeat([]byte{byte(i + 1)}, n)
		if err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		records = append(records, data)
	}
	return buf.Bytes(), records
}

func TestReader(t *testing.T) {
	file, records := written(t)
	for _, r := range []io.Reader{bytes.NewReader(file), iotest.HalfReader(bytes.NewReader(file)), iotest.DataErrReader(bytes.NewReader(file))} {
		reader := NewReader(r)
		for i, want := range records {
			got, err := reader.Next()
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("record %d: %d bytes, error %v, want %d", i, len(got), err, len(want))
			}
			if at := reader.Offset(); !bytes.Equal(file[at:at+int64(len(want))], want) {
				t.Errorf("record %d is not at %d", i, at)
			}
		}
		if _, err := reader.Next(); err != io.EOF {
			t.Errorf("after the last record: %v, want EOF", err)
		}
	}
}

func TestBadFiles(t *testing.T) {
	good := Append(Append(nil, []byte("first")), []byte("second")) // 21 and 22 bytes
	flip := func(at int) []byte {
		b := bytes.Clone(good)
		b[at] ^= 1
		return b
	}
	claim := func(n uint64) []byte {
		b := binary.LittleEndian.AppendUint64(nil, n)
		return append(binary.LittleEndian.AppendUint32(b, maskedCRC(b)), "short"...)
	}
	for _, test := range []struct {
		name string
		file []byte
		good int // records before the error
		err  error
		text string
	}{
		{"length", flip(0), 0, ErrCorrupt, "record at byte 0: its length has the wrong checksum"},
		{"checksum of the length", flip(21 + 9), 1, ErrCorrupt, "record at byte 21: its length"},
		{"data", flip(21 + 13), 1, ErrCorrupt, "record at byte 21: its 6 bytes have the wrong checksum"},
		{"checksum of the data", flip(20), 0, ErrCorrupt, "record at byte 0"},
		{"claims 2^64-1 bytes", claim(math.MaxUint64), 0, ErrTruncated, "claims 18446744073709551615 bytes"},
		{"claims 2^40 bytes", claim(1 << 40), 0, ErrTruncated, "after 5 of 1099511627776 bytes"},
	} {
		checkBad(t, test.name, test.file, test.good, test.err, test.text)
	}
	for cut := range good {
		if cut == 0 || cut == 21 {
			continue // whole files
		}
		n := min(cut/21, 1)
		checkBad(t, fmt.Sprint("cut at ", cut), good[:cut], n, ErrTruncated, fmt.Sprintf("record at byte %d: cut short", 21*n))
	}
}

func checkBad(t *testing.T, name string, file []byte, good int, want error, text string) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := NewReader(bytes.NewReader(file))
	for range good {
		if _, err := r.Next(); err != nil {
			t.Errorf("%s: %v in a good record", name, err)
		}
	}
	_, err := r.Next()
	runtime.ReadMemStats(&after)
	if !errors.Is(err, want) || !strings.Contains(err.Error(), text) {
		t.Errorf("%s: error %v, want %v with %q", name, err, want, text)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
		t.Errorf("%s: %d bytes were allocated for a file of %d", name, used, len(file))
	}
}

func TestReadError(t *testing.T) {
	disk := errors.New("disk on fire")
	good := Append(nil, []byte("record"))
	for n := range good {
		r := NewReader(io.MultiReader(bytes.NewReader(good[:n]), iotest.ErrReader(disk)))
		if _, err := r.Next(); !errors.Is(err, disk) || errors.Is(err, ErrTruncated) {
			t.Errorf("failing after %d bytes: %v", n, err)
		}
	}
}

func TestWriteError(t *testing.T) {
	w := NewWriter(fails{})
	if err := w.Write([]byte("x")); err != io.ErrShortWrite {
		t.Errorf("error %v, want that of the writer", err)
	}
}

type fails struct{}

func (fails) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// What is read from any bytes is written back as the same bytes, up to the first error.
func FuzzReader(f *testing.F) {
	f.Add(Append(Append(nil, []byte("first")), []byte("second")))
	f.Add(Append(nil, nil)[:10])
	f.Fuzz(func(t *testing.T, file []byte) {
		var again []byte
		for r := NewReader(bytes.NewReader(file)); ; {
			record, err := r.Next()
			if err != nil {
				break
			}
			again = Append(again, record)
		}
		if !bytes.HasPrefix(file, again) {
			t.Errorf("%x was read as %x", file, again)
		}
	})
}
