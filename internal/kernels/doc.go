// Package kernels holds the inner loops of the engine, each with one meaning and several implementations.
//
// An exported function checks its arguments and calls the implementation of the active level (package cpu). Its plain
// Go twin, named …Generic, is both its specification and what processors without assembly run. Matrices are row-major
// float32 with a row stride in elements. Kernels run on one thread; callers split the work.
//
// Within a level the bits of an element depend only on the values that enter it and on its index along the reduced
// axis, never on how the other axes were cut into calls.
package kernels

//go:generate sh -c "cd _gen && go run . -out ../kernels_amd64.s -stubs ../stubs_amd64.go -pkg kernels"

import "fmt"

// matrix checks that a slice holds rows x cols elements with the given row stride.
func check(name string, data []float32, stride, rows, cols int) {
	if rows > 0 && cols > 0 && (stride < 0 || (rows-1)*stride+cols > len(data)) {
		panic(fmt.Sprintf("kernels: %s holds %d values, want %d rows of %d with stride %d", name, len(data), rows, cols, stride))
	}
}

func checkVector(name string, v []float32, cols int) {
	if len(v) < cols {
		panic(fmt.Sprintf("kernels: %s holds %d values, want %d", name, len(v), cols))
	}
}

func ptr(s []float32) *float32 {
	if len(s) == 0 {
		return nil
	}
	return &s[0]
}
