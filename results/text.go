package results

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bigtransfer/bit"
)

// line is a result as JSON.
type line struct {
	File        string           `json:"file"`
	Unknown     bool             `json:"unknown,omitempty"`
	Predictions []bit.Prediction `json:"predictions,omitempty"`
	Features    []float32        `json:"features,omitempty"`
	Error       string           `json:"error,omitempty"`
}

// message returns the error of a result without the picture's name, or "".
func message(r bit.Result) string {
	if r.Err == nil {
		return ""
	}
	if pathError, ok := errors.AsType[*fs.PathError](r.Err); ok && pathError.Path == r.Name {
		return pathError.Err.Error()
	}
	return strings.TrimPrefix(r.Err.Error(), r.Name+": ")
}

// AppendJSON appends a result as one line:
//
//	{"file":"…","predictions":[{"label":"…","index":0,"score":0.9},…]}
//	{"file":"…","unknown":true,"predictions":[…],"features":[…]}
//	{"file":"…","error":"…"}
func AppendJSON(b []byte, r bit.Result) ([]byte, error) {
	var text strings.Builder
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	err := e.Encode(line{r.Name, r.Unknown, r.Predictions, r.Features, message(r)})
	return append(b, text.String()...), err
}

// textFile is a file that grows by whole records.
type textFile struct {
	f       *os.File
	b       []byte // records that are not in the file yet
	flushed time.Time
}

// Records are written together, so that a kill hardly ever cuts one.
const (
	flushBytes = 64 << 10
	flushTime  = time.Second
)

func openTextFile(path string) (*textFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	return &textFile{f: f, flushed: time.Now()}, nil
}

// cut drops what follows the last whole record.
func (t *textFile) cut(size int64) error {
	if err := t.f.Truncate(size); err != nil {
		return err
	}
	_, err := t.f.Seek(size, io.SeekStart)
	return err
}

// added writes the records if they are many or old.
func (t *textFile) added() error {
	if len(t.b) < flushBytes && time.Since(t.flushed) < flushTime {
		return nil
	}
	return t.flush()
}

func (t *textFile) flush() error {
	_, err := t.f.Write(t.b)
	t.b, t.flushed = t.b[:0], time.Now()
	return err
}

func (t *textFile) finish() error { return t.f.Sync() }
func (t *textFile) close() error  { return t.f.Close() }

// jsonFile is a file of JSON lines.
type jsonFile struct{ *textFile }

func openJSONL(path string, _ Options) (writer, error) {
	t, err := openTextFile(path)
	return jsonFile{t}, err
}

func (j jsonFile) write(r bit.Result) (err error) {
	if j.b, err = AppendJSON(j.b, r); err != nil {
		return err
	}
	return j.added()
}

func (j jsonFile) resume(use func(name string)) error {
	r := bufio.NewReaderSize(j.f, 1<<20)
	size := int64(0)
	for n := 1; ; n++ {
		text, err := r.ReadBytes('\n')
		if err == io.EOF { // what has no end is not whole
			return j.cut(size)
		}
		if err != nil {
			return err
		}
		var l struct {
			File *string `json:"file"`
		}
		if err := json.Unmarshal(text, &l); err != nil || l.File == nil {
			return fmt.Errorf("line %d is no result, but %.60q", n, text)
		}
		size += int64(len(text))
		use(*l.File)
	}
}

// csvFile is a file of comma-separated values.
type csvFile struct {
	*textFile
	header []string
}

func openCSV(path string, o Options) (writer, error) {
	t, err := openTextFile(path)
	return &csvFile{t, csvHeader(o.Top)}, err
}

func csvHeader(top int) []string {
	header := []string{"file", "label", "score"}
	for i := 2; i <= top; i++ {
		header = append(header, fmt.Sprint("label_", i), fmt.Sprint("score_", i))
	}
	return append(header, "unknown", "error")
}

func (c *csvFile) row(cells []string) error {
	var text strings.Builder
	w := csv.NewWriter(&text)
	w.Write(cells)
	w.Flush()
	c.b = append(c.b, text.String()...)
	return w.Error()
}

func (c *csvFile) write(r bit.Result) error {
	if err := c.row(csvRow(c.header, r)); err != nil {
		return err
	}
	return c.added()
}

// csvRow returns the cells of a result.
func csvRow(header []string, r bit.Result) []string {
	cells := make([]string, len(header))
	cells[0] = r.Name
	for i, p := range r.Predictions {
		if at := 1 + 2*i; at+1 < len(cells)-2 {
			cells[at] = p.Label
			cells[at+1] = strconv.FormatFloat(float64(p.Score), 'g', -1, 32)
		}
	}
	if r.Unknown {
		cells[len(cells)-2] = "true"
	}
	cells[len(cells)-1] = message(r)
	return cells
}

func (c *csvFile) resume(use func(name string)) error {
	info, err := c.f.Stat()
	if err != nil {
		return err
	}
	whole := make([]byte, 1) // whether the last row has its end
	if info.Size() > 0 {
		if _, err := c.f.ReadAt(whole, info.Size()-1); err != nil {
			return err
		}
	}
	r := csv.NewReader(bufio.NewReaderSize(c.f, 1<<20))
	r.ReuseRecord, r.FieldsPerRecord = true, -1
	size := int64(0)
	for first := true; ; first = false {
		record, err := r.Read()
		if err == io.EOF {
			break
		}
		end := r.InputOffset()
		if end >= info.Size() && (whole[0] != '\n' || err != nil) {
			break // the last one is cut
		}
		switch {
		case err != nil:
			return err
		case first && !slices.Equal(record, c.header):
			return fmt.Errorf("its columns are %s, those of this run %s", strings.Join(record, ","), strings.Join(c.header, ","))
		case len(record) != len(c.header):
			return fmt.Errorf("a row of %d cells, expected %d: %q", len(record), len(c.header), record)
		case !first:
			use(strings.Clone(record[0]))
		}
		size = end
	}
	if err := c.cut(size); err != nil || size > 0 {
		return err
	}
	return c.row(c.header)
}

// NewWriter returns a function that writes results to a stream as they come, in JSON lines or CSV.
func NewWriter(w io.Writer, o Options) (func(bit.Result) error, error) {
	if o.Top <= 0 {
		o.Top = 5
	}
	switch o.Format {
	case JSONL:
		return func(r bit.Result) error {
			b, err := AppendJSON(nil, r)
			if err == nil {
				_, err = w.Write(b)
			}
			return err
		}, nil
	case CSV:
		header := csvHeader(o.Top)
		c := csv.NewWriter(w)
		put := func(cells []string) error {
			c.Write(cells)
			c.Flush()
			return c.Error()
		}
		return func(r bit.Result) error { return put(csvRow(header, r)) }, put(header)
	}
	return nil, fmt.Errorf("the format %q cannot be written as a stream, expected %s or %s", o.Format, JSONL, CSV)
}
