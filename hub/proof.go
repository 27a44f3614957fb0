package hub

import (
	"math"

	"github.com/bigtransfer/bit/imaging"
)

// Proof is a published output of a model: what it says of one picture.
type Proof struct {
	Picture   string    `json:"picture"`   // a file of a data set, as [Client.ParseDataset] reads it
	Origin    string    `json:"origin"`    // where that picture comes from
	Logits    []float64 `json:"logits"`    // the first ones
	Tolerance float64   `json:"tolerance"` // largest difference of a logit
	Label     string    `json:"label"`     // of the largest logit
	Source    string    `json:"source"`
}

// Accuracy is a published result in per cent.
type Accuracy struct {
	Data   string  `json:"data"`
	Images int     `json:"images"` // of its split for evaluation
	Pixels int     `json:"pixels"` // side of the images
	Top1   float64 `json:"top1"`
	Top5   float64 `json:"top5,omitempty"`
	Source string  `json:"source"`
	// Bound is how far, in points of a per cent, another program may be from Top1 on the same images: rounding in the
	// decoder, the resize and the network moves pictures that are about to be taken for another class, and the more so the
	// less is known of how they were prepared.
	Bound     float64            `json:"bound"`
	Processor *imaging.Processor `json:"preprocessor"` // how the images were prepared
}

// Allowance returns how far, in points, a measurement on so many images may be from the published one: Bound and, on
// other than all images, three standard errors of a share.
func (a *Accuracy) Allowance(images int) float64 {
	if images == a.Images {
		return a.Bound
	}
	p := a.Top1 / 100
	return a.Bound + 100*3*math.Sqrt(p*(1-p)/float64(max(images, 1)))
}

// Bounds of agreement, in points.
const (
	// timm's transforms are known to the pixel. Of 50,000 images 50 may differ.
	exactBound = 0.1
	// TensorFlow's decoder and resize are not Pillow's: of three programs of the authors the colabs print 97.61, 97.62 and
	// 97.64 on CIFAR-10; for other data sets only the paper's description is known.
	describedBound = 0.3
)

// Numbers of images that accuracies are published for.
var evaluationImages = map[string]int{
	ilsvrc: 50_000, "CIFAR-10": 10_000, "Flowers-102": 6_149, "Oxford-IIIT Pets": 3_669, "Food-101": 25_250, "SUN397": 21_750,
}

// bit50Proof is the check of transformers' own tests (tests/models/bit/test_modeling_bit.py,
// test_inference_image_classification_head), on the picture that the model's card uses.
var bit50Proof = &Proof{
	Picture:   "hf://datasets/huggingface/cats-image/cats_image.jpeg",
	Origin:    "http://images.cocodataset.org/val2017/000000039769.jpg",
	Logits:    []float64{-0.6526, -0.5263, -1.4398},
	Tolerance: 1e-4,
	Label:     "tiger cat",
	Source:    "transformers",
}
