package data

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/atomicfile"
)

// splitName is the file of a split in a folder, or what its name ends in beside a data set that is a file.
const splitName = "bit-split.json"

const splitVersion = 1

// splitFile is a split as it is written.
type splitFile struct {
	Version  int            `json:"version"`
	Seed     uint64         `json:"seed"`
	Fraction float64        `json:"fraction"`
	Pictures []splitPicture `json:"pictures"` // sorted by path

	path  string // where it was read, or ""
	known map[string]bool
}

// splitPicture is a picture of it.
type splitPicture struct {
	Path    string   `json:"path"`
	Digest  Digest   `json:"digest"` // of a picture that is broken, zeros
	Hash    hashText `json:"hash"`
	HeldOut bool     `json:"held_out,omitempty"`
}

// hashText is a hash in hexadecimal digits.
type hashText imaging.Hash

func (h hashText) MarshalText() ([]byte, error) { return []byte(imaging.Hash(h).String()), nil }

func (h *hashText) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 16, 64)
	*h = hashText(n)
	return err
}

func (s *splitFile) add(e Example, l Look, held bool) {
	s.Pictures = append(s.Pictures, splitPicture{e.Path, l.Digest, hashText(l.Hash), held})
	if s.known == nil {
		s.known = map[string]bool{}
	}
	s.known[e.Path] = true
}

// splitPaths returns where the split of the data set at a path may be, in the order in which they are looked at.
func splitPaths(root string) []string {
	if root == "" {
		return nil
	}
	var paths []string
	if info, err := os.Stat(root); err == nil && info.IsDir() {
		paths = append(paths, filepath.Join(root, splitName))
	} else if err == nil {
		paths = append(paths, root+"."+splitName)
	}
	if cache, err := os.UserCacheDir(); err == nil {
		if abs, err := filepath.Abs(root); err == nil && !isHub(root) { // a pattern of shards too is one of a folder
			root = abs
		}
		name := sha256.Sum256([]byte(root))
		paths = append(paths, filepath.Join(cache, "bit", "splits", hex.EncodeToString(name[:16])+".json"))
	}
	return paths
}

// readSplit reads the split of the data set at root, if one was written.
func readSplit(root string) (*splitFile, error) {
	for _, path := range splitPaths(root) {
		f, err := os.Open(path)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			return nil, err
		}
		s := &splitFile{path: path, known: map[string]bool{}}
		err = json.NewDecoder(bufio.NewReader(f)).Decode(s)
		f.Close()
		if err == nil && s.Version != splitVersion {
			err = fmt.Errorf("its version is %d, expected %d", s.Version, splitVersion)
		}
		if err == nil && !(s.Fraction > 0 && s.Fraction < 1) {
			err = fmt.Errorf("its fraction is %v, expected one between 0 and 1", s.Fraction)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w; without the file a new split is made", path, err)
		}
		for _, p := range s.Pictures {
			s.known[p.Path] = true
		}
		return s, nil
	}
	return nil, nil
}

// save writes the split to the first place that can be written, and returns it.
func (s *splitFile) save(root string) (path string, err error) {
	slices.SortFunc(s.Pictures, func(a, b splitPicture) int { return strings.Compare(a.Path, b.Path) })
	err = errors.New("the data set was not opened by a path")
	for i, path := range splitPaths(root) {
		if i > 0 || filepath.Base(filepath.Dir(path)) == "splits" {
			os.MkdirAll(filepath.Dir(path), 0o777) // its error is that of writing
		}
		writeErr := atomicfile.Replace(path, s.write)
		if writeErr == nil {
			s.path = path
			return path, nil
		}
		if err = cmp.Or(writeErr, err); s.path == path {
			break // an old one there must not come before a new one elsewhere
		}
	}
	return "", err
}

// write writes the file, a line for each picture, so that people and version control can read it.
func (s *splitFile) write(w io.Writer) error {
	seed, _ := json.Marshal(s.Seed)
	fraction, err := json.Marshal(s.Fraction)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "{\"version\": %d, \"seed\": %s, \"fraction\": %s, \"pictures\": [", s.Version, seed, fraction)
	for i, p := range s.Pictures {
		line, err := json.Marshal(p)
		if err != nil {
			return err
		}
		comma := ","
		if i == 0 {
			comma = ""
		}
		if _, err := fmt.Fprintf(w, "%s\n%s", comma, line); err != nil {
			return err
		}
	}
	_, err = io.WriteString(w, "\n]}\n")
	return err
}

// applySplit puts into Val what a split that was written says is held out.
func (d *Dataset) applySplit() error {
	if len(d.Val) > 0 || len(d.Train) == 0 {
		return nil
	}
	s, err := readSplit(d.root)
	if err != nil || s == nil {
		return err
	}
	out := map[string]bool{}
	for _, p := range s.Pictures {
		if p.HeldOut {
			out[p.Path] = true
		}
	}
	held := make([]bool, len(d.Train))
	for i, e := range d.Train {
		held[i] = out[e.Path]
	}
	d.split = s
	d.Hold(held)
	return nil
}
