// Package counter gives random numbers that are placed, not drawn one after the other: each decision of a run has a
// generator that follows from the seed, what the number is for, and a counter, whoever asks and whatever was asked before.
package counter

import "math/rand/v2"

// Stream names what a random number is for, so that no two decisions share their bits.
type Stream uint64

// The decisions that are random, and what their counter counts.
const (
	Order      Stream = iota + 1 // counter: epoch
	Augment                      // counter: position in the endless stream of examples
	Mixup                        // counter: step
	HoldOut                      // counter: class
	FewShot                      // counter: class
	Turns                        // counter: round of a balanced order
	ClassOrder                   // counter: pass over a class, times the number of classes, plus the class
)

// Rand is a random generator that is placed, not advanced: At sets it to the start of the sequence that belongs
// to (seed, stream, counter). It is reused without allocating.
type Rand struct {
	pcg rand.PCG
	*rand.Rand
}

// New returns a generator that must be placed before its first use.
func New() *Rand {
	r := &Rand{}
	r.Rand = rand.New(&r.pcg) // keeps no state besides the source's
	return r
}

// At places the generator and returns it.
func (r *Rand) At(seed uint64, s Stream, counter int64) *Rand {
	hi := mix64(seed ^ mix64(uint64(s)))
	r.pcg.Seed(hi, mix64(hi^uint64(counter)))
	return r
}

// mix64 is the output function of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators",
// 2014, with the constants of Stafford's variant 13) after one step of its counter: neighbouring inputs give unrelated
// outputs, which the seeds of PCG need.
func mix64(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
