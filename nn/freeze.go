package nn

// Freeze is Fold for the last time: the panels take the memory of the parameters, which are lost. spare holds at least
// as many values as the kernel has, its contents undefined before and after. Where the last panel is not full the
// panels do not fit and get memory of their own.
func (k *Kernel) Freeze(spare []float32) {
	if panelLen(k.depth(), k.Co) == len(k.w) {
		k.forward, k.w = k.w, spare[:copy(spare, k.w)]
	}
	k.Fold()
	k.w = nil
}
