package weights

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/bigtransfer/bit/calibrate"
	"github.com/bigtransfer/bit/internal/atomicfile"
	"github.com/bigtransfer/bit/internal/strictjson"
)

// calibrationConfig is the calibration in a config.json, in keys of our own that other programs carry along unread.
type calibrationConfig struct {
	Temperature *float64           `json:"bit_temperature"`
	Unknown     *calibrate.Unknown `json:"bit_unknown"`
}

// Keys of calibrationConfig, and the one before which they are written.
const (
	wsEpsilonKey   = "bit_ws_epsilon"
	temperatureKey = "bit_temperature"
	unknownKey     = "bit_unknown"
)

func (c calibrationConfig) calibration() (calibrate.Calibration, error) {
	var k calibrate.Calibration
	if c.Temperature != nil {
		if k.Temperature = *c.Temperature; k.Temperature == 0 {
			return k, fmt.Errorf("%s: %w: temperature 0, want a positive number", temperatureKey, calibrate.ErrInvalid)
		}
	}
	k.Unknown = c.Unknown
	return k, k.Validate()
}

// calibrationMembers are the keys of a calibration, as many as it has something to say in.
func calibrationMembers(k calibrate.Calibration) (members strictjson.Object) {
	if k.Temperature != 0 {
		members = append(members, strictjson.Member{Key: temperatureKey, Value: k.Temperature})
	}
	if k.Unknown != nil {
		members = append(members, strictjson.Member{Key: unknownKey, Value: k.Unknown})
	}
	return members
}

// SaveCalibration replaces the calibration of a model directory of transformers or timm: two keys of its config.json,
// whose other keys keep their order and value. The file is replaced whole or not at all.
func SaveCalibration(dir string, k calibrate.Calibration) error {
	if err := k.Validate(); err != nil {
		return err
	}
	path := filepath.Join(dir, configFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	config, err := members(text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	config = slices.DeleteFunc(config, func(m strictjson.Member) bool { return m.Key == temperatureKey || m.Key == unknownKey })
	// Where our writers put them; else, in the sorted files of transformers, where they belong.
	at := slices.IndexFunc(config, func(m strictjson.Member) bool { return m.Key == wsEpsilonKey })
	if at < 0 {
		at = slices.IndexFunc(config, func(m strictjson.Member) bool { return m.Key > unknownKey })
	}
	if at < 0 {
		at = len(config)
	}
	config = slices.Insert(config, at, calibrationMembers(k)...)
	return atomicfile.Replace(path, func(w io.Writer) error { return writeJSON(w, config) })
}

// members returns a JSON object in the order of its keys, with the values as they are written.
func members(text []byte) (strictjson.Object, error) {
	if err := strictjson.CheckKeys(text); err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return nil, fmt.Errorf("expected a JSON object, found %v", start)
	}
	var o strictjson.Object
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		o = append(o, strictjson.Member{Key: key.(string), Value: value})
	}
	return o, nil
}
