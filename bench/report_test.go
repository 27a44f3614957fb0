package main

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/bigtransfer/bit/internal/cpu"
	"github.com/bigtransfer/bit/internal/machine"
)

// sample is a report of one comparison: 8 GFLOP and 4 GB in 80 ms on a machine of 200 GFLOP/s and 100 GB/s.
func sample() *report {
	r := &report{Time: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), CPU: "Some CPU", Cores: 2}
	r.limit(machine.Limits{Threads: 2, SIMD: cpu.AVX2, GFLOPS: 200, CopyGBs: 90})
	r.limit(machine.Limits{Threads: 1, SIMD: cpu.AVX2, GFLOPS: 500, CopyGBs: 500})
	r.limit(machine.Limits{Threads: 2, SIMD: cpu.AVX512, GFLOPS: 500, CopyGBs: 500})
	r.limit(machine.Limits{Threads: 2, SIMD: cpu.AVX2, GFLOPS: 190, CopyGBs: 100})
	r.Results = []result{{
		Case: "predict/R50x1/224/2", Threads: 2, SIMD: cpu.AVX2, Batch: 2, MACs: 4e9, FLOPs: 8e9, Traffic: 4e9,
		Ours:  side{Program: "bit", Limited: true, Seconds: []float64{0.09, 0.08, 0.07}, Median: 0.08, Start: 1, Memory: 250e6},
		Peer:  &side{Program: "ONNX Runtime 9", Seconds: []float64{0.03, 0.04, 0.05}, Median: 0.04, Start: 0.5},
		Speed: 0.5, Error: 2e-6,
	}}
	r.finish()
	return r
}

func TestShares(t *testing.T) {
	r := sample()
	if want := (machine.Limits{Threads: 2, SIMD: cpu.AVX2, GFLOPS: 200, CopyGBs: 100}); len(r.Limits) != 3 || r.Limits[0] != want {
		t.Errorf("limits %v, want 3 and as the first %v", r.Limits, want)
	}
	for what, v := range map[string][2]float64{
		"GFLOP/s":           {r.Results[0].GFLOPS, 100}, // 8 in 0.08 s
		"share of the peak": {r.Results[0].PeakShare, 0.5},
		"share of the copy": {r.Results[0].CopyShare, 0.5}, // 50 GB/s
	} {
		if math.Abs(v[0]-v[1]) > 1e-12 {
			t.Errorf("%s: %v, want %v", what, v[0], v[1])
		}
	}
}

func TestReport(t *testing.T) {
	compared, starred, alone := sample(), sample(), sample()
	compared.Results[0].Peer.Limited = true
	alone.Results[0].Peer = nil
	for name, c := range map[string]struct {
		report        *report
		markdown      bool
		want, without []string
	}{
		"text": {starred, false, []string{
			"Some CPU, 2 cores, 2026-11-24. bit, ONNX Runtime 9.\n",
			"  200 GFLOP/s  100.0 GB/s\n",
			"predict/R50x1/224/2        2  avx2  80.0 ms  40.0 ms*         0.50      100  50 %  50 %  2e-06  1000 ms  500 ms  250 MB       -\n",
			"\n* The peer used wider vectors",
		}, nil},
		"no star": {compared, false, []string{"80.0 ms  40.0 ms  "}, []string{"*"}},
		"markdown": {starred, true, []string{
			"\n| threads | simd | multiply-adds | copy |\n| --- | --- | --- | --- |\n| 2 | avx2 | 200 GFLOP/s | 100.0 GB/s |\n",
			"\n| predict/R50x1/224/2 | 2 | avx2 | 80.0 ms | 40.0 ms\\* | 0.50 | 100 | 50 % | 50 % | 2e-06 | 1000 ms | 500 ms | 250 MB | - |\n",
		}, nil},
		// 2 GMAC an image: 40 ms are 20,000 ns for each of 2000 million.
		"alone": {alone, true, []string{
			"\n| predict/R50x1/224/2 | 2 | avx2 | 80.0 ms | 40.0 ms | 2000 | 20000 | 100 | 50 % | 50 % | 1000 ms | 250 MB |\n",
		}, []string{"peer", "ONNX"}},
	} {
		var out strings.Builder
		if err := c.report.print(&out, c.markdown); err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: no %q in\n%s", name, want, out.String())
			}
		}
		for _, unwanted := range c.without {
			if strings.Contains(out.String(), unwanted) {
				t.Errorf("%s: %q in\n%s", name, unwanted, out.String())
			}
		}
	}
}

func TestReportJSON(t *testing.T) {
	var out strings.Builder
	if err := sample().json(&out); err != nil {
		t.Fatal(err)
	}
	var back report
	if err := json.Unmarshal([]byte(out.String()), &back); err != nil {
		t.Fatal(err)
	}
	if want := sample(); !reflect.DeepEqual(&back, want) {
		t.Errorf("wrote %+v, read %+v", want, back)
	}
}
