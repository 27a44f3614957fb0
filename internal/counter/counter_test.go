package counter

import "testing"

// mix64 is SplitMix64: its first outputs from the seed 1234567 are published with the algorithm's reference code.
func TestMix64(t *testing.T) {
	const seed, gamma uint64 = 1234567, 0x9e3779b97f4a7c15
	state := seed
	for i, want := range []uint64{6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431} {
		if got := mix64(state); got != want {
			t.Errorf("output %d is %d, want %d", i, got, want)
		}
		state += gamma
	}
}
