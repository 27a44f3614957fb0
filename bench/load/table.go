package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

func printHead() {
	fmt.Println("| connections | server | pictures/s | p50 | p99 | resident | other answers | pictures/s, first / this |")
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- | --- |")
}

// printRows prints a row for each server: medians of its rounds.
func printRows(connections int, targets []target, measured [][]round) {
	first := 0.0
	for i, t := range targets {
		rounds := measured[i]
		speed := median(rounds, round.perSecond)
		if i == 0 {
			first = speed
		}
		others := 0
		for _, r := range rounds {
			for status, n := range r.statuses {
				if status != 200 {
					others += n
				}
			}
		}
		ms := func(q float64) float64 {
			return float64(median(rounds, func(r round) time.Duration { return r.quantile(q) })) / 1e6
		}
		fmt.Printf("| %d | %s | %.1f | %.2f ms | %.2f ms | %d MB | %d | %.2f |\n", connections, t.name, speed, ms(0.5), ms(0.99),
			median(rounds, func(r round) int64 { return r.resident })>>20, others, first/speed)
	}
}

// median returns the middle value of the rounds, the upper one of two.
func median[T cmp.Ordered](rounds []round, value func(round) T) T {
	values := make([]T, len(rounds))
	for i, r := range rounds {
		values[i] = value(r)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
