package fewshot

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"

	"github.com/bigtransfer/bit/internal/atomicfile"
)

// Store keeps runs in a JSON file, so that a measurement that was killed goes on where it was: a kill costs the run that
// was under way.
type Store struct {
	path string
	file stored
}

type stored struct {
	Format   string            `json:"format"`
	Settings map[string]string `json:"settings"`
	Runs     []Run             `json:"runs"`
}

const storeFormat = "bit.fewshot/1"

// OpenStore opens or begins the file at path. settings are what all runs of a file must have in common, such as data set,
// model and learning rate, in words.
func OpenStore(path string, settings map[string]string) (*Store, error) {
	s := &Store{path: path, file: stored{Format: storeFormat, Settings: settings}}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, s.write() // now rather than after the first run
	}
	if err != nil {
		return nil, err
	}
	var there stored
	if err := json.Unmarshal(text, &there); err != nil || there.Format != storeFormat {
		return nil, fmt.Errorf("%s: expected a file of few-shot runs (%s): %w", path, storeFormat, cmpErr(err, there.Format))
	}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if old := there.Settings[name]; old != settings[name] {
			return nil, fmt.Errorf("%s has the runs of another measurement: %s is %q there and %q here", path, name, old, settings[name])
		}
	}
	s.file.Runs = there.Runs
	return s, nil
}

func cmpErr(err error, format string) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("its format is %q", format)
}

// Runs returns the runs so far.
func (s *Store) Runs() []Run { return slices.Clone(s.file.Runs) }

// Add adds a run. The file has it when Add returns.
func (s *Store) Add(r Run) error {
	s.file.Runs = append(s.file.Runs, r)
	return s.write()
}

func (s *Store) write() error {
	return atomicfile.Replace(s.path, func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetIndent("", " ")
		return enc.Encode(s.file)
	})
}
