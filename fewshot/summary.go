package fewshot

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Summary is the runs of a method at a number of shots.
type Summary struct {
	Method   Method  `json:"method"`
	Shots    int     `json:"shots"`
	Runs     int     `json:"runs"`
	Min      float64 `json:"min"` // top-1, between 0 and 1
	Median   float64 `json:"median"`
	Max      float64 `json:"max"`
	Examples int     `json:"examples"` // training pictures
	Images   int     `json:"images"`   // pictures they were judged on
	Seconds  float64 `json:"seconds"`  // of a run, on the average
}

// Summarise returns a summary of each method and number of shots, in that order.
func Summarise(runs []Run) []Summary {
	type group struct {
		method Method
		shots  int
	}
	by := map[group][]Run{}
	for _, r := range runs {
		by[group{r.Method, r.Shots}] = append(by[group{r.Method, r.Shots}], r)
	}
	var list []Summary
	for g, runs := range by {
		slices.SortFunc(runs, func(a, b Run) int { return cmp.Compare(a.Top1, b.Top1) })
		n := len(runs)
		s := Summary{
			Method: g.method, Shots: g.shots, Runs: n, Examples: runs[0].Examples, Images: runs[0].Images,
			Min: runs[0].Top1, Median: (runs[(n-1)/2].Top1 + runs[n/2].Top1) / 2, Max: runs[n-1].Top1,
		}
		for _, r := range runs {
			s.Seconds += r.Seconds / float64(n)
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b Summary) int {
		return cmp.Or(cmp.Compare(slices.Index(Methods(), a.Method), slices.Index(Methods(), b.Method)), cmp.Compare(a.Shots, b.Shots))
	})
	return list
}

// Range writes accuracies as the official table does, in per cent: "49.9 ← 54.4 → 60.2", or one number of a single run.
func (s Summary) Range() string {
	if s.Runs == 1 {
		return fmt.Sprintf("%.1f", 100*s.Median)
	}
	return fmt.Sprintf("%.1f ← %.1f → %.1f", 100*s.Min, 100*s.Median, 100*s.Max)
}

// WriteTable writes a Markdown table with a row for each number of shots and a column for each method. A column of gains
// over Scratch, in points of the medians, follows each other method if Scratch was run.
func WriteTable(w io.Writer, list []Summary) error {
	var methods []Method
	var shots []int
	of := map[Method]map[int]Summary{}
	for _, s := range list {
		if of[s.Method] == nil {
			of[s.Method] = map[int]Summary{}
			methods = append(methods, s.Method)
		}
		of[s.Method][s.Shots] = s
		if !slices.Contains(shots, s.Shots) {
			shots = append(shots, s.Shots)
		}
	}
	slices.Sort(shots)
	gains := of[Scratch] != nil && len(methods) > 1
	head := []string{"per class"}
	for _, m := range methods {
		head = append(head, fmt.Sprintf("%s (%s)", m, counted(of[m])))
	}
	if gains {
		for _, m := range methods {
			if m != Scratch {
				head = append(head, string(m)+" − scratch")
			}
		}
	}
	rows := [][]string{head}
	for _, k := range shots {
		row := []string{fmt.Sprint(k)}
		for _, m := range methods {
			cell := "–"
			if s, ok := of[m][k]; ok {
				cell = s.Range()
			}
			row = append(row, cell)
		}
		for _, m := range methods {
			if !gains || m == Scratch {
				continue
			}
			a, ok := of[m][k]
			b, both := of[Scratch][k]
			if cell := "–"; ok && both {
				row = append(row, fmt.Sprintf("%+.1f", 100*(a.Median-b.Median)))
			} else {
				row = append(row, cell)
			}
		}
		rows = append(rows, row)
	}
	return writeRows(w, rows)
}

// counted says how many runs the summaries of a method are of.
func counted(of map[int]Summary) string {
	least, most := math.MaxInt, 0
	for _, s := range of {
		least, most = min(least, s.Runs), max(most, s.Runs)
	}
	switch {
	case least < most:
		return fmt.Sprintf("%d to %d runs", least, most)
	case most == 1:
		return "1 run"
	}
	return fmt.Sprintf("%d runs", most)
}

// writeRows writes a Markdown table whose columns line up.
func writeRows(w io.Writer, rows [][]string) error {
	width := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			width[i] = max(width[i], len([]rune(cell)), 3)
		}
	}
	for n, row := range rows {
		var line, rule strings.Builder
		for i, cell := range row {
			fmt.Fprintf(&line, "| %s%s ", cell, strings.Repeat(" ", width[i]-len([]rune(cell))))
			fmt.Fprintf(&rule, "| %s ", strings.Repeat("-", width[i]))
		}
		if _, err := fmt.Fprintln(w, line.String()+"|"); err != nil {
			return err
		}
		if n == 0 {
			if _, err := fmt.Fprintln(w, rule.String()+"|"); err != nil {
				return err
			}
		}
	}
	return nil
}
