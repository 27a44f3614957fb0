package machine

import (
	"os"
	"regexp"
	"strconv"
)

// PeakMemory returns the largest resident memory that a running process has had, in bytes, or 0 where the system does
// not tell. What it tells after the end of a process would include the parent's own memory at the fork.
func PeakMemory(pid int) int64 {
	return procValue("/proc/"+strconv.Itoa(pid)+"/status", "VmHWM")
}

// FreeMemory returns how many bytes programs can still take without swapping, or 0 where the system does not tell.
func FreeMemory() int64 { return procValue("/proc/meminfo", "MemAvailable") }

// TotalMemory returns the machine's memory in bytes, or 0 where the system does not tell.
func TotalMemory() int64 { return procValue("/proc/meminfo", "MemTotal") }

// procValue reads a line such as "VmHWM:   1024 kB" of a file of Linux's and returns it in bytes, 0 if there is none.
func procValue(file, key string) int64 {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	m := regexp.MustCompile(`(?m)^` + key + `:\s*(\d+) kB$`).FindSubmatch(text)
	if m == nil {
		return 0
	}
	kb, _ := strconv.ParseInt(string(m[1]), 10, 64)
	return kb * 1024
}
