package data

import "math/rand/v2"

// stream names what a random number is for, so that no two decisions share their bits.
type stream uint64

const (
	streamOrder   stream = iota + 1 // counter: epoch
	streamAugment                   // counter: position in the endless stream of examples
	streamMixup                     // counter: step
	streamHoldOut                   // counter: class
	streamFewShot                   // counter: class
)

// counterRand is a random generator that is placed, not advanced: at sets it to the start of the sequence that belongs
// to (seed, stream, counter). It is reused without allocating.
type counterRand struct {
	pcg rand.PCG
	*rand.Rand
}

func newCounterRand() *counterRand {
	r := &counterRand{}
	r.Rand = rand.New(&r.pcg) // keeps no state besides the source's
	return r
}

func (r *counterRand) at(seed uint64, s stream, counter int64) *counterRand {
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
