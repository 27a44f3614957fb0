package imaging

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/png"
	"io"
	"io/fs"
	"os"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"

	"github.com/bigtransfer/bit/internal/jpeg"
)

// DefaultMaxPixels is the number of pixels above which [Decode] refuses an image, before memory for them is asked for.
// It is Pillow's limit (twice Image.MAX_IMAGE_PIXELS), about 13,377 x 13,377.
const DefaultMaxPixels = 178_956_970

// DefaultMaxBytes is the size of a file above which [DecodeFile] refuses it, before memory for it is asked for: 8 bytes
// for each of DefaultMaxPixels, which is 16-bit RGBA without compression, and 64 MiB for what else a file may hold.
const DefaultMaxBytes = 8*DefaultMaxPixels + 64<<20

// Decoder reads image files. The zero value is what [Decode] uses. It holds no state: one Decoder may serve many
// goroutines.
type Decoder struct {
	// MaxPixels limits width times height; 0 means DefaultMaxPixels.
	MaxPixels int
	// MaxBytes limits the size of a file; 0 means DefaultMaxBytes.
	MaxBytes int64
	// KeepOrientation leaves pixels as they are stored, ignoring the EXIF orientation that says which way is up.
	// The Hugging Face image processors see pictures that way.
	KeepOrientation bool
}

// Decode decodes a JPEG, PNG, GIF (first frame), BMP, TIFF (first page) or WebP file, recognised by its content, to an
// upright RGB image. A file that ends early is an error, never a partly gray picture. See [FromImage] for how other
// kinds of pixels become RGB.
func Decode(data []byte) (*Image, error) { return Decoder{}.Decode(data) }

// DecodeFile is [Decode] for a file. Of a file that is no image only the first bytes are read.
func DecodeFile(path string) (*Image, error) { return Decoder{}.DecodeFile(path) }

// DecodeFS is [DecodeFile] for a file of a file system. A file that cannot be read is an [*fs.PathError]; other errors
// do not name the file.
func DecodeFS(fsys fs.FS, path string) (*Image, error) { return Decoder{}.DecodeFS(fsys, path) }

// format is one file format.
type format struct {
	name string
	// signature starts every file of the format; a '?' stands for any byte.
	signature string
	// size reads the picture's width and height from the header.
	size func(data []byte) (w, h int, err error)
	// complete tells whether the blocks of the file are all there, where decode would not notice or not say so. Or nil.
	complete func(data []byte) error
	// decode reads the pixels.
	decode func(data []byte) (*Image, error)
	// metadata tells the EXIF reader how to find an orientation; 0 where there is none.
	metadata exifContainer
}

var formats = [...]format{
	{"JPEG", "\xff\xd8\xff", jpeg.Size, nil, decodeJPEG, exifJPEG},
	{"PNG", "\x89PNG\r\n\x1a\n", configSize(png.DecodeConfig), checkPNGChunks, decodeWith(png.Decode), exifPNG},
	{"GIF", "GIF87a", configSize(gif.DecodeConfig), checkGIFBlocks, decodeGIF, exifNone},
	{"GIF", "GIF89a", configSize(gif.DecodeConfig), checkGIFBlocks, decodeGIF, exifNone},
	{"WebP", "RIFF????WEBP", configSize(webp.DecodeConfig), checkRIFFSize, decodeWebP, exifWebP},
	{"TIFF", "II*\x00", configSize(tiff.DecodeConfig), checkTIFFExtents, decodeWith(tiff.Decode), exifTIFF},
	{"TIFF", "MM\x00*", configSize(tiff.DecodeConfig), checkTIFFExtents, decodeWith(tiff.Decode), exifTIFF},
	{"BMP", "BM", configSize(bmp.DecodeConfig), nil, decodeWith(bmp.Decode), exifNone},
}

// signatureLen is the length of the longest signature.
const signatureLen = 12

// sniff finds the format of a file from its first bytes.
func sniff(data []byte) (*format, error) {
	cut := false
	for i := range formats {
		f := &formats[i]
		n := min(len(f.signature), len(data))
		match := true
		for j := range n {
			match = match && (f.signature[j] == '?' || f.signature[j] == data[j])
		}
		if match && n == len(f.signature) {
			return f, nil
		}
		cut = cut || match && n > 0
	}
	switch {
	case len(data) == 0:
		return nil, fmt.Errorf("%w: it is empty", ErrNotImage)
	case cut:
		return nil, fmt.Errorf("%w: after %d bytes", ErrTruncated, len(data))
	}
	return nil, fmt.Errorf("%w: it starts with %q, expected JPEG, PNG, GIF, BMP, TIFF or WebP",
		ErrNotImage, data[:min(len(data), signatureLen)])
}

// Decode is the function [Decode] with d's settings.
func (d Decoder) Decode(data []byte) (*Image, error) {
	im, err := d.decode(data)
	if err != nil {
		return nil, fmt.Errorf("imaging: %w", err)
	}
	return im, nil
}

// Size reads the width and height of an image from its header, as they are stored, and refuses what Decode would refuse
// for its size.
func (d Decoder) Size(data []byte) (w, h int, err error) {
	f, err := sniff(data)
	if err != nil {
		return 0, 0, fmt.Errorf("imaging: %w", err)
	}
	w, h, err = f.safeSize(data)
	if err == nil {
		err = checkSize(w, h, d.maxPixels())
	}
	if err != nil {
		return 0, 0, fmt.Errorf("imaging: %s: %w", f.name, classify(err))
	}
	return w, h, nil
}

func (d Decoder) maxPixels() int { return cmp.Or(d.MaxPixels, DefaultMaxPixels) }

// DecodeFile is the function [DecodeFile] with d's settings.
func (d Decoder) DecodeFile(path string) (*Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return d.decodeFile(f, path, path+": ")
}

// DecodeFS is the function [DecodeFS] with d's settings.
func (d Decoder) DecodeFS(fsys fs.FS, path string) (*Image, error) {
	f, err := fsys.Open(path)
	if err != nil {
		return nil, err
	}
	return d.decodeFile(f, path, "")
}

// decodeFile decodes a file and closes it. Errors that are not of reading begin with prefix.
func (d Decoder) decodeFile(f fs.File, path, prefix string) (*Image, error) {
	defer f.Close()
	data, err := d.readImage(f)
	var im *Image
	if err == nil {
		im, err = d.decode(data)
	}
	if err != nil {
		if unread, ok := err.(readError); ok {
			if _, named := errors.AsType[*fs.PathError](unread.error); named {
				return nil, unread.error
			}
			return nil, &fs.PathError{Op: "read", Path: path, Err: unread.error}
		}
		return nil, fmt.Errorf("%s%w", prefix, err)
	}
	return im, nil
}

// readError marks an error of reading a file, as opposed to one of what it holds.
type readError struct{ error }

// readImage reads a file whose start is that of an image and whose size may be that of one.
func (d Decoder) readImage(f fs.File) ([]byte, error) {
	maxBytes := d.MaxBytes
	if maxBytes == 0 {
		maxBytes = DefaultMaxBytes
	}
	info, err := f.Stat()
	if err != nil {
		return nil, readError{err}
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%w: it is a folder", ErrNotImage)
	}
	head := make([]byte, signatureLen)
	n, err := io.ReadFull(f, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, readError{err}
	}
	head = head[:n]
	if _, err := sniff(head); err != nil {
		return nil, err
	}
	if info.Size() > maxBytes {
		return nil, fmt.Errorf("%w: a file of %d bytes, at most %d are read", ErrTooLarge, info.Size(), maxBytes)
	}
	// A pipe has no size, so reading is limited as well.
	buf := bytes.NewBuffer(make([]byte, 0, max(info.Size(), signatureLen)+bytes.MinRead))
	buf.Write(head)
	if _, err := buf.ReadFrom(io.LimitReader(f, maxBytes-int64(n)+1)); err != nil {
		return nil, readError{err}
	}
	if int64(buf.Len()) > maxBytes {
		return nil, fmt.Errorf("%w: a file of more than the %d bytes that are read", ErrTooLarge, maxBytes)
	}
	return buf.Bytes(), nil
}

func (d Decoder) decode(data []byte) (*Image, error) {
	f, err := sniff(data)
	if err != nil {
		return nil, err
	}
	w, h, err := f.safeSize(data)
	if err == nil {
		err = checkSize(w, h, d.maxPixels())
	}
	if !errors.Is(err, ErrTooLarge) && f.complete != nil {
		err = cmp.Or(f.complete(data), err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.name, classify(err))
	}
	im, err := f.safeDecode(data)
	if err != nil {
		return nil, fmt.Errorf("%s of %d x %d pixels: %w", f.name, w, h, classify(err))
	}
	if !d.KeepOrientation {
		im = im.orient(orientation(data, f.metadata))
	}
	return im, nil
}

// safeSize is f.size with panics of the format's library made errors.
func (f *format) safeSize(data []byte) (w, h int, err error) {
	defer recoverTo(&err)
	return f.size(data)
}

// safeDecode is f.decode with panics of the format's library made errors.
func (f *format) safeDecode(data []byte) (im *Image, err error) {
	defer recoverTo(&err)
	return f.decode(data)
}

// recoverTo turns a panic into an error: a damaged file must never take the program down.
func recoverTo(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%w: %v", ErrCorrupt, r)
	}
}

// classify gives an error of a format's library the one of this package that it means.
func classify(err error) error {
	if errors.Is(err, ErrTooLarge) || errors.Is(err, ErrTruncated) || errors.Is(err, ErrCorrupt) || errors.Is(err, ErrUnsupported) {
		return err
	}
	kind := ErrCorrupt
	var (
		jpegUnsupported jpeg.UnsupportedError
		pngUnsupported  png.UnsupportedError
		tiffUnsupported tiff.UnsupportedError
	)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF),
		errors.Is(err, tiff.FormatError("not enough pixel data")):
		kind = ErrTruncated
	case errors.As(err, &jpegUnsupported), errors.As(err, &pngUnsupported), errors.As(err, &tiffUnsupported),
		errors.Is(err, bmp.ErrUnsupported):
		kind = ErrUnsupported
	}
	return fmt.Errorf("%w (%w)", kind, err)
}

// configSize reads a size with the DecodeConfig function of a format's library.
func configSize(decodeConfig func(io.Reader) (image.Config, error)) func([]byte) (int, int, error) {
	return func(data []byte) (int, int, error) {
		c, err := decodeConfig(bytes.NewReader(data))
		return c.Width, c.Height, err
	}
}

// decodeWith reads pixels with the Decode function of a format's library.
func decodeWith(decode func(io.Reader) (image.Image, error)) func([]byte) (*Image, error) {
	return func(data []byte) (*Image, error) {
		m, err := decode(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		return FromImage(m), nil
	}
}
