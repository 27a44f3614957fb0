package weights

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/bigtransfer/bit/tensor"
)

// npyHeader is what a .npy member says about its array. descr is NumPy's type string, as in "<f4".
type npyHeader struct {
	descr   string
	fortran bool
	shape   []int
	size    int64 // bytes before the data
}

// maxNpyHeader bounds the text of a header; NumPy itself refuses more than 10,000 characters.
const maxNpyHeader = 1 << 16

// readNpyHeader reads magic, version and header, and leaves r at the first byte of the data. Versions 1, 2 and 3
// differ in the width of the length and in the encoding of field names, which plain arrays do not have.
func readNpyHeader(r io.Reader) (npyHeader, error) {
	var h npyHeader
	var pre [8]byte
	if _, err := io.ReadFull(r, pre[:]); err != nil {
		return h, errors.New("the .npy header is cut short")
	}
	if string(pre[:6]) != "\x93NUMPY" {
		return h, fmt.Errorf("starts with % x, want the .npy magic 93 4e 55 4d 50 59", pre[:6])
	}
	width := 4
	switch pre[6] {
	case 1:
		width = 2
	case 2, 3:
	default:
		return h, fmt.Errorf(".npy version %d.%d, want 1, 2 or 3", pre[6], pre[7])
	}
	var size [4]byte
	if _, err := io.ReadFull(r, size[:width]); err != nil {
		return h, errors.New("the .npy header is cut short")
	}
	n := binary.LittleEndian.Uint32(size[:])
	if n > maxNpyHeader {
		return h, fmt.Errorf(".npy header of %d bytes, want at most %d", n, maxNpyHeader)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return h, fmt.Errorf(".npy header of %d bytes is cut short", n)
	}
	h, err := parseNpyHeader(text)
	if err != nil {
		return h, fmt.Errorf(".npy header %.100q: %w", bytes.TrimSpace(text), err)
	}
	h.size = int64(len(pre) + width + len(text))
	return h, nil
}

// parseNpyHeader reads the Python dictionary of a header, such as
//
//	{'descr': '<f4', 'fortran_order': False, 'shape': (7, 7, 3, 64), }
func parseNpyHeader(text []byte) (npyHeader, error) {
	var h npyHeader
	p := pyParser{rest: text}
	if !p.take('{') {
		return h, errors.New("want a dictionary")
	}
	seen := map[string]bool{}
	for !p.take('}') {
		key, err := p.str()
		if err != nil {
			return h, err
		}
		if seen[key] {
			return h, fmt.Errorf("key %q is there twice", key)
		}
		seen[key] = true
		if !p.take(':') {
			return h, fmt.Errorf("no ':' after key %q", key)
		}
		switch key {
		case "descr":
			h.descr, err = p.str()
		case "fortran_order":
			h.fortran, err = p.bool()
		case "shape":
			h.shape, err = p.tuple()
		default:
			err = errors.New("unknown key")
		}
		if err != nil {
			return h, fmt.Errorf("%s: %w", key, err)
		}
		if !p.take(',') && p.peek() != '}' {
			return h, fmt.Errorf("no ',' after the value of %q", key)
		}
	}
	if p.peek() != 0 {
		return h, errors.New("text after the dictionary")
	}
	for _, key := range []string{"descr", "fortran_order", "shape"} {
		if !seen[key] {
			return h, fmt.Errorf("no %q", key)
		}
	}
	return h, nil
}

// pyParser reads the few Python literals that a header holds.
type pyParser struct{ rest []byte }

// peek returns the next byte that is not white space, or 0 at the end.
func (p *pyParser) peek() byte {
	p.rest = bytes.TrimLeft(p.rest, " \t\r\n")
	if len(p.rest) == 0 {
		return 0
	}
	return p.rest[0]
}

func (p *pyParser) take(c byte) bool {
	if p.peek() != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

func (p *pyParser) str() (string, error) {
	quote := p.peek()
	if quote != '\'' && quote != '"' {
		return "", errors.New("want a string (arrays of records are not read)")
	}
	end := bytes.IndexByte(p.rest[1:], quote)
	if end < 0 {
		return "", errors.New("string without end")
	}
	s := string(p.rest[1 : 1+end])
	if strings.Contains(s, `\`) {
		return "", fmt.Errorf("escape in string %q", s)
	}
	p.rest = p.rest[end+2:]
	return s, nil
}

func (p *pyParser) bool() (bool, error) {
	p.peek()
	for word, v := range map[string]bool{"True": true, "False": false} {
		if rest, ok := bytes.CutPrefix(p.rest, []byte(word)); ok {
			p.rest = rest
			return v, nil
		}
	}
	return false, errors.New("want True or False")
}

// tuple reads (), (3,), (3, 4); the shape of a scalar is empty, not nil.
func (p *pyParser) tuple() ([]int, error) {
	if !p.take('(') {
		return nil, errors.New("want a tuple")
	}
	shape := []int{}
	for !p.take(')') {
		p.peek()
		n := 0
		for n < len(p.rest) && p.rest[n] >= '0' && p.rest[n] <= '9' {
			n++
		}
		d, err := strconv.Atoi(string(p.rest[:n]))
		if err != nil {
			return nil, fmt.Errorf("want a tuple of lengths, found %.20q", p.rest)
		}
		p.rest = p.rest[n:]
		shape = append(shape, d)
		if !p.take(',') && p.peek() != ')' {
			return nil, errors.New("no ',' in the tuple")
		}
	}
	return shape, nil
}

// npyElement holds the bytes of each element type that is read.
var npyElement = map[string]int{
	"<f2": 2, "<f4": 4, "<f8": 8, "|V2": 2, "<V2": 2,
	"|i1": 1, "<i2": 2, "<i4": 4, "<i8": 8,
	"|u1": 1, "<u2": 2, "<u4": 4,
}

// check reports an array that is not read, or that does not fill the member of the given unpacked size exactly.
func (h npyHeader) check(member uint64) *TensorError {
	bad := func(problem error, format string, args ...any) *TensorError {
		return &TensorError{Problem: problem, Got: h.shape, Detail: fmt.Sprintf(format, args...)}
	}
	size := npyElement[h.descr]
	n, ok := tensor.CheckedLen(h.shape)
	switch {
	case size == 0:
		return bad(ErrDType, "%q", h.descr)
	case h.fortran:
		return bad(ErrOrder, "save it with numpy.ascontiguousarray")
	case !ok || n > math.MaxInt/size:
		return bad(ErrTruncated, "no file holds that many values")
	}
	switch have, want := int64(member)-h.size, int64(n)*int64(size); {
	case int64(member) < h.size || have < want:
		return bad(ErrTruncated, "%d of %d bytes", max(have, 0), want)
	case have > want:
		return bad(ErrOffsets, "%d bytes of data, want %d", have, want)
	}
	return nil
}
