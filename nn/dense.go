package nn

import "github.com/bigtransfer/bit/internal/kernels"

// Dense is the head: y = x·w + bias, x [N,1,1,F], y [N,1,1,classes]. Its kernel is not standardised.
type Dense struct {
	*Conv
	bias, dbias []float32 // [classes]; dbias nil for inference
}

// NewDense plans the head over kernel k, made by NewKernel with kernel size 1 and no epsilon.
func NewDense(k *Kernel, bias, dbias []float32, x, y *Map) *Dense {
	return &Dense{Conv: NewConv(k, x, nil, y, nil, true, false), bias: bias, dbias: dbias}
}

// Forward computes y.
func (d *Dense) Forward() {
	y := d.y
	kernels.CopyRows(y.Data, y.C, d.bias, 0, y.N, y.C)
	d.Conv.Forward()
}

// PlanBackward prepares BackwardInput.
func (d *Dense) PlanBackward(dy, dx *Map) { d.Conv.PlanBackward(dy, dx, false, false) }

// BackwardKernel adds to the gradients of kernel and bias.
func (d *Dense) BackwardKernel(dy *Map, scratch []float32) {
	d.Conv.BackwardKernel(dy, scratch)
	kernels.AddRows(d.dbias, 0, dy.Data, dy.C, dy.N, dy.C)
}
