package safetensors

import (
	"encoding/binary"
	"unsafe"
)

// littleEndian says that float32 values lie in memory as they do in a file.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// memory returns the bytes of values.
func memory(values []float32) []byte {
	if len(values) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), 4*len(values))
}
