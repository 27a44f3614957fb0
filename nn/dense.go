package nn

import "github.com/bigtransfer/bit/internal/kernels"

// Dense is the head: y = x·w + bias, x [N,1,1,F], y [N,1,1,classes]. Its kernel is not standardised.
type Dense struct {
	conv        *Conv
	bias, dbias []float32 // [classes]; dbias nil for inference
}

// NewDense plans the head over kernel k, made by NewKernel with kernel size 1 and no epsilon.
func NewDense(k *Kernel, bias, dbias []float32, x, y *Map) *Dense {
	return &Dense{conv: NewConv(k, x, nil, y, nil, true, false), bias: bias, dbias: dbias}
}

// Forward computes y.
func (d *Dense) Forward() {
	y := d.conv.y
	kernels.CopyRows(y.Data, y.C, d.bias, 0, y.N, y.C)
	d.conv.Forward()
}

// PlanBackward prepares Backward.
func (d *Dense) PlanBackward(dy, dx *Map) { d.conv.PlanBackward(dy, dx, false, false) }

// GradScratch returns the values that Backward needs.
func (d *Dense) GradScratch() int { return d.conv.GradScratch() }

// Backward adds to the gradients of kernel and bias and computes dx as planned.
func (d *Dense) Backward(dy *Map, scratch []float32) {
	d.conv.BackwardKernel(dy, scratch)
	kernels.AddRows(d.dbias, 0, dy.Data, dy.C, dy.N, dy.C)
	d.conv.BackwardInput()
}
