package project

import (
	"bytes"
	"image/jpeg"
	"os"

	"github.com/bigtransfer/bit/imaging"
)

// ThumbnailSide is the longest side of a thumbnail in pixels. Smaller pictures keep their size.
const ThumbnailSide = 192

// Thumbnail returns a small JPEG file of a picture.
func (s *Store) Thumbnail(id string, p Picture) ([]byte, error) {
	path := s.path(id, thumbnailDir, p.File)
	content, err := os.ReadFile(path)
	// Thumbnails are not synced to disk, so that a power cut may leave one that is cut short.
	if err == nil && bytes.HasSuffix(content, []byte{0xff, 0xd9}) {
		return content, nil
	}
	img, err := imaging.DecodeFile(s.path(id, pictureDir, p.File))
	if err != nil {
		return nil, err
	}
	return s.writeThumbnail(id, p.File, img)
}

// writeThumbnail makes a thumbnail and tries to keep it.
func (s *Store) writeThumbnail(id, file string, img *imaging.Image) ([]byte, error) {
	if side := max(img.W, img.H); side > ThumbnailSide {
		img = img.Resize(max(1, img.W*ThumbnailSide/side), max(1, img.H*ThumbnailSide/side), imaging.Bilinear)
	}
	var content bytes.Buffer
	if err := jpeg.Encode(&content, img, &jpeg.Options{Quality: 88}); err != nil {
		return nil, err
	}
	os.WriteFile(s.path(id, thumbnailDir, file), content.Bytes(), 0o600) // if it fails, it is made again next time
	return content.Bytes(), nil
}
