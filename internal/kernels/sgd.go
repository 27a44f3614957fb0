package kernels

// SGD is one update of stochastic gradient descent with momentum as PyTorch does it, with coupled weight decay:
//
//	v = momentum·v + scale·g + decay·w,  w = w - rate·v
func SGD(w, v, g []float32, rate, momentum, decay, scale float32) {
	checkVector("v", v, len(w))
	checkVector("g", g, len(w))
	if len(w) > 0 {
		sgd(w, v, g, rate, momentum, decay, scale)
	}
}

func sgdGeneric(w, v, g []float32, rate, momentum, decay, scale float32) {
	for i := range w {
		v[i] = momentum*v[i] + (scale*g[i] + decay*w[i])
		w[i] -= rate * v[i]
	}
}
