package imaging

import (
	"errors"
	"fmt"
)

// Errors of [Decode], for errors.Is. The error returned wraps one of them and says what was found.
var (
	// ErrNotImage means that the data starts like none of the formats known.
	ErrNotImage = errors.New("not an image")
	// ErrTooLarge means that the header claims more pixels than allowed, see [TooLargeError], or that the file is larger
	// than allowed.
	ErrTooLarge = errors.New("image too large")
	// ErrTruncated means that the data ends before the image does.
	ErrTruncated = errors.New("image file is cut short")
	// ErrCorrupt means that the data breaks the rules of its format.
	ErrCorrupt = errors.New("image file is corrupt")
	// ErrUnsupported means a feature of a format that is not implemented, such as arithmetic coding in JPEG.
	ErrUnsupported = errors.New("unsupported image feature")
)

// TooLargeError is the error of an image with more pixels than allowed. errors.Is(err, ErrTooLarge) holds for it.
type TooLargeError struct {
	Width, Height int // in pixels, as claimed or asked for
	MaxPixels     int // the limit on Width*Height
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("%v: %d x %d pixels, at most %d are allowed", ErrTooLarge, e.Width, e.Height, e.MaxPixels)
}

// Is reports whether target is [ErrTooLarge].
func (e *TooLargeError) Is(target error) bool { return target == ErrTooLarge }

// checkSize returns an error unless 0 < width*height <= maxPixels.
func checkSize(width, height, maxPixels int) error {
	if width <= 0 || height <= 0 {
		return fmt.Errorf("%w: its header claims %d x %d pixels", ErrCorrupt, width, height)
	}
	if width > maxPixels/height {
		return &TooLargeError{Width: width, Height: height, MaxPixels: maxPixels}
	}
	return nil
}
