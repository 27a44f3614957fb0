// Package torchtest makes files as torch.save does, for tests: also such as it would not make.
package torchtest

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"strconv"
)

// Storage is one member with the elements of tensors.
type Storage struct {
	Class    string // as in "FloatStorage"
	Elements int
	Data     []byte
}

// Tensor is a view of a storage, in elements.
type Tensor struct {
	Name           string
	Storage        int // index
	Offset         int
	Shape, Strides []int
}

// Contiguous returns the strides of a tensor that is stored row by row.
func Contiguous(shape []int) []int {
	strides := make([]int, len(shape))
	next := 1
	for i := len(shape) - 1; i >= 0; i-- {
		strides[i], next = next, next*shape[i]
	}
	return strides
}

// Pickle returns the pickle, of protocol 2, of an OrderedDict of tensors.
func Pickle(storages []Storage, tensors []Tensor) []byte {
	b := []byte{0x80, 2}
	global := func(module, name string) { b = append(b, "c"+module+"\n"+name+"\n"...) }
	text := func(s string) { b = append(binary.LittleEndian.AppendUint32(append(b, 'X'), uint32(len(s))), s...) }
	number := func(n int) { b = binary.LittleEndian.AppendUint32(append(b, 'J'), uint32(int32(n))) }
	op := func(ops string) { b = append(b, ops...) }
	numbers := func(ns []int) {
		op("(")
		for _, n := range ns {
			number(n)
		}
		op("t")
	}
	orderedDict := func() { global("collections", "OrderedDict"); op(")R") }
	orderedDict()
	op("(")
	for _, t := range tensors {
		s := storages[t.Storage]
		text(t.Name)
		global("torch._utils", "_rebuild_tensor_v2")
		op("((")
		text("storage")
		global("torch", s.Class)
		text(strconv.Itoa(t.Storage))
		text("cpu")
		number(s.Elements)
		op("tQ")
		number(t.Offset)
		numbers(t.Shape)
		numbers(t.Strides)
		op("\x89") // False
		orderedDict()
		op("tR")
	}
	op("u.")
	return b
}

// Archive returns a file of a pickle and its storages.
func Archive(pickle []byte, storages []Storage) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	add := func(name string, data []byte) {
		w, err := z.CreateHeader(&zip.FileHeader{Name: "archive/" + name, Method: zip.Store})
		if err == nil {
			_, err = w.Write(data)
		}
		if err != nil {
			panic(err) // a buffer takes everything
		}
	}
	add("data.pkl", pickle)
	for i, s := range storages {
		add("data/"+strconv.Itoa(i), s.Data)
	}
	add("version", []byte("3\n"))
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// File is Archive of Pickle.
func File(storages []Storage, tensors []Tensor) []byte {
	return Archive(Pickle(storages, tensors), storages)
}
