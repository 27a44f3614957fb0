// Package data lists data sets of labelled pictures, in the layouts and formats that people have them in.
//
// [Open] gives class names and, for each split, the examples with their labels; a [Source] gives their pictures.
// [HoldOut] and [FewShot] draw subsets, as functions of a seed. Package batch makes batches of them.
package data
