package machine

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestProcValue(t *testing.T) {
	file := filepath.Join(t.TempDir(), "status")
	if err := os.WriteFile(file, []byte("Name:\tbit\nVmPeak:\t    9000 kB\nVmHWM:\t    1024 kB\nThreads:\t3\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]int64{"VmHWM": 1 << 20, "VmPeak": 9000 << 10, "Threads": 0, "HWM": 0} {
		if got := procValue(file, key); got != want {
			t.Errorf("%s: %d, want %d", key, got, want)
		}
	}
	if got := procValue(file+"x", "VmHWM"); got != 0 {
		t.Errorf("no such file: %d", got)
	}
}

func TestMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		return
	}
	touched := make([]byte, 64<<20)
	for i := range touched {
		touched[i] = 1
	}
	peak, total, free := PeakMemory(os.Getpid()), TotalMemory(), FreeMemory()
	if peak < int64(len(touched)) || total < peak || free <= 0 || free > total {
		t.Errorf("peak %d after touching %d, %d of %d free", peak, len(touched), free, total)
	}
	runtime.KeepAlive(touched)
}
