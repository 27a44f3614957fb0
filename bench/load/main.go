// Command load measures servers that classify pictures: pictures a second, latency, and memory, each at several numbers of
// connections.
//
//	go run ./bench/load -picture examples/cat.jpg ours=http://127.0.0.1:8080/v1/classify,PID peer=http://127.0.0.1:8081/,PID
//
// Every connection sends the same picture, waits for the answer and sends it again. Servers take turns, round by round, so
// that what else the machine does meets them alike; figures are medians of the rounds, ratios of medians. With -rate
// requests come at that rate whatever becomes of them, which shows what a server does beyond its capacity.
package main

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// target is a server that is measured.
type target struct {
	name, url string
	pid       int // whose memory is measured; 0 for none
}

func main() {
	picture := flag.String("picture", "examples/cat.jpg", "file that is sent")
	connections := flag.String("connections", "1,4,16,64", "numbers of connections")
	seconds := flag.Float64("seconds", 60, "time for a server at a number of connections, in all rounds")
	rounds := flag.Int("rounds", 6, "turns that this time is cut into")
	rate := flag.Float64("rate", 0, "requests a second, of any number of connections; 0 for as fast as answers come")
	flag.Parse()
	if err := run(*picture, *connections, time.Duration(*seconds*float64(time.Second)), *rounds, *rate, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(file, connections string, each time.Duration, rounds int, rate float64, args []string) error {
	picture, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var targets []target
	for _, arg := range args {
		t, err := parseTarget(arg)
		if err != nil {
			return err
		}
		targets = append(targets, t)
	}
	if len(targets) == 0 || rounds < 1 {
		return fmt.Errorf("want name=url[,pid] of at least one server, and at least one round")
	}
	turn := each / time.Duration(rounds)
	if rate > 0 {
		for _, t := range targets {
			fmt.Println(t.name, openLoop(t, picture, rate, each))
		}
		return nil
	}
	printHead()
	for text := range strings.SplitSeq(connections, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("-connections %q: want positive numbers", connections)
		}
		measured := make([][]round, len(targets))
		for _, t := range targets { // not counted
			closedLoop(t, picture, n, min(turn/4, 2*time.Second))
		}
		for range rounds {
			for i, t := range targets {
				measured[i] = append(measured[i], closedLoop(t, picture, n, turn))
			}
		}
		printRows(n, targets, measured)
	}
	return nil
}

func parseTarget(arg string) (target, error) {
	name, rest, ok := strings.Cut(arg, "=")
	url, pid, hasPID := strings.Cut(rest, ",")
	t := target{name: name, url: url}
	if !ok || url == "" {
		return t, fmt.Errorf("%q: want name=url or name=url,pid", arg)
	}
	if hasPID {
		var err error
		if t.pid, err = strconv.Atoi(pid); err != nil {
			return t, fmt.Errorf("%q: pid %q: %w", arg, pid, err)
		}
	}
	return t, nil
}
