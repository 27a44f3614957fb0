// Bench compares this program with its peers, ONNX Runtime and PyTorch, on the same machine in one run.
//
//	bench/install-peers.sh
//	go run ./bench                                     every case on 1 and 2 threads at every SIMD level with vectors
//	go run ./bench -cases 'R50x1/224/1$' -threads 2    one case
//	go run ./bench -scaling                            this program alone: batch 1 to 64, 64 to 512 pixels, width 1 to 4
//	go run ./bench -list
//
// Every contender is a process of its own that answers requests over a pipe ([request]); this program is one of them,
// started again as a worker. Contenders run the same network with the same random weights on the same input. Their
// outputs are compared first: logits, and for training also the losses of a few steps. Only if those agree is anything
// timed. They then take turns, one run each, with a pause in between so that threads that one of them keeps spinning
// are asleep when the other one's turn comes. The figures are medians. What the machine can do at most is measured
// before every case by package machine; the best of a run counts. An interrupted run prints what it has.
//
// A run is what a caller waits for: from the input in memory to the logits in memory, or for training zeroed gradients,
// forward pass, softmax cross-entropy, backward pass and an SGD update with momentum. Converting the input to the
// contender's layout is not part of it.
package main
