// Package examples holds a picture to try a model on.
package examples

import _ "embed"

// Cat is a JPEG file of a cat.
//
//go:embed cat.jpg
var Cat []byte
