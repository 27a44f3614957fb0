// Package batch turns the examples of a data set into batches for a network.
//
// A [Pipeline] is the augmentation, typed steps that print as "resize(160)|random_crop(128)|flip_lr". A [Loader] decodes,
// augments and scales pictures ahead of the network, on several goroutines, into recycled buffers.
//
// # Conventions
//
// Batches are float32 in N H W C order with C = 3 (red, green, blue), labels are class indices. Sides are in pixels.
//
// # Randomness
//
// Nothing here keeps a random state that advances. Every random decision is computed from the seed and a counter: the
// order of an epoch from (seed, epoch), the crop and flip of an example from (seed, its position in the endless stream
// of examples), mixup from (seed, step). So batch k is the same whoever computes it, with any number of workers and
// whether or not batches 0 to k-1 were computed before: a resumed run starts at its step, and nothing is replayed.
package batch
