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
// A run that has a directory keeps two files in it, both complete and both written beside their name, synced and
// renamed: "last.safetensors" to resume from and "best.safetensors" of the best evaluation. See [Checkpoint].
package train
