package main

import (
	"os"
	"regexp"
	"strconv"
	"strings"
)

// peakMemory returns the largest resident memory that a running process has had, in bytes, or 0 where the system does
// not tell. What it tells after the end of a process would include this program's own memory at the fork.
func peakMemory(pid int) int64 {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	m := regexp.MustCompile(`(?m)^VmHWM:\s*(\d+) kB$`).FindSubmatch(status)
	if m == nil {
		return 0
	}
	kb, _ := strconv.ParseInt(string(m[1]), 10, 64)
	return kb * 1024
}

// load returns how many threads the machine has been running lately, 0 where the system does not tell.
func load() float64 {
	raw, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(raw), " ")
	v, _ := strconv.ParseFloat(first, 64)
	return v
}
