// Package torchfile reads the tensors of a file that torch.save wrote (PyTorch 1.6 and later), such as a
// pytorch_model.bin. It executes nothing: of the pickle inside it understands dictionaries of plain tensors, and refuses
// whatever else a pickle can ask for.
//
// A file is a zip archive of stored members under one folder (https://pytorch.org/docs/stable/notes/serialization.html):
// data.pkl, the pickle; data/0, data/1, …, the storages that it refers to; byteorder. A tensor is a view of a storage:
// offset, size and strides, in elements.
package torchfile

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/bigtransfer/bit/internal/safetensors"
	"github.com/bigtransfer/bit/tensor"
)

// ErrFormat is wrapped by every error that says what is wrong with a file, as against one that says why it could not be
// read.
var ErrFormat = errors.New("not a sound PyTorch file of plain tensors")

// Tensor is one tensor of a file, and what is wrong with it.
type Tensor struct {
	Name  string
	DType safetensors.DType
	Shape []int              // never nil
	Fault *safetensors.Fault // of its type, size or place; nil: none
	view  *view
}

// Open returns a reader of the values, little-endian and row by row, for a [safetensors.Decoder]. The tensor must have
// no fault. At the end of its data a checksum may turn out to be wrong, which is an error in place of io.EOF.
func (t *Tensor) Open() (io.ReadCloser, error) { return t.view.open() }

// storage is a run of elements in the file.
type storage struct {
	class    global
	dtype    safetensors.DType // "" for a class that is not read
	elements int
	member   *zip.File
	file     io.ReaderAt
	from     int64 // in file
	fault    error // what is wrong with the member, or nil
	detail   string
	used     int // elements that are part of a tensor
	verified bool
}

// storageClasses are those of numbers, of which three are read.
var storageClasses = map[global]safetensors.DType{
	"torch.FloatStorage": safetensors.F32, "torch.HalfStorage": safetensors.F16, "torch.BFloat16Storage": safetensors.BF16,
	"torch.DoubleStorage": "", "torch.LongStorage": "", "torch.IntStorage": "", "torch.ShortStorage": "",
	"torch.CharStorage": "", "torch.ByteStorage": "", "torch.BoolStorage": "",
}

// pickleName is the member that says what a file holds.
const pickleName = "data.pkl"

// Is reports whether a zip archive is a file of torch.save, by its members.
func Is(z *zip.Reader) bool {
	for _, f := range z.File {
		if path.Base(f.Name) == pickleName {
			return true
		}
	}
	return false
}

// archive is a file in the course of being read.
type archive struct {
	file     io.ReaderAt
	size     int64
	members  map[string]*zip.File // by name below the folder
	storages map[string]*storage
	stored   int64 // bytes of all storages
}

// Read lists the tensors of a file of the given size, in the order of its dictionary. They may be in a dictionary of
// their own under "state_dict" or "model", as checkpoints of training have them.
func Read(r io.ReaderAt, size int64) ([]Tensor, error) {
	tensors, err := read(r, size)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return tensors, nil
}

func read(r io.ReaderAt, size int64) ([]Tensor, error) {
	a := &archive{file: r, size: size, members: map[string]*zip.File{}, storages: map[string]*storage{}}
	if err := a.open(); err != nil {
		return nil, err
	}
	text, err := a.text(pickleName, maxPickle)
	if err != nil {
		return nil, err
	}
	u := &unpickler{data: text, storage: a.storage}
	v, err := u.run()
	if err != nil {
		return nil, err
	}
	top, ok := v.(*dict)
	if !ok {
		return nil, fmt.Errorf("it holds a value of type %s, want a dictionary of tensors", kinds([]any{v}))
	}
	return top.state().tensors()
}

// open lists the members below the one folder of the archive.
func (a *archive) open() error {
	z, err := zip.NewReader(a.file, a.size)
	if err != nil {
		return err
	}
	folder := ""
	for _, f := range z.File {
		if path.Base(f.Name) == pickleName {
			folder = path.Dir(f.Name) + "/"
			break
		}
	}
	for _, f := range z.File {
		name, ok := strings.CutPrefix(f.Name, folder)
		if !ok {
			return fmt.Errorf("member %q is not in the folder %q of %s", f.Name, folder, pickleName)
		}
		if a.members[name] != nil {
			return fmt.Errorf("member %q: there more than once", f.Name)
		}
		a.members[name] = f
	}
	if a.members["constants.pkl"] != nil {
		return errors.New("it is a TorchScript program; save the state_dict with torch.save instead")
	}
	if a.members["byteorder"] != nil {
		order, err := a.text("byteorder", 16)
		if err == nil && string(order) != "little" {
			err = fmt.Errorf("byte order %q, want \"little\"", order)
		}
		return err
	}
	return nil
}

// place returns where a member lies in the file. It must be stored, as torch.save does, and inside.
func (a *archive) place(f *zip.File) (int64, error) {
	from, err := f.DataOffset()
	switch {
	case err != nil:
		return 0, err
	case f.Method != zip.Store || f.CompressedSize64 != f.UncompressedSize64:
		return 0, fmt.Errorf("%d bytes compressed to %d, want them stored as they are", f.UncompressedSize64, f.CompressedSize64)
	case f.UncompressedSize64 > uint64(a.size) || from > a.size-int64(f.UncompressedSize64):
		return 0, fmt.Errorf("%d bytes at %d, the file has %d", f.UncompressedSize64, from, a.size)
	}
	return from, nil
}

// text reads a small member.
func (a *archive) text(name string, most uint64) ([]byte, error) {
	f := a.members[name]
	if f == nil {
		return nil, fmt.Errorf("no member %q", name)
	}
	if _, err := a.place(f); err != nil {
		return nil, fmt.Errorf("member %q: %w", f.Name, err)
	}
	if f.UncompressedSize64 > most {
		return nil, fmt.Errorf("member %q: %d bytes, want at most %d", f.Name, f.UncompressedSize64, most)
	}
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("member %q: %w", f.Name, err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("member %q: %w", f.Name, err)
	}
	return text, nil
}

// storage returns the storage of a key, which each tensor in it describes anew.
func (a *archive) storage(class global, key string, elements int64) (*storage, error) {
	dtype, ok := storageClasses[class]
	if !ok {
		return nil, fmt.Errorf("storage %q of class %s", key, class)
	}
	if elements < 0 || elements > a.size {
		return nil, fmt.Errorf("storage %q of %d elements in a file of %d bytes", key, elements, a.size)
	}
	if s := a.storages[key]; s != nil {
		if s.class != class || int64(s.elements) != elements {
			return nil, fmt.Errorf("storage %q is %d elements of %s, and elsewhere %d of %s", key, s.elements, s.class, elements, class)
		}
		return s, nil
	}
	s := &storage{class: class, dtype: dtype, elements: int(elements), file: a.file}
	a.storages[key] = s
	s.member = a.members["data/"+key]
	if s.member == nil {
		s.fault, s.detail = safetensors.ErrTruncated, fmt.Sprintf("no member \"data/%s\"", key)
		return s, nil
	}
	var err error
	if s.from, err = a.place(s.member); err != nil {
		s.fault, s.detail = safetensors.ErrTruncated, fmt.Sprintf("member %q: %v", s.member.Name, err)
		return s, nil
	}
	have, want := int64(s.member.UncompressedSize64), elements*int64(dtype.Size())
	switch {
	case dtype == "": // is the fault
	case have < want:
		s.fault, s.detail = safetensors.ErrTruncated, fmt.Sprintf("member %q has %d bytes, want %d", s.member.Name, have, want)
	case have > want:
		s.fault, s.detail = safetensors.ErrOffsets, fmt.Sprintf("member %q has %d bytes, want %d", s.member.Name, have, want)
	}
	// Members that share bytes could make a small file fill the memory.
	if a.stored += have; a.stored > a.size {
		return nil, fmt.Errorf("the storages up to %q have %d bytes, the file only %d", key, a.stored, a.size)
	}
	return s, nil
}

// state returns the dictionary that holds the tensors: d or one inside it.
func (d *dict) state() *dict {
	for i, key := range d.keys {
		if inner, ok := d.values[i].(*dict); ok && (key == "state_dict" || key == "model") {
			return inner
		}
	}
	return d
}

// tensors lists the tensors of a dictionary that has nothing else.
func (d *dict) tensors() ([]Tensor, error) {
	tensors := make([]Tensor, len(d.keys))
	seen := map[string]bool{}
	for i, key := range d.keys {
		name, ok := key.(string)
		if !ok {
			return nil, fmt.Errorf("key %d of type %s, want text", i, kinds([]any{key}))
		}
		if seen[name] {
			return nil, fmt.Errorf("tensor %q: there more than once", name)
		}
		seen[name] = true
		v, ok := d.values[i].(*view)
		if !ok {
			return nil, fmt.Errorf("%s holds a value of type %s, want a tensor", strconv.Quote(name), kinds([]any{d.values[i]}))
		}
		t := Tensor{Name: name, DType: v.storage.dtype, Shape: v.shape, view: v}
		if problem, detail := v.check(); problem != nil {
			t.Fault = &safetensors.Fault{Name: name, Problem: problem, Shape: v.shape, Detail: detail}
		}
		tensors[i] = t
	}
	return tensors, nil
}

// check returns what is wrong with a tensor, and counts its elements as used.
func (v *view) check() (problem error, detail string) {
	s := v.storage
	n, ok := tensor.CheckedLen(v.shape)
	switch {
	case s.dtype == "":
		return safetensors.ErrDType, fmt.Sprintf("%s, want FloatStorage, HalfStorage or BFloat16Storage", s.class)
	case s.fault != nil:
		return s.fault, s.detail
	case !ok || len(v.strides) != len(v.shape) || v.offset < 0:
		return safetensors.ErrOffsets, fmt.Sprintf("strides %v from element %d", v.strides, v.offset)
	}
	last := v.offset
	for i, stride := range v.strides {
		switch steps := v.shape[i] - 1; {
		case stride < 0:
			return safetensors.ErrOffsets, fmt.Sprintf("strides %v", v.strides)
		case steps > 0 && stride > s.elements/steps: // before the product overflows
			last = int64(s.elements)
		case steps > 0:
			last = min(last, int64(s.elements)) + int64(steps)*int64(stride)
		}
	}
	if n > 0 && last >= int64(s.elements) {
		return safetensors.ErrTruncated, fmt.Sprintf("strides %v from element %d pass the %d elements of the storage", v.strides, v.offset, s.elements)
	}
	if n > s.elements-s.used {
		return safetensors.ErrOverlap, fmt.Sprintf("the storage has %d elements, %d of them in other tensors", s.elements, s.used)
	}
	s.used += n
	return nil, ""
}
