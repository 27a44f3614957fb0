package main

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/bigtransfer/bit/onnx"
	"github.com/bigtransfer/bit/resnet"
	"github.com/bigtransfer/bit/weights"
)

// files are one network in the two forms that contenders read.
type files struct {
	directory string // config.json and model.safetensors
	onnx      string // empty if nobody reads it
}

// randomNetwork returns a network with random weights. Unlike a fresh one it has a head, and scales and shifts that
// are not all alike, so that a permuted or forgotten tensor shows in the logits. Its convolution kernels have unit
// variance: that changes nothing in the forward pass, where they are standardised, but in the small ones of a fresh
// network a step goes so far that float32 rounding, anybody's, grows tenfold with each.
func randomNetwork(c resnet.Config) (*resnet.Network, error) {
	net, err := resnet.NewNetwork(c)
	if err != nil {
		return nil, err
	}
	r := rand.New(rand.NewPCG(1, 0))
	for _, p := range net.Params() {
		mean, spread := 0.0, 0.2
		switch {
		case len(p.Shape) == 4: // a convolution
			spread = 1
		case p.Name == resnet.HeadKernel:
			spread = 1 / math.Sqrt(float64(c.FeatureWidth()))
		case strings.HasSuffix(p.Name, "/gamma"):
			mean = 1
		}
		for i := range p.Value {
			p.Value[i] = float32(mean + spread*r.NormFloat64())
		}
	}
	return net, nil
}

// writeNetwork writes a network into a directory under the given name, the ONNX file only if a peer reads it.
func writeNetwork(dir, name string, net *resnet.Network, forPeer bool) (files, error) {
	f := files{directory: filepath.Join(dir, name)}
	if err := weights.SaveHF(context.Background(), f.directory, weights.FromNetwork(net, nil, nil), weights.F32, weights.Card{Name: name}); err != nil {
		return f, err
	}
	if !forPeer {
		return f, nil
	}
	f.onnx = filepath.Join(dir, name+".onnx")
	return f, onnx.Save(context.Background(), f.onnx, net, onnx.Options{Input: onnx.Images})
}

// remove deletes the files.
func (f files) remove() error {
	err := os.RemoveAll(f.directory)
	if f.onnx != "" {
		err = errors.Join(err, os.Remove(f.onnx))
	}
	return err
}

// writeInput writes images, as a request's Input.
func writeInput(path string, x []float32) error {
	raw := make([]byte, 0, 4*len(x))
	for _, v := range x {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return os.WriteFile(path, raw, 0o666)
}

// randomImages returns n values in [-1, 1), the range that BiT's inputs have.
func randomImages(n int) []float32 {
	r := rand.New(rand.NewPCG(2, 0))
	x := make([]float32, n)
	for i := range x {
		x[i] = 2*r.Float32() - 1
	}
	return x
}
