package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// round is what one turn of a server gave.
type round struct {
	took      time.Duration
	latencies []time.Duration // of answers 200, sorted
	statuses  map[int]int     // 0: no answer
	resident  int64           // bytes, at the end
}

// perSecond is the number of pictures answered a second.
func (r round) perSecond() float64 { return float64(len(r.latencies)) / r.took.Seconds() }

// quantile returns the latency that a share of the answers did not exceed.
func (r round) quantile(q float64) time.Duration {
	if len(r.latencies) == 0 {
		return 0
	}
	return r.latencies[min(len(r.latencies)-1, int(q*float64(len(r.latencies))))]
}

func (r round) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%.0f s: %.1f answers 200 a second, p50 %v, p99 %v, resident %d MB, statuses", r.took.Seconds(), r.perSecond(),
		r.quantile(0.5).Round(10*time.Microsecond), r.quantile(0.99).Round(10*time.Microsecond), r.resident>>20)
	for _, status := range slices.Sorted(maps.Keys(r.statuses)) {
		fmt.Fprintf(&b, " %d: %d", status, r.statuses[status])
	}
	return b.String()
}

// tally collects answers of many goroutines.
type tally struct {
	mu sync.Mutex
	round
}

func (t *tally) add(status int, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.statuses[status]++
	if status == http.StatusOK {
		t.latencies = append(t.latencies, took)
	}
}

func (t *tally) end(target target, started time.Time) round {
	t.took = time.Since(started)
	t.resident = resident(target.pid)
	slices.Sort(t.latencies)
	return t.round
}

// requestTime is longer than any answer should take.
const requestTime = 60 * time.Second

func client(connections int) *http.Client {
	return &http.Client{Timeout: requestTime, Transport: &http.Transport{
		MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections, DisableCompression: true,
		DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
	}}
}

// closedLoop sends on n connections for a time, on each when the last answer is there.
func closedLoop(t target, picture []byte, n int, d time.Duration) round {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	c := client(n)
	defer c.CloseIdleConnections()
	sum := &tally{round: round{statuses: map[int]int{}}}
	started := time.Now()
	var running sync.WaitGroup
	for range n {
		running.Go(func() {
			for ctx.Err() == nil {
				sent := time.Now()
				sum.add(post(c, t.url, picture), time.Since(sent))
			}
		})
	}
	running.Wait()
	return sum.end(t, started)
}

// mostOpen bounds the requests that openLoop has under way: beyond that it would measure itself.
const mostOpen = 4096

// openLoop sends at a rate for a time, however long answers take.
func openLoop(t target, picture []byte, rate float64, d time.Duration) round {
	c := client(mostOpen)
	defer c.CloseIdleConnections()
	sum := &tally{round: round{statuses: map[int]int{}}}
	open := make(chan struct{}, mostOpen)
	started := time.Now()
	var running sync.WaitGroup
	for k := 0; time.Since(started) < d; k++ {
		time.Sleep(time.Until(started.Add(time.Duration(float64(k) / rate * float64(time.Second)))))
		open <- struct{}{}
		running.Go(func() {
			sent := time.Now()
			sum.add(post(c, t.url, picture), time.Since(sent))
			<-open
		})
	}
	running.Wait()
	return sum.end(t, started)
}

// post sends the picture and returns the status of the answer, 0 if there is none.
func post(c *http.Client, url string, picture []byte) int {
	resp, err := c.Post(url, "image/jpeg", bytes.NewReader(picture))
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0
	}
	return resp.StatusCode
}

// resident returns a process's memory, 0 where the system does not tell by /proc.
func resident(pid int) int64 {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(content)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kb << 10
		}
	}
	return 0
}
