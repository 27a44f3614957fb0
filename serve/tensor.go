package serve

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"net/http"
	"strconv"

	"github.com/bigtransfer/bit/api"
	"github.com/bigtransfer/bit/imaging"
)

// Datatypes of the Open Inference Protocol that are used here.
const (
	datatypeFloat = "FP32"
	datatypeUint8 = "UINT8"
	datatypeBytes = "BYTES"
)

// inferInput is the input of a request.
type inferInput struct {
	name     string
	shape    []int
	channels bool      // of images: whether the channels come last, [N,H,W,3]
	floats   []float32 // of images
	pixels   []byte    // of pixels
	files    [][]byte
}

func (in *inferInput) count() int { return in.shape[0] }

// readInput reads the input of a request: one of the tensors, from JSON or from what follows it. It asks reserve for the
// memory of the values, which can be twice that of their text.
func readInput(req *api.InferRequest, rest []byte, reserve func(bytes int64) error) (*inferInput, error) {
	if len(req.Inputs) != 1 {
		return nil, failf(http.StatusBadRequest, "%d inputs, want one of %q, %q and %q", len(req.Inputs), tensorImages, tensorPixels, tensorFiles)
	}
	t := req.Inputs[0]
	in := &inferInput{name: t.Name, shape: t.Shape}
	datatype, rank := "", 4
	switch t.Name {
	case tensorImages:
		datatype = datatypeFloat
	case tensorPixels:
		datatype = datatypeUint8
	case tensorFiles:
		datatype, rank = datatypeBytes, 1
	default:
		return nil, failf(http.StatusBadRequest, "input %q: want %q, %q or %q", t.Name, tensorImages, tensorPixels, tensorFiles)
	}
	if t.Datatype != datatype {
		return nil, failf(http.StatusBadRequest, "input %q has datatype %q, want %s", t.Name, t.Datatype, datatype)
	}
	if t.Name == tensorFiles && len(t.Shape) == 2 && t.Shape[1] == 1 {
		in.shape = t.Shape[:1] // as clients send it that add a dimension for the batch
	}
	size, err := checkShape(t.Name, in.shape, rank)
	if err != nil {
		return nil, err
	}
	if t.Name != tensorFiles {
		layout, ok := t.Parameters[paramLayout]
		in.channels = t.Name == tensorPixels || ok && layout == "NHWC"
		if ok && layout != "NHWC" && (layout != "NCHW" || t.Name == tensorPixels) {
			return nil, failf(http.StatusBadRequest, "input %q: layout %v, want NHWC or, of %s, NCHW", t.Name, layout, tensorImages)
		}
		at := map[bool]int{false: 1, true: 3}[in.channels]
		if in.shape[at] != 3 {
			return nil, failf(http.StatusBadRequest, "input %q has shape %v: want 3 channels in dimension %d", t.Name, t.Shape, at)
		}
	}
	if n, ok := t.Parameters[paramBinarySize]; ok {
		bytes, err := asNumber(n)
		if err != nil || bytes != int64(len(rest)) {
			return nil, failf(http.StatusBadRequest, "input %q: binary_data_size is %v, and %d bytes follow the JSON", t.Name, n, len(rest))
		}
		return in, in.readBinary(rest, size, reserve)
	}
	if len(rest) > 0 {
		return nil, failf(http.StatusBadRequest, "%d bytes follow the JSON, and no input has a binary_data_size", len(rest))
	}
	return in, in.readJSON(t.Data, size, reserve)
}

// checkShape returns the number of values of a shape.
func checkShape(name string, shape []int, rank int) (int, error) {
	size := 1
	for _, n := range shape {
		if n < 1 || n > math.MaxInt32/size {
			return 0, failf(http.StatusBadRequest, "input %q has shape %v: want positive sides, and less than 2^31 values", name, shape)
		}
		size *= n
	}
	if len(shape) != rank {
		return 0, failf(http.StatusBadRequest, "input %q has shape %v: want %d dimensions", name, shape, rank)
	}
	return size, nil
}

// readBinary reads values in little-endian order; files each after its length.
func (in *inferInput) readBinary(b []byte, size int, reserve func(bytes int64) error) error {
	want := map[string]int{tensorImages: 4 * size, tensorPixels: size, tensorFiles: len(b)}[in.name]
	if len(b) != want {
		return failf(http.StatusBadRequest, "input %q has %d bytes, its shape %v needs %d", in.name, len(b), in.shape, want)
	}
	switch in.name {
	case tensorImages:
		if err := reserve(4 * int64(size)); err != nil {
			return err
		}
		in.floats = make([]float32, size)
		for i := range in.floats {
			in.floats[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
	case tensorPixels:
		in.pixels = b
	default:
		for len(b) > 0 {
			if len(b) < 4 || uint64(binary.LittleEndian.Uint32(b)) > uint64(len(b)-4) {
				return failf(http.StatusBadRequest, "input %q: element %d is longer than what follows the JSON", in.name, len(in.files))
			}
			n := binary.LittleEndian.Uint32(b)
			in.files = append(in.files, b[4:4+n])
			b = b[4+n:]
		}
		if len(in.files) != size {
			return failf(http.StatusBadRequest, "input %q has %d elements, its shape %v needs %d", in.name, len(in.files), in.shape, size)
		}
	}
	return in.checkFinite()
}

// readJSON reads values from JSON, flat or nested.
func (in *inferInput) readJSON(data json.RawMessage, size int, reserve func(bytes int64) error) error {
	if in.name == tensorFiles {
		if err := reserve(int64(base64.StdEncoding.DecodedLen(len(data)))); err != nil {
			return err
		}
		var texts []string
		if err := json.Unmarshal(data, &texts); err != nil {
			return failf(http.StatusBadRequest, "input %q: data: want a list of pictures in base64: %v", in.name, err)
		}
		if len(texts) != size {
			return failf(http.StatusBadRequest, "input %q has %d elements, its shape %v needs %d", in.name, len(texts), in.shape, size)
		}
		for i, text := range texts {
			file, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				return failf(http.StatusBadRequest, "input %q: element %d is not base64: %v", in.name, i, err)
			}
			in.files = append(in.files, file)
		}
		return nil
	}
	if len(data) < size { // before memory for it is asked for
		return failf(http.StatusBadRequest, "input %q has fewer values than its shape %v needs", in.name, in.shape)
	}
	each := map[string]int64{tensorImages: 4, tensorPixels: 1}[in.name]
	if err := reserve(each * int64(size)); err != nil {
		return err
	}
	add := func(text string) error {
		v, err := strconv.ParseFloat(text, 32)
		in.floats = append(in.floats, float32(v))
		return err
	}
	if in.name == tensorPixels {
		add = func(text string) error {
			v, err := strconv.ParseUint(text, 10, 8)
			in.pixels = append(in.pixels, byte(v))
			return err
		}
		in.pixels = make([]byte, 0, size)
	} else {
		in.floats = make([]float32, 0, size)
	}
	n, err := eachNumber(data, size, add)
	if err != nil {
		return failf(http.StatusBadRequest, "input %q: value %d: %v", in.name, n, err)
	}
	if n != size {
		return failf(http.StatusBadRequest, "input %q has %d values, its shape %v needs %d", in.name, n, in.shape, size)
	}
	return nil
}

// eachNumber calls f for each number in JSON arrays, however they are nested, and returns how many there were; at most one
// more than most.
func eachNumber(data []byte, most int, f func(text string) error) (int, error) {
	n := 0
	for i := 0; i < len(data); {
		switch data[i] {
		case '[', ']', ',', ' ', '\t', '\r', '\n':
			i++
			continue
		}
		from := i
		for i < len(data) && data[i] != ',' && data[i] != ']' && data[i] > ' ' {
			i++
		}
		if n == most {
			return n + 1, nil
		}
		if err := f(string(data[from:i])); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func (in *inferInput) checkFinite() error {
	for i, v := range in.floats {
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return failf(http.StatusBadRequest, "input %q: value %d is %v", in.name, i, v)
		}
	}
	return nil
}

// inputTasks makes the pictures of a request's input ready for the network.
func (s *Server) inputTasks(ctx context.Context, i *instance, in *inferInput) ([]*task, error) {
	n := in.count()
	switch in.name {
	case tensorFiles:
		pictures := make([]Picture, n)
		for k := range pictures {
			pictures[k] = Picture{strconv.Itoa(k), in.files[k]}
		}
		return s.prepare(ctx, i, pictures)
	case tensorPixels:
		tasks := make([]*task, n)
		h, w := in.shape[1], in.shape[2]
		for k := range tasks {
			var err error
			if tasks[k], err = i.fit(&imaging.Image{W: w, H: h, Pix: in.pixels[k*h*w*3:][:h*w*3]}); err != nil {
				return nil, err
			}
		}
		return tasks, nil
	}
	h, w := in.shape[2], in.shape[3]
	if in.channels {
		h, w = in.shape[1], in.shape[2]
	}
	if i.height > 0 && (h != i.height || w != i.width) || h > maxInputPixels/w {
		return nil, failf(http.StatusBadRequest, "input %q: pictures of height %d and width %d, the model takes %d and %d", in.name, h, w, i.height, i.width)
	}
	tasks := make([]*task, n)
	for k := range tasks {
		x := in.floats[k*h*w*3:][:h*w*3]
		if !in.channels {
			x = channelsLast(x, h*w)
		}
		tasks[k] = &task{x: x, h: h, w: w}
	}
	return tasks, nil
}

// channelsLast turns [3, pixels] into [pixels, 3].
func channelsLast(x []float32, pixels int) []float32 {
	out := make([]float32, len(x))
	for c := range 3 {
		for p, v := range x[c*pixels:][:pixels] {
			out[3*p+c] = v
		}
	}
	return out
}

// floatBytes writes values in little-endian order.
func floatBytes(values []float32) []byte {
	b := make([]byte, 0, 4*len(values))
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// stringBytes writes strings, each after its length.
func stringBytes(texts []string) []byte {
	var b []byte
	for _, t := range texts {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(t)))
		b = append(b, t...)
	}
	return b
}
