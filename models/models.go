// Package models holds the pretrained model that is compiled into every program that imports it.
package models

import (
	"embed"
	"io/fs"
)

// Tiny is the name of the embedded model: units 2, 2, 2, 2 at half the width of R50x1, 3.7 million parameters,
// pre-trained on the 200 classes of Tiny-ImageNet at 64 pixels. Its model card, README.md, has the rest.
const Tiny = "BiT-Tiny-R26x0.5"

//go:embed BiT-Tiny-R26x0.5/config.json BiT-Tiny-R26x0.5/model.safetensors
//go:embed BiT-Tiny-R26x0.5/preprocessor_config.json BiT-Tiny-R26x0.5/README.md
var files embed.FS

// FS returns the embedded models, each a Hugging Face model directory of its name in the root.
func FS() fs.FS { return files }
