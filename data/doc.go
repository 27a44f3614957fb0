// Package data lists data sets of labelled pictures, in the layouts and formats that people have them in.
//
// [Open] gives class names and, for each split, the examples with their labels; a [Source] gives their pictures.
// [Dataset.EnsureSplit] makes the validation split that a data set lacks, [FewShot] draws a
// few pictures of each class, both as functions of a seed; [Dataset.Check] leaves out what is broken. Package batch makes batches of them.
package data
