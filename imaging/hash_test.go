package imaging_test

import (
	"bytes"
	"image"
	"image/jpeg"
	"io/fs"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/fixture"
)

// transform returns the coefficients of frequencies 1 to 8 along each axis of the definition of the cosine transform
// (DCT-II), in float64, of the brightness of a 32 x 32 picture.
func transform(im *imaging.Image) (c [64]float64) {
	for v := range 8 {
		for u := range 8 {
			for y := range 32 {
				for x := range 32 {
					p := im.Pix[(y*32+x)*3:]
					luma := 0.299*float64(p[0]) + 0.587*float64(p[1]) + 0.114*float64(p[2])
					c[v*8+u] += luma * math.Cos(math.Pi*(float64(x)+0.5)*float64(u+1)/32) * math.Cos(math.Pi*(float64(y)+0.5)*float64(v+1)/32)
				}
			}
		}
	}
	return c
}

func TestHashIsTheTransformsSigns(t *testing.T) {
	for _, name := range []string{"cat.jpg", "coffee.png", "camera-gray.png", "astronaut-alpha.png", "thin-3x200.png"} {
		im := decodePicture(t, name)
		c := transform(im.Resize(32, 32, imaging.Bilinear))
		sorted := c
		slices.Sort(sorted[:])
		median := (sorted[31] + sorted[32]) / 2
		// What rounding brightness and cosines to 1/256 and 1/4096 can change, at most.
		const rounding = 32 * 32 * 255 * 2.0 / 4096
		hash := imaging.HashOf(im)
		for i, c := range c {
			bit := hash>>(63-i)&1 == 1
			if math.Abs(c-median) > rounding && bit != (c > median) {
				t.Errorf("%s: bit %d is %v, but its coefficient is %v and the median %v", name, i, bit, c, median)
			}
		}
	}
}

func TestHashOfOneColour(t *testing.T) {
	for _, value := range []byte{0, 1, 127, 255} {
		im := imaging.NewImage(37, 5)
		for i := range im.Pix {
			im.Pix[i] = value
		}
		if h := imaging.HashOf(im); h != 0 {
			t.Errorf("a picture of the value %d has the hash %v, want 0", value, h)
		}
	}
}

// The hash of 1-pixel pictures and of very long ones is defined, too.
func TestHashSizes(t *testing.T) {
	for _, size := range []image.Point{{1, 1}, {1, 5000}, {5000, 1}, {33, 31}} {
		imaging.HashOf(imaging.NewImage(size.X, size.Y))
	}
}

func decodePicture(t *testing.T, name string) *imaging.Image {
	t.Helper()
	im, err := imaging.Decode(fixture.Picture(t, name))
	if err != nil {
		t.Fatal(name, err)
	}
	return im
}

// saved returns im after a JPEG file of the given quality.
func saved(t *testing.T, im *imaging.Image, quality int) *imaging.Image {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, im.W, im.H))
	for i := range im.W * im.H {
		copy(m.Pix[4*i:], im.Pix[3*i:3*i+3])
		m.Pix[4*i+3] = 255
	}
	var file bytes.Buffer
	if err := jpeg.Encode(&file, m, &jpeg.Options{Quality: quality}); err != nil {
		t.Fatal(err)
	}
	back, err := imaging.Decode(file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return back
}

// The same picture in other files is near.
func TestHashOfSavedPictures(t *testing.T) {
	for _, names := range [][]string{
		{"cat.jpg", "cat.png", "cat-444-progressive.jpg", "cat-cmyk.jpg"},
		{"coffee.png", "coffee.bmp", "coffee.gif", "coffee.tif", "coffee.webp", "coffee-palette.png"},
		{"camera-gray.png", "camera-gray.jpg", "camera-gray16.png"},
		{"astronaut-alpha.png"},
	} {
		im := decodePicture(t, names[0])
		hash := imaging.HashOf(im)
		near := func(what string, other *imaging.Image) {
			t.Helper()
			d := hash.Distance(imaging.HashOf(other))
			t.Logf("%s, %s: distance %d", names[0], what, d)
			if d > imaging.NearDuplicate {
				t.Errorf("%s, %s: distance %d, want at most %d", names[0], what, d, imaging.NearDuplicate)
			}
		}
		for _, name := range names[1:] {
			near(name, decodePicture(t, name))
		}
		for _, quality := range []int{95, 75, 50} {
			near("saved again", saved(t, im, quality))
		}
		for _, percent := range []int{50, 90, 97, 110, 200} {
			near("resized", im.Resize(im.W*percent/100, im.H*percent/100, imaging.Bicubic))
		}
		near("squashed", im.Resize(im.W, im.H*4/5, imaging.Lanczos))
	}
}

// All pairs of 700 different pictures of 10 classes are apart, and half of their bits differ.
func TestHashOfDifferentPictures(t *testing.T) {
	var hashes []imaging.Hash
	var hasher imaging.Hasher
	err := filepath.WalkDir(fixture.Data(t, "cifar10-mini"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || filepath.Ext(path) != ".png" {
			return err
		}
		im, err := imaging.DecodeFile(path)
		if err == nil {
			hashes = append(hashes, hasher.Hash(im))
		}
		return err
	})
	if err != nil || len(hashes) != 700 {
		t.Fatalf("%d pictures, error %v, want 700", len(hashes), err)
	}
	sum, least, pairs := 0, 64, 0
	for i, a := range hashes {
		for _, b := range hashes[:i] {
			d := a.Distance(b)
			sum, least, pairs = sum+d, min(least, d), pairs+1
		}
	}
	mean := float64(sum) / float64(pairs)
	t.Logf("%d pairs, mean distance %.2f, least %d", pairs, mean, least)
	if mean < 31 || mean > 33 || least <= imaging.NearDuplicate {
		t.Errorf("mean distance %.2f, least %d; want 32 and more than %d", mean, least, imaging.NearDuplicate)
	}
}

// randomHashes returns hashes among which many are near.
func randomHashes(n int) []imaging.Hash {
	rng := rand.New(rand.NewPCG(1, 2))
	hashes := make([]imaging.Hash, n)
	for i := range hashes {
		hashes[i] = imaging.Hash(rng.Uint64())
		if i%3 > 0 {
			hashes[i] = hashes[rng.IntN(i)]
			for range rng.IntN(9) {
				hashes[i] ^= 1 << rng.IntN(64)
			}
		}
	}
	return hashes
}

func TestNearPairs(t *testing.T) {
	hashes := randomHashes(300)
	for _, within := range []int{-1, 0, 1, 6, 7, 20, 63, 64, 100} {
		type pair struct{ i, j int }
		want := map[pair]bool{}
		for j, b := range hashes {
			for i, a := range hashes[:j] {
				if a.Distance(b) <= within {
					want[pair{i, j}] = true
				}
			}
		}
		if within >= 0 && len(want) == 0 {
			t.Fatalf("no pair within %d: the test shows nothing", within)
		}
		got := map[pair]bool{}
		for i, j := range imaging.NearPairs(hashes, within) {
			p := pair{i, j}
			if got[p] || !want[p] {
				t.Errorf("within %d: %v is yielded twice or wrongly", within, p)
			}
			got[p] = true
		}
		if len(got) != len(want) {
			t.Errorf("within %d: %d pairs, want %d", within, len(got), len(want))
		}
	}
	for range imaging.NearPairs(hashes, 6) {
		break // must not go on
	}
}

func TestNearGroups(t *testing.T) {
	// a-b-c is a chain, though a and c are 4 apart; d is alone; e equals b.
	a, b, c, d := imaging.Hash(0xff), imaging.Hash(0xfc), imaging.Hash(0xf0), imaging.Hash(0xff00)
	got := imaging.NearGroups([]imaging.Hash{a, d, c, b, b}, 2)
	if want := []int{0, 1, 0, 0, 0}; !slices.Equal(got, want) {
		t.Errorf("groups %v, want %v", got, want)
	}
	if got := imaging.NearGroups(make([]imaging.Hash, 200_000), 6); slices.Max(got) != 0 {
		t.Error("equal hashes are in different groups")
	}
}

func BenchmarkHash(b *testing.B) {
	im, err := imaging.DecodeFile(filepath.Join(fixture.Golden(b), "images", "cat.jpg"))
	if err != nil {
		b.Fatal(err)
	}
	var h imaging.Hasher
	for b.Loop() {
		h.Hash(im)
	}
}

func BenchmarkNearGroups(b *testing.B) {
	rng := rand.New(rand.NewPCG(3, 4))
	hashes := make([]imaging.Hash, 200_000)
	for i := range hashes {
		hashes[i] = imaging.Hash(rng.Uint64())
	}
	for b.Loop() {
		imaging.NearGroups(hashes, imaging.NearDuplicate)
	}
}
