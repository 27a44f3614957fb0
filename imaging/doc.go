// Package imaging turns image files into the float32 arrays that a network reads.
//
// The way of a picture: [Decode] (JPEG, PNG, GIF, BMP, TIFF, WebP to 8-bit RGB, upright; of JPEG the pixels of
// libjpeg-turbo), [Image.Resize] (the fixed-point arithmetic of the Python Imaging Library, to the last bit),
// [Image.Crop] and [Image.FlipHorizontal], and [Normalizer], which maps 8-bit values to floats. [Processor] strings them
// together as a model's preprocessor_config.json says.
//
// Conventions: pixels are R G B, 8 bits each, dense and row-major (H W 3); float arrays are H W C. Geometry is given as
// width, height; x runs to the right and y down.
package imaging
