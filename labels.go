package bit

// knownLabels returns the names of the classes of a checkpoint that carries none, as the official files carry none, or
// nil if the number of classes does not tell what they are.
//
// The files of 1000 and of 21,843 classes are ImageNet's (big_transfer README); their lists of names are not part of
// this package yet.
func knownLabels(classes int) []string {
	return nil
}
