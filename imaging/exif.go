package imaging

import (
	"bytes"

	"github.com/bep/imagemeta"
)

// exifContainer says where a format keeps its EXIF block.
type exifContainer struct {
	format imagemeta.ImageFormat
	// mark is a byte string that every file with EXIF contains: its absence saves the search.
	mark string
}

var (
	exifNone = exifContainer{}
	exifJPEG = exifContainer{imagemeta.JPEG, "Exif\x00\x00"}
	exifPNG  = exifContainer{imagemeta.PNG, "eXIf"}
	exifWebP = exifContainer{imagemeta.WebP, "EXIF"}
	exifTIFF = exifContainer{imagemeta.TIFF, ""}
)

// orientation returns the EXIF orientation of an image file, 1 to 8; 1 (upright) where it has none or nonsense.
// Damaged metadata does not make a readable picture unreadable.
func orientation(data []byte, c exifContainer) int {
	if c.format == 0 || !bytes.Contains(data, []byte(c.mark)) {
		return 1
	}
	found := 1
	_, err := imagemeta.Decode(imagemeta.Options{
		R:           bytes.NewReader(data),
		ImageFormat: c.format,
		Sources:     imagemeta.EXIF,
		ShouldHandleTag: func(tag imagemeta.TagInfo) bool {
			return tag.Tag == "Orientation" && tag.Namespace == "IFD0"
		},
		HandleTag: func(tag imagemeta.TagInfo) error {
			if v, ok := tag.Value.(uint16); ok && v >= 1 && v <= 8 {
				found = int(v)
			}
			return imagemeta.ErrStopWalking
		},
	})
	if err != nil {
		return 1
	}
	return found
}
