// Package fuzztest is, for tests, the promise that every reader of files from outside makes, whatever it is given: it ends
// soon, without a panic, and spends no more memory than the input warrants.
package fuzztest

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

const (
	room     = 64 << 20         // bytes that zip readers, decompressors and decoders of JSON may take beside the input
	patience = 20 * time.Second // which no input that a fuzzer tries takes, even on a busy machine
)

// Within fails if f allocates, all in all, more than twice size bytes and some fixed room. An f that does not end is a
// panic, so that a fuzzer keeps its input.
func Within(t testing.TB, size int, f func()) {
	t.Helper()
	watchdog := time.AfterFunc(patience, func() {
		debug.SetTraceback("all")
		panic(fmt.Sprintf("not done after %v", patience))
	})
	defer watchdog.Stop()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	if spent := after.TotalAlloc - before.TotalAlloc; spent > uint64(2*size)+room {
		t.Errorf("%d bytes allocated for an input of %d", spent, size)
	}
}
