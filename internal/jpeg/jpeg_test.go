package jpeg

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	stdjpeg "image/jpeg"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bigtransfer/bit/internal/cpu"
)

// That all samples of whole pictures are libjpeg-turbo's is tested where pixels are made, in package imaging.

// files are pictures of every kind that libjpeg's tools write, made by package imaging's testdata/gen.
func files(t testing.TB) map[string][]byte {
	paths, err := filepath.Glob("../../imaging/testdata/*.jpg")
	if err != nil || len(paths) < 11 {
		t.Fatalf("%d files, %v", len(paths), err)
	}
	m := map[string][]byte{}
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		m[filepath.Base(p)] = data
	}
	return m
}

// standard decodes with the standard library and returns its planes.
func standard(data []byte) ([]Plane, error) {
	m, err := stdjpeg.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	switch m := m.(type) {
	case *image.Gray:
		return []Plane{{Pix: m.Pix, Stride: m.Stride}}, nil
	case *image.YCbCr:
		return []Plane{{Pix: m.Y, Stride: m.YStride}, {Pix: m.Cb, Stride: m.CStride}, {Pix: m.Cr, Stride: m.CStride}}, nil
	}
	return nil, nil // converted already
}

// compare fails if the samples of two decodings differ by more than their inverse DCTs may: theirs is all but exact, and
// ours is within 1 of exact.
func compare(t *testing.T, name string, got *Picture, want []Plane) (samples, differ int) {
	t.Helper()
	if len(got.Planes) != len(want) {
		t.Fatalf("%s: %d planes, image/jpeg has %d", name, len(got.Planes), len(want))
	}
	for i, p := range got.Planes {
		for y := range p.H {
			for x := range p.W {
				d := int(p.Pix[y*p.Stride+x]) - int(want[i].Pix[y*want[i].Stride+x])
				if d < -1 || d > 1 {
					t.Fatalf("%s: plane %d at %d, %d is %d, by image/jpeg %d", name, i, x, y, p.Pix[y*p.Stride+x], want[i].Pix[y*want[i].Stride+x])
				}
				samples++
				if d != 0 {
					differ++
				}
			}
		}
	}
	return samples, differ
}

func TestDecodeBesideStandardLibrary(t *testing.T) {
	var d Decoder
	compared := 0
	for name, data := range files(t) {
		p, err := d.Decode(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if w, h, err := Size(data); err != nil || w != p.W || h != p.H {
			t.Errorf("%s: size %d x %d, %v; decoded %d x %d", name, w, h, err, p.W, p.H)
		}
		want, err := standard(data)
		if err != nil || want == nil {
			continue // CMYK and RGB, which image/jpeg refuses or converts
		}
		compared++
		if samples, differ := compare(t, name, p, want); differ*20 > samples {
			t.Errorf("%s: %d of %d samples differ", name, differ, samples)
		}
	}
	if compared < 7 {
		t.Errorf("only %d files compared", compared)
	}
}

// smooth is a picture with edges, slopes and some noise.
func smooth(w, h int, seed uint64, gray bool) image.Image {
	r := rand.New(rand.NewPCG(seed, 1))
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			v := uint8(x*5+y*3) ^ uint8(x/9%2*100)
			m.SetRGBA(x, y, color.RGBA{v, uint8(y * 4), v/2 + uint8(r.IntN(30)), 255})
		}
	}
	if !gray {
		return m
	}
	g := image.NewGray(m.Rect)
	for i := range g.Pix {
		g.Pix[i] = m.Pix[4*i]
	}
	return g
}

func encode(t testing.TB, m image.Image, quality int) []byte {
	var b bytes.Buffer
	if err := stdjpeg.Encode(&b, m, &stdjpeg.Options{Quality: quality}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// FuzzDecodeBesideStandardLibrary encodes pictures of any size and quality and decodes them in both ways.
func FuzzDecodeBesideStandardLibrary(f *testing.F) {
	for _, c := range [][3]int{{1, 1, 50}, {8, 8, 100}, {17, 9, 1}, {64, 48, 90}, {33, 100, 75}} {
		f.Add(uint8(c[0]), uint8(c[1]), uint8(c[2]), uint64(c[0]), true)
		f.Add(uint8(c[0]), uint8(c[1]), uint8(c[2]), uint64(c[0]), false)
	}
	f.Fuzz(func(t *testing.T, w, h, quality uint8, seed uint64, gray bool) {
		data := encode(t, smooth(1+int(w), 1+int(h), seed, gray), 1+int(quality)%100)
		for _, l := range cpu.Available() {
			restore := cpu.SetForTest(l)
			p, err := new(Decoder).Decode(data)
			restore()
			if err != nil {
				t.Fatal(err)
			}
			want, err := standard(data)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, string(l), p, want)
		}
	})
}

// FuzzDecode: nothing makes the decoder panic or return a picture without all its samples, and levels agree.
func FuzzDecode(f *testing.F) {
	for _, data := range files(f) {
		f.Add(data)
	}
	var d, plain Decoder // kept over all inputs: what one leaves behind must not matter to the next
	f.Fuzz(func(t *testing.T, data []byte) {
		w, h, err := Size(data)
		if err != nil || w*h > 1<<18 {
			return
		}
		p, err := d.Decode(data)
		restore := cpu.SetForTest(cpu.Generic)
		fresh, freshErr := plain.Decode(data)
		restore()
		if (err == nil) != (freshErr == nil) {
			t.Fatalf("%v, then %v", err, freshErr)
		}
		if err != nil {
			return
		}
		for i, pl := range p.Planes {
			if (pl.H-1)*pl.Stride+pl.W > len(pl.Pix) || pl.W*pl.Across < p.W || pl.H*pl.Down < p.H {
				t.Fatalf("%d x %d samples of %d x %d pixels in %d bytes of stride %d", pl.W, pl.H, pl.Across, pl.Down, len(pl.Pix), pl.Stride)
			}
			if !bytes.Equal(pl.Pix, fresh.Planes[i].Pix) {
				t.Fatal("levels differ")
			}
		}
	})
}

// TestDecoderKeepsNothing decodes files in turn with one Decoder, and each with a new one.
func TestDecoderKeepsNothing(t *testing.T) {
	var d Decoder
	for range 2 {
		for name, data := range files(t) {
			got, err := d.Decode(data)
			if err != nil {
				t.Fatal(err)
			}
			want, err := new(Decoder).Decode(data)
			if err != nil {
				t.Fatal(err)
			}
			for i, p := range want.Planes {
				for y := range p.H {
					if !bytes.Equal(p.Pix[y*p.Stride:][:p.W], got.Planes[i].Pix[y*p.Stride:][:p.W]) {
						t.Fatalf("%s: plane %d differs in row %d", name, i, y)
					}
				}
			}
			if _, err := d.Decode(data[:len(data)/2]); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("half of %s: %v", name, err)
			}
		}
	}
}

// with replaces the first occurrence of a byte string, which must be there.
func with(t *testing.T, data []byte, old, new string) []byte {
	t.Helper()
	if !bytes.Contains(data, []byte(old)) {
		t.Fatalf("the file lacks %q", old)
	}
	return bytes.Replace(bytes.Clone(data), []byte(old), []byte(new), 1)
}

func TestErrors(t *testing.T) {
	m := files(t)
	baseline, progressive, restarts := m["h2v2.jpg"], m["h2v2-progressive.jpg"], m["h2v2-restart.jpg"]
	band := bytes.Clone(progressive)
	copy(band[bytes.Index(band, []byte("\xff\xda\x00\x0c\x03"))+11:], "\x01\x05") // coefficients 1 to 5 instead of 0
	const frame = "\xff\xc0\x00\x11\x08"
	for _, c := range []struct {
		what string
		data []byte
		want error
	}{
		{"arithmetic coding", with(t, baseline, frame, "\xff\xc9\x00\x11\x08"),
			UnsupportedError("coding process SOF9 (arithmetic, lossless or hierarchical)")},
		{"12 bits", with(t, baseline, frame, "\xff\xc0\x00\x11\x0c"), UnsupportedError("12 bits a sample")},
		{"no start", baseline[2:], FormatError("no SOI marker at the start")},
		{"a picture without scans", append(bytes.Clone(baseline[:bytes.Index(baseline, []byte("\xff\xda"))]), 0xff, 0xd9),
			FormatError("component 1 has no scan")},
		{"two frames", with(t, baseline, "\xff\xc4", "\xff\xc0\x00\x11\x08\x00\x23\x00\x33\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01\xff\xc4"),
			FormatError("two frame headers")},
		{"a fraction", with(t, baseline, "\x01\x22\x00\x02\x11", "\x01\x33\x00\x02\x22"),
			UnsupportedError("a component sampled at a fraction of another's resolution")},
		{"a missing restart", with(t, restarts, "\xff\xd1", "\xff\xd2"), FormatError("restart marker 0xd1 is missing, found 0xd2")},
		{"a scan that ends early", with(t, restarts, "\xff\xd0", "\xff\xd9"), FormatError("restart marker 0xd0 is missing, found 0xd9")},
		{"a band of three components", band, FormatError("a progressive scan of coefficients that do not go together")},
		{"a refinement over and over", repeated(progressive, 200), FormatError("more than 200 scans")},
		{"an empty file", nil, io.ErrUnexpectedEOF},
	} {
		if _, err := new(Decoder).Decode(c.data); err != c.want {
			t.Errorf("%s: error %v, want %v", c.what, err, c.want)
		}
	}
}

// repeated returns a progressive file with the refinement of its DC coefficients so often again: a bit for each block,
// which changes nothing. libjpeg takes such a file for a valid one.
func repeated(data []byte, times int) []byte {
	at := bytes.Index(data, []byte("\x00\x00\x10")) // coefficients 0 to 0, bit 0 after bit 1
	first := bytes.LastIndex(data[:at], []byte("\xff\xda"))
	end := at + bytes.Index(data[at:], []byte("\xff\xc4")) // the tables of the next scan
	return slices.Concat(data[:end], bytes.Repeat(data[first:end], times), data[end:])
}

// A few scans more than needed are not an error.
func TestRepeatedScan(t *testing.T) {
	data := files(t)["h2v2-progressive.jpg"]
	if _, err := new(Decoder).Decode(repeated(data, 50)); err != nil {
		t.Error(err)
	}
}

// TestHuffmanTables: a code with more words than its lengths allow, and one of maximal length.
func TestHuffmanTables(t *testing.T) {
	var h huffman
	counts := make([]byte, 16)
	counts[0] = 3
	if err := h.build(counts, []byte{1, 2, 3}); err == nil {
		t.Error("three codes of one bit were accepted")
	}
	// One code of each length, 0, 10, 110, ...: the symbol of length n is n<<4, a run without a value, mod 256.
	for i := range counts {
		counts[i] = 1
	}
	symbols := make([]byte, 16)
	for i := range symbols {
		symbols[i] = byte(i+1) << 4
	}
	if err := h.build(counts, symbols); err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 16; n++ {
		r := bitReader{acc: ^uint64(0) << (65 - n), n: 56}
		if n == 1 {
			r.acc = 0
		}
		s, _, ok := r.symbol(&h)
		if !ok || s != byte(n)<<4 || r.n != 56-n {
			t.Errorf("code of %d bits: symbol %#x, %v, %d bits used", n, s, ok, 56-r.n)
		}
	}
	r := bitReader{acc: ^uint64(0), n: 56}
	if s, _, ok := r.symbol(&h); ok {
		t.Errorf("sixteen ones, which are no code, became %#x", s)
	}
}

// TestExtend is figure F.12 for values of two bits, and the extremes of some sizes.
func TestExtend(t *testing.T) {
	for _, c := range []struct {
		bits uint64
		size int
		want int32
	}{{0, 2, -3}, {1, 2, -2}, {2, 2, 2}, {3, 2, 3}, {0, 1, -1}, {1, 1, 1}, {0, 11, -2047}, {2047, 11, 2047}, {1024, 11, 1024}, {1023, 11, -1024}} {
		if got := extend(c.bits, c.size); got != c.want {
			t.Errorf("%d of %d bits stand for %d, want %d", c.bits, c.size, got, c.want)
		}
	}
}

// The zigzag order's beginning and end, from figure A.6.
func TestZigzag(t *testing.T) {
	if !bytes.Equal(zigzag[:16], []uint8{0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5}) ||
		!bytes.Equal(zigzag[54:65], []uint8{39, 46, 53, 60, 61, 54, 47, 55, 62, 63, 63}) {
		t.Errorf("%v", zigzag)
	}
	seen := map[uint8]bool{}
	for _, z := range zigzag[:64] {
		seen[z] = true
	}
	if len(seen) != 64 {
		t.Errorf("%d different places", len(seen))
	}
}
