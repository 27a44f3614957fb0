// Package tensorboard writes scalars to event files, which TensorBoard shows: TFRecord files of the protocol buffer
// tensorflow.Event (tensorflow/core/util/event.proto, tensorflow/core/framework/summary.proto).
package tensorboard

import (
	"bufio"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/bigtransfer/bit/internal/tfrecord"
)

// Numbers of the fields that are written.
const (
	eventWallTime    = 1 // double, seconds since 1970
	eventStep        = 2 // int64
	eventFileVersion = 3 // string
	eventSummary     = 5 // Summary
	eventSessionLog  = 7 // SessionLog

	summaryValue     = 1 // repeated Summary.Value
	valueTag         = 1 // string
	valueSimpleValue = 2 // float

	sessionStatus = 1 // enum
	sessionStart  = 1 // of which this says that a run begins or goes on at Event.step
)

// fileVersion is what the first event of a file says (tensorflow/core/util/events_writer.h).
const fileVersion = "brain.Event:2"

// eventFiles is how the names of event files begin.
const eventFiles = "events.out.tfevents."

// Scalar is a named value.
type Scalar struct {
	Tag   string // such as "train/loss"; TensorBoard groups by what is before the slash
	Value float64
}

// Writer writes an event file. It keeps events back until Flush or Close.
type Writer struct {
	path string
	file *os.File
	out  *bufio.Writer
	buf  []byte
	now  func() time.Time
}

// Create begins an event file of its own in a folder, for the steps from the given one on. TensorBoard then forgets what
// other files in the folder say of that step and later ones (EventAccumulator's purge on SessionLog.START), so that a run
// that was killed and resumed is shown once.
func Create(dir string, step int) (*Writer, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir) // the folder's name may hold what a pattern means something by
	if err != nil {
		return nil, err
	}
	before := 0
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), eventFiles) {
			before++
		}
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	// TensorBoard reads the files of a folder in the order of their names.
	now := time.Now()
	path := filepath.Join(dir, fmt.Sprintf("%s%010d.%04d.%s", eventFiles, now.Unix(), before, host))
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	w := &Writer{path: path, file: f, out: bufio.NewWriter(f), now: time.Now}
	event := protowire.AppendTag(w.event(0), eventFileVersion, protowire.BytesType)
	err = w.write(protowire.AppendString(event, fileVersion))
	if err == nil {
		log := protowire.AppendVarint(protowire.AppendTag(nil, sessionStatus, protowire.VarintType), sessionStart)
		event = protowire.AppendTag(w.event(step), eventSessionLog, protowire.BytesType)
		err = w.write(protowire.AppendBytes(event, log))
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return w, nil
}

// Add writes one event with the scalars of a step.
func (w *Writer) Add(step int, scalars ...Scalar) error {
	var summary []byte
	for _, s := range scalars {
		value := protowire.AppendString(protowire.AppendTag(nil, valueTag, protowire.BytesType), s.Tag)
		value = protowire.AppendTag(value, valueSimpleValue, protowire.Fixed32Type)
		value = protowire.AppendFixed32(value, math.Float32bits(float32(s.Value)))
		summary = protowire.AppendBytes(protowire.AppendTag(summary, summaryValue, protowire.BytesType), value)
	}
	event := protowire.AppendTag(w.event(step), eventSummary, protowire.BytesType)
	return w.write(protowire.AppendBytes(event, summary))
}

// event begins an event.
func (w *Writer) event(step int) []byte {
	b := protowire.AppendTag(w.buf[:0], eventWallTime, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, math.Float64bits(float64(w.now().UnixNano())/1e9))
	b = protowire.AppendTag(b, eventStep, protowire.VarintType)
	return protowire.AppendVarint(b, uint64(step))
}

func (w *Writer) write(event []byte) error {
	w.buf = event[:0]
	return w.wrap(tfrecord.NewWriter(w.out).Write(event))
}

// Flush writes out what was kept back.
func (w *Writer) Flush() error { return w.wrap(w.out.Flush()) }

// Close ends the file.
func (w *Writer) Close() error { return errors.Join(w.Flush(), w.file.Close()) }

func (w *Writer) wrap(err error) error {
	if err != nil {
		return fmt.Errorf("event file %s: %w", w.path, err)
	}
	return nil
}
