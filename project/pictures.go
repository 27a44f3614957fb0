package project

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/atomicfile"
)

// Folders of a project.
const (
	pictureDir   = "pictures"
	thumbnailDir = "thumbnails"
	runDir       = "runs"
)

// Added is what became of a picture that was added.
type Added struct {
	Picture
	Known     bool     // the class had a picture of the same pixels: it is the one returned, and nothing changed
	Elsewhere []uint64 // other classes that have a picture of the same pixels
}

// Add adds a picture file to a class; name is the file's, for people. The errors are those of [imaging.Decode] for what is
// no picture, [*LimitError], and those of the disk.
func (s *Store) Add(id string, class uint64, name string, content []byte) (Added, error) {
	if int64(len(content)) > s.limits.PictureBytes {
		return Added{}, &LimitError{"bytes in a picture's file", s.limits.PictureBytes}
	}
	if err := s.view(id, func(t *tx) error { _, err := t.findClass(class); return err }); err != nil {
		return Added{}, err // before the work
	}
	img, err := imaging.Decoder{MaxPixels: s.limits.Pixels}.Decode(content)
	if err != nil {
		return Added{}, err
	}
	sum := sha256.Sum256(content)
	p := Picture{
		Class: class, Name: shortName(name), File: hex.EncodeToString(sum[:]), Pixels: pixelHash(img), Look: imaging.HashOf(img),
		Width: img.W, Height: img.H, Bytes: int64(len(content)), Added: now(),
	}
	lock := &s.files[sum[0]%byte(len(s.files))]
	lock.Lock()
	defer lock.Unlock()
	if err := s.write(id, p.File, content); err != nil {
		return Added{}, err
	}
	s.writeThumbnail(id, p.File, img) // can be made again
	a := Added{}
	err = s.update(id, func(t *tx) error {
		a = Added{Picture: p}
		return t.add(&a, s.limits)
	})
	if err != nil || a.Known {
		if swept := s.sweepLocked(id, p.File); err == nil {
			err = swept
		}
	}
	return a, err
}

// add makes the records of a picture, unless its class has it.
func (t *tx) add(a *Added, limits Limits) error {
	if _, err := t.findClass(a.Class); err != nil {
		return err
	}
	raw, err := hex.DecodeString(a.Pixels)
	if err != nil {
		return err
	}
	for c := t.in(pixelBucket).Cursor(); ; {
		k, v := c.Seek(append(bytes.Clone(raw), make([]byte, 8)...))
		for ; k != nil && bytes.HasPrefix(k, raw); k, v = c.Next() {
			if class := binary.BigEndian.Uint64(v); class != a.Class {
				a.Elsewhere = append(a.Elsewhere, class)
				continue
			}
			a.Known = true
			a.Picture, err = get[Picture](t.in(pictureBucket), k[len(raw):])
			return err
		}
		break
	}
	switch {
	case t.project.Pictures >= limits.Pictures:
		return &LimitError{"pictures in a project", int64(limits.Pictures)}
	case t.project.Bytes+a.Bytes > limits.Bytes:
		return &LimitError{"bytes of pictures in a project", limits.Bytes}
	}
	if a.ID, err = t.in(pictureBucket).NextSequence(); err != nil {
		return err
	}
	t.project.Revision++
	t.project.Pictures++
	t.project.Bytes += a.Bytes
	if err := t.refer(a.File, +1); err != nil {
		return err
	}
	if err := t.in(pixelBucket).Put(append(raw, key(a.ID)...), key(a.Class)); err != nil {
		return err
	}
	return put(t.in(pictureBucket), key(a.ID), a.Picture)
}

// drop removes the records of a picture.
func (t *tx) drop(p Picture) error {
	raw, err := hex.DecodeString(p.Pixels)
	if err != nil {
		return err
	}
	t.project.Pictures--
	t.project.Bytes -= p.Bytes
	if err := t.in(pixelBucket).Delete(append(raw, key(p.ID)...)); err != nil {
		return err
	}
	if err := t.in(pictureBucket).Delete(key(p.ID)); err != nil {
		return err
	}
	return t.refer(p.File, -1)
}

// refer counts the records that speak of a file.
func (t *tx) refer(file string, by int) error {
	b, k := t.in(fileBucket), []byte(file)
	n := by
	if v := b.Get(k); v != nil {
		n += int(binary.BigEndian.Uint64(v))
	}
	if n <= 0 {
		return b.Delete(k)
	}
	return b.Put(k, key(uint64(n)))
}

// Pictures returns the pictures of a project in the order in which they were added.
func (s *Store) Pictures(id string) (list []Picture, err error) {
	err = s.view(id, func(t *tx) error {
		list, err = all[Picture](t.in(pictureBucket))
		return err
	})
	return list, err
}

// Picture returns the record of a picture.
func (s *Store) Picture(id string, picture uint64) (p Picture, err error) {
	err = s.view(id, func(t *tx) error {
		p, err = t.findPicture(picture)
		return err
	})
	return p, err
}

func (t *tx) findPicture(picture uint64) (Picture, error) {
	p, err := get[Picture](t.in(pictureBucket), key(picture))
	if err != nil {
		return p, fmt.Errorf("picture %d of project %q: %w", picture, t.project.Name, err)
	}
	return p, nil
}

// Move puts pictures into another class, all of them or none.
func (s *Store) Move(id string, pictures []uint64, class uint64) error {
	return s.update(id, func(t *tx) error {
		if _, err := t.findClass(class); err != nil {
			return err
		}
		for _, picture := range pictures {
			p, err := t.findPicture(picture)
			if err != nil {
				return err
			}
			if p.Class == class {
				continue
			}
			raw, err := hex.DecodeString(p.Pixels)
			if err != nil {
				return err
			}
			p.Class = class
			t.project.Revision++
			if err := t.in(pixelBucket).Put(append(raw, key(p.ID)...), key(class)); err != nil {
				return err
			}
			if err := put(t.in(pictureBucket), key(p.ID), p); err != nil {
				return err
			}
		}
		return nil
	})
}

// Remove removes pictures, all of them or none.
func (s *Store) Remove(id string, pictures []uint64) error {
	var files []string
	err := s.update(id, func(t *tx) error {
		files = files[:0]
		for _, picture := range pictures {
			p, err := t.findPicture(picture)
			if err != nil {
				return err
			}
			if err := t.drop(p); err != nil {
				return err
			}
			t.project.Revision++
			files = append(files, p.File)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.sweep(id, files)
}

// File opens a picture's file.
func (s *Store) File(id string, p Picture) (*os.File, error) {
	return os.Open(s.path(id, pictureDir, p.File))
}

// write writes a picture's file, unless it is there. The caller holds its lock.
func (s *Store) write(id, file string, content []byte) error {
	path := s.path(id, pictureDir, file)
	if st, err := os.Stat(path); err == nil && st.Size() == int64(len(content)) {
		return nil
	}
	// A project that was deleted meanwhile must not come back as a folder: nothing makes one but Create.
	return atomicfile.Replace(path, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

// sweep removes those of the files that no record speaks of any more.
func (s *Store) sweep(id string, files []string) error {
	for _, file := range files {
		raw, err := hex.DecodeString(file)
		if err != nil {
			return err
		}
		lock := &s.files[raw[0]%byte(len(s.files))]
		lock.Lock()
		err = s.sweepLocked(id, file)
		lock.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) sweepLocked(id, file string) error {
	used := true
	err := s.view(id, func(t *tx) error {
		used = t.in(fileBucket).Get([]byte(file)) != nil
		return nil
	})
	if err != nil || used {
		return err
	}
	for _, dir := range []string{thumbnailDir, pictureDir} {
		if err := os.Remove(s.path(id, dir, file)); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}

// pixelHash names a picture by what it shows, whatever the file that it came in.
func pixelHash(img *imaging.Image) string {
	h := sha256.New()
	h.Write(key(uint64(img.W), uint64(img.H)))
	h.Write(img.Pix)
	return hex.EncodeToString(h.Sum(nil))
}
