package imaging

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
)

// processorJSON is preprocessor_config.json. Pointers tell a missing key (or null, which transformers treats alike)
// from a zero.
type processorJSON struct {
	CropSize           *sizeJSON  `json:"crop_size"`
	DoCenterCrop       *bool      `json:"do_center_crop"`
	DoConvertRGB       *bool      `json:"do_convert_rgb"`
	DoNormalize        *bool      `json:"do_normalize"`
	DoRescale          *bool      `json:"do_rescale"`
	DoResize           *bool      `json:"do_resize"`
	ImageMean          *[]float64 `json:"image_mean"`
	ImageProcessorType *string    `json:"image_processor_type"`
	ImageStd           *[]float64 `json:"image_std"`
	Resample           *int       `json:"resample"`
	RescaleFactor      *float64   `json:"rescale_factor"`
	Size               *sizeJSON  `json:"size"`
}

// sizeJSON is an object with some of these keys or, in older files, a bare number.
type sizeJSON struct {
	ShortestEdge *int `json:"shortest_edge,omitempty"`
	LongestEdge  *int `json:"longest_edge,omitempty"`
	Height       *int `json:"height,omitempty"`
	Width        *int `json:"width,omitempty"`
	number       *int
}

func (s *sizeJSON) UnmarshalJSON(data []byte) error {
	if data[0] != '{' {
		return json.Unmarshal(data, &s.number)
	}
	type plain sizeJSON // without this method
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode((*plain)(s)); err != nil {
		return fmt.Errorf("size %s: expected a number or an object of shortest_edge, longest_edge or height and width: %w", data, err)
	}
	return nil
}

// UnmarshalJSON reads preprocessor_config.json. Missing keys have the class's defaults ([DefaultProcessor]); a bare
// number stands for the shortest edge in size and for a square in crop_size, as in files of older releases; unknown
// keys are ignored. The result has passed [Processor.Validate].
func (p *Processor) UnmarshalJSON(data []byte) error {
	var j processorJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return fmt.Errorf("imaging: preprocessor_config.json: %w", err)
	}
	q, err := j.processor()
	if err == nil {
		err = q.check()
	}
	if err != nil {
		return fmt.Errorf("imaging: preprocessor_config.json: %w", err)
	}
	*p = *q
	return nil
}

func (j *processorJSON) processor() (*Processor, error) {
	if t := j.ImageProcessorType; t != nil && *t != "BitImageProcessor" && *t != "BitImageProcessorFast" {
		return nil, fmt.Errorf("image_processor_type is %q, expected \"BitImageProcessor\"", *t)
	}
	p := DefaultProcessor()
	set(&p.DoResize, j.DoResize)
	set(&p.DoCenterCrop, j.DoCenterCrop)
	set(&p.DoRescale, j.DoRescale)
	set(&p.DoNormalize, j.DoNormalize)
	set((*int)(&p.Resample), j.Resample)
	set(&p.RescaleFactor, j.RescaleFactor)
	if s := j.Size; s != nil {
		switch {
		case s.number != nil:
			p.Size = Size{ShortestEdge: *s.number}
		case s.ShortestEdge != nil && s.LongestEdge == nil && s.Height == nil && s.Width == nil:
			p.Size = Size{ShortestEdge: *s.ShortestEdge}
		case s.LongestEdge != nil && s.ShortestEdge == nil && s.Height == nil && s.Width == nil:
			p.Size = Size{LongestEdge: *s.LongestEdge}
		case s.ShortestEdge == nil && s.LongestEdge == nil && s.Height != nil && s.Width != nil:
			p.Size = Size{Height: *s.Height, Width: *s.Width}
		default:
			return nil, fmt.Errorf("size: expected one of shortest_edge, longest_edge, and height with width")
		}
	}
	if s := j.CropSize; s != nil {
		switch {
		case s.number != nil:
			p.CropHeight, p.CropWidth = *s.number, *s.number
		case s.ShortestEdge == nil && s.LongestEdge == nil && s.Height != nil && s.Width != nil:
			p.CropHeight, p.CropWidth = *s.Height, *s.Width
		default:
			return nil, fmt.Errorf("crop_size: expected height and width")
		}
	}
	if err := setChannels(&p.Mean, j.ImageMean, "image_mean"); err != nil {
		return nil, err
	}
	return p, setChannels(&p.Std, j.ImageStd, "image_std")
}

// set copies *from to *to if there is a from.
func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

func setChannels(to *[3]float64, from *[]float64, key string) error {
	if from == nil {
		return nil
	}
	if copy(to[:], *from) != 3 || len(*from) != 3 {
		return fmt.Errorf("%s has %d values, expected 3", key, len(*from))
	}
	return nil
}

// MarshalJSON writes preprocessor_config.json as transformers reads it.
func (p Processor) MarshalJSON() ([]byte, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	size := &sizeJSON{Height: &p.Size.Height, Width: &p.Size.Width}
	switch {
	case p.Size.ShortestEdge != 0:
		size = &sizeJSON{ShortestEdge: &p.Size.ShortestEdge}
	case p.Size.LongestEdge != 0:
		size = &sizeJSON{LongestEdge: &p.Size.LongestEdge}
	}
	yes, mean, std := true, p.Mean[:], p.Std[:]
	class := "BitImageProcessor"
	return json.Marshal(processorJSON{
		CropSize:           &sizeJSON{Height: &p.CropHeight, Width: &p.CropWidth},
		DoCenterCrop:       &p.DoCenterCrop,
		DoConvertRGB:       &yes,
		DoNormalize:        &p.DoNormalize,
		DoRescale:          &p.DoRescale,
		DoResize:           &p.DoResize,
		ImageMean:          &mean,
		ImageProcessorType: &class,
		ImageStd:           &std,
		Resample:           (*int)(&p.Resample),
		RescaleFactor:      &p.RescaleFactor,
		Size:               size,
	})
}

// maxSide bounds the sides that a processor may ask for: far above any use, far below overflow.
const maxSide = 1 << 15

// Validate reports the first setting that makes no sense.
func (p *Processor) Validate() error {
	if err := p.check(); err != nil {
		return fmt.Errorf("imaging: processor: %w", err)
	}
	return nil
}

func (p *Processor) check() error {
	side := func(key string, v int) error {
		if v < 1 || v > maxSide {
			return fmt.Errorf("%s is %d, expected 1 to %d", key, v, maxSide)
		}
		return nil
	}
	s := p.Size
	key, edge := "shortest_edge", s.ShortestEdge
	if s.LongestEdge != 0 {
		key, edge = "longest_edge", s.LongestEdge
	}
	if edge != 0 {
		if err := side("size."+key, edge); err != nil {
			return err
		}
		if s.Height != 0 || s.Width != 0 || s.ShortestEdge != 0 && s.LongestEdge != 0 {
			return fmt.Errorf("size has %s %d as well as another: %+v", key, edge, s)
		}
	} else {
		if err := side("size.height", s.Height); err != nil {
			return err
		}
		if err := side("size.width", s.Width); err != nil {
			return err
		}
	}
	if !p.Resample.valid() {
		return fmt.Errorf("resample is %d, expected 0 (nearest), 1 (lanczos), 2 (bilinear), 3 (bicubic), 4 (box) or 5 (hamming)", int(p.Resample))
	}
	if err := side("crop_size.height", p.CropHeight); err != nil {
		return err
	}
	if err := side("crop_size.width", p.CropWidth); err != nil {
		return err
	}
	if f := p.RescaleFactor; f == 0 || math.IsNaN(f) || math.IsInf(f, 0) {
		return fmt.Errorf("rescale_factor is %v, expected a finite number other than 0", f)
	}
	for c := range 3 {
		if m := p.Mean[c]; math.IsNaN(m) || math.IsInf(m, 0) {
			return fmt.Errorf("image_mean[%d] is %v", c, m)
		}
		if s := p.Std[c]; !(s > 0) || math.IsInf(s, 0) || float32(s) == 0 {
			return fmt.Errorf("image_std[%d] is %v, expected a positive number", c, s)
		}
	}
	return nil
}
