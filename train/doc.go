// Package train is the training loop that fine-tuning (package transfer) and upstream pre-training (package pretrain)
// configure: batches in, SGD with momentum, a schedule, checkpoints that survive a kill at any moment.
//
// # Determinism
//
// A run is a function of its starting weights, its Config and its Source. The batch of a step and the rate of a step
// are pure functions of the step, sums are taken in an order that depends on shapes alone, and nothing reads the clock
// or a random generator that advances. So the bits of the final weights do not depend on the number of threads, nor on
// how often the run was interrupted, killed and resumed, nor on when checkpoints were written.
//
// # Checkpoints
//
// A run that has a directory keeps two files in it: "last.safetensors" to resume from and "best.safetensors" of the
// best evaluation. Both are complete, and both are written beside their name, synced and renamed, so that a kill or a
// full disk leaves the old one in place. They are safetensors files of float32: "param/" + name for every parameter of
// the network, "momentum/" + name for its velocity and, if the weights are averaged, "ema/" + name. The metadata hold
// the step, the evaluations, everything that the bits of the run depend on ("identity/…": network, starting weights,
// recipe, data, seed), which a run that resumes must share, and a SHA-256 of the whole. No state of a random generator
// is among them, because the seed and the step are that state.
package train
