// Package serve answers requests for classes and features of pictures over HTTP.
//
// # The way of a request
//
// The guard (guard.go) looks at Host, Origin and token. Admission (admission.go) takes a place for each picture and
// memory for the body, or answers 503, before a byte is read. The body becomes pictures (body.go, huggingface.go,
// openinference.go), and those become prepared pictures of 8 bits (decode.go) on the request's own goroutine, as many at
// once as there are CPUs. They wait in the queue of their model (batcher.go), whose goroutine takes as many of one size as
// are there and runs the network. Of all models one runs at a time, with all threads.
//
// A request that ends early, because the client went away or its time is over, leaves the queue. A model that is
// loaded again (models.go) is exchanged between two requests; those that began with the old one end with it.
package serve
