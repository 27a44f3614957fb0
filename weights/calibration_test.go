package weights

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/bigtransfer/bit/calibrate"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/resnet"
)

// TestMultiLabel: that classes are questions of their own is written in transformers' key and read back, and the key is
// not there otherwise.
func TestMultiLabel(t *testing.T) {
	net, err := resnet.NewNetwork(resnet.Config{
		Channels: 3, StemWidth: 32, Widths: []int{128}, Depths: []int{1}, Groups: 32, Classes: 3, GNEpsilon: 1e-5, WSEpsilon: 1e-8,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, save := range []func(string, *Model) error{
		func(dir string, m *Model) error { return SaveHF(t.Context(), dir, m, F32, Card{}) },
		func(dir string, m *Model) error { return SaveTimm(t.Context(), dir, m, F32, Card{}) },
	} {
		for _, several := range []bool{true, false} {
			dir := filepath.Join(t.TempDir(), "model")
			m := FromNetwork(net, nil, imaging.Squash(32, imaging.Bilinear))
			m.MultiLabel = several
			if err := save(dir, m); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(filepath.Join(dir, configFile))
			if err != nil || strings.Contains(string(text), `"problem_type": "multi_label_classification"`) != several {
				t.Errorf("several labels %v: %s, %v", several, text, err)
			}
			if got, err := Open(dir); err != nil || got.MultiLabel != several {
				t.Errorf("several labels %v: read as %v, %v", several, got.MultiLabel, err)
			}
		}
	}
}

// TestCalibration: it is written and read with the model, in both directories, and replaced alone.
func TestCalibration(t *testing.T) {
	net, err := resnet.NewNetwork(resnet.Config{
		Channels: 3, StemWidth: 32, Widths: []int{128}, Depths: []int{1}, Groups: 32, Classes: 3, GNEpsilon: 1e-5, WSEpsilon: 1e-8,
	})
	if err != nil {
		t.Fatal(err)
	}
	full := calibrate.Calibration{Temperature: 1.25, Unknown: &calibrate.Unknown{Score: calibrate.MaxLogit, Threshold: -3.5, FalseReject: 0.05}}
	for _, save := range []struct {
		name string
		dir  func(dir string, m *Model) error
	}{
		{"transformers", func(dir string, m *Model) error { return SaveHF(t.Context(), dir, m, F32, Card{}) }},
		{"timm", func(dir string, m *Model) error { return SaveTimm(t.Context(), dir, m, F32, Card{}) }},
	} {
		t.Run(save.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "model")
			m := FromNetwork(net, []string{"a", "b", "c"}, imaging.Squash(32, imaging.Bilinear))
			read := func() calibrate.Calibration {
				t.Helper()
				m, err := Open(dir)
				if err != nil {
					t.Fatal(err)
				}
				return m.Calibration
			}
			config := func() string {
				t.Helper()
				text, err := os.ReadFile(filepath.Join(dir, configFile))
				if err != nil {
					t.Fatal(err)
				}
				return string(text)
			}
			if err := save.dir(dir, m); err != nil {
				t.Fatal(err)
			}
			if got := read(); got != (calibrate.Calibration{}) {
				t.Errorf("%+v of a model without calibration", got)
			}
			plain := config()
			if strings.Contains(plain, temperatureKey) || strings.Contains(plain, unknownKey) {
				t.Error("keys for nothing")
			}
			m.Calibration = full
			if err := save.dir(dir, m); err != nil {
				t.Fatal(err)
			}
			if got := read(); !reflect.DeepEqual(got, full) {
				t.Errorf("%+v, want %+v", got, full)
			}
			saved := config()
			for _, k := range []calibrate.Calibration{{Temperature: 2}, {Unknown: full.Unknown}, full, {}} {
				if err := SaveCalibration(dir, k); err != nil {
					t.Fatal(err)
				}
				if got := read(); !reflect.DeepEqual(got, k) {
					t.Errorf("%+v, want %+v", got, k)
				}
				if k == full && config() != saved {
					t.Errorf("set alone, the file is\n%s\nand with the model\n%s", config(), saved)
				}
			}
			if config() != plain {
				t.Errorf("set and taken away, the file is\n%s\nand was\n%s", config(), plain)
			}

			// What no fit gives is not believed, and not written.
			m.Calibration = calibrate.Calibration{Temperature: -1}
			if err := save.dir(dir, m); !errors.Is(err, calibrate.ErrInvalid) {
				t.Errorf("error %v for a temperature of -1", err)
			}
			if err := SaveCalibration(dir, m.Calibration); !errors.Is(err, calibrate.ErrInvalid) {
				t.Errorf("error %v for a temperature of -1", err)
			}
			for _, bad := range []string{`"bit_temperature": 0`, `"bit_temperature": -2`, `"bit_unknown": {"score": "x", "threshold": 1, "false_reject_rate": 0.1}`, `"bit_unknown": {}`} {
				if err := os.WriteFile(filepath.Join(dir, configFile), []byte(strings.Replace(plain, "{", "{"+bad+",", 1)), 0o666); err != nil {
					t.Fatal(err)
				}
				if _, err := Open(dir); !errors.Is(err, calibrate.ErrInvalid) || !strings.Contains(err.Error(), configFile) {
					t.Errorf("error %v for %s", err, bad)
				}
			}
		})
	}
	if err := SaveCalibration(t.TempDir(), full); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v where there is no model", err)
	}
}
