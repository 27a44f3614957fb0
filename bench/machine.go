package main

import (
	"os"
	"strconv"
	"strings"
)

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
