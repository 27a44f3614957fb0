// Package teach trains the projects of a [project.Store] and answers for them over HTTP: what the page of bit serve does,
// and everybody can.
//
// A [Teacher] has a desk for each project in use (desk.go): the features of its pictures and its models, in memory. The
// closed-form head is fitted while a request waits (probe.go). A fine-tuning is a job that goes on without anybody
// (finetune.go): one at a time, saved every few seconds, resumed to the same bits after a stop, a restart or a kill. What is
// trained can be asked (predict.go), downloaded (download.go) and kept among the server's models (keep.go).
package teach
