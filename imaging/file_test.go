package imaging

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
)

// A file's size is looked at before memory is asked for.
func TestDecodeFileTooLarge(t *testing.T) {
	picture, err := os.ReadFile("testdata/rgb.jpg")
	if err != nil {
		t.Fatal(err)
	}
	size := int64(len(picture))
	path := filepath.Join(t.TempDir(), "a.jpg")
	if err := os.WriteFile(path, picture, 0o666); err != nil {
		t.Fatal(err)
	}
	memory := fstest.MapFS{"a.jpg": {Data: picture}}
	for _, limit := range []int64{0, size, size - 1} {
		d := Decoder{MaxBytes: limit}
		_, fromDisk := d.DecodeFile(path)
		_, fromFS := d.DecodeFS(memory, "a.jpg")
		_, fromPipe := d.DecodeFS(claims{memory, 0}, "a.jpg")
		for _, err := range []error{fromDisk, fromFS, fromPipe} {
			if tooLarge := limit == size-1; errors.Is(err, ErrTooLarge) != tooLarge || !tooLarge && err != nil {
				t.Errorf("%d bytes with a limit of %d: %v", size, limit, err)
			}
		}
	}
	if _, err := DecodeFS(claims{memory, 1 << 50}, "a.jpg"); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a file of 2^50 bytes: %v, want ErrTooLarge", err)
	}
}

// What cannot be read is told from what is no picture.
func TestDecodeFSErrors(t *testing.T) {
	files := fstest.MapFS{"text.jpg": {Data: []byte("hello")}}
	if _, err := DecodeFS(files, "none.jpg"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	_, err := DecodeFS(files, "text.jpg")
	if _, unread := errors.AsType[*fs.PathError](err); unread || !errors.Is(err, ErrNotImage) {
		t.Errorf("text: %v, want ErrNotImage and no PathError", err)
	}
	_, err = DecodeFS(unreadable{files}, "text.jpg")
	if e, unread := errors.AsType[*fs.PathError](err); !unread || e.Path != "text.jpg" || !errors.Is(err, errDisk) {
		t.Errorf("a disk that fails: %v, want a PathError of text.jpg", err)
	}
}

// claims is a file system whose files say that they have another size, as pipes and sparse files do.
type claims struct {
	fs.FS
	size int64
}

func (c claims) Open(name string) (fs.File, error) {
	f, err := c.FS.Open(name)
	return claimingFile{f, c.size}, err
}

type claimingFile struct {
	fs.File
	size int64
}

func (f claimingFile) Stat() (fs.FileInfo, error) {
	info, err := f.File.Stat()
	return claimedInfo{info, f.size}, err
}

type claimedInfo struct {
	fs.FileInfo
	size int64
}

func (i claimedInfo) Size() int64 { return i.size }

// unreadable is a file system whose files can be opened and not be read.
type unreadable struct{ fs.FS }

var errDisk = errors.New("disk failure")

func (u unreadable) Open(name string) (fs.File, error) {
	f, err := u.FS.Open(name)
	return unreadableFile{f}, err
}

type unreadableFile struct{ fs.File }

func (unreadableFile) Read([]byte) (int, error) { return 0, errDisk }
