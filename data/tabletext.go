package data

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// openText opens a text file. A byte order mark is left out; one of UTF-16, which Excel writes, makes it be read as that.
func openText(fsys fs.FS, name string) (io.Reader, io.Closer, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, nil, err
	}
	return transform.NewReader(bufio.NewReaderSize(f, 64<<10), unicode.BOMOverride(transform.Nop)), f, nil
}

// delimited is a file of values between commas, tabs or semicolons (RFC 4180), with or without a header.
type delimited struct {
	fsys   fs.FS
	name   string
	comma  rune
	header bool
	width  int
}

func openDelimited(fsys fs.FS, name string) (table, error) {
	t := &delimited{fsys: fsys, name: name, comma: ','}
	r, f, err := openText(fsys, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	line, err := bufio.NewReader(io.LimitReader(r, maxLine)).ReadString('\n')
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch {
	case strings.EqualFold(path.Ext(name), ".tsv"):
		t.comma = '\t'
	case strings.ContainsRune(line, ','):
	case strings.ContainsRune(line, ';'): // as Excel writes where the comma is a decimal sign
		t.comma = ';'
	case strings.ContainsRune(line, '\t'):
		t.comma = '\t'
	}
	return t, nil
}

// maxLine is more than a line of any table of pictures has, in bytes.
const maxLine = 16 << 20

func (t *delimited) place(n int) string { return fmt.Sprintf("line %d", n) }

func (t *delimited) reader(r io.Reader) *csv.Reader {
	c := csv.NewReader(r)
	c.Comma, c.ReuseRecord, c.FieldsPerRecord = t.comma, true, -1
	return c
}

// head is that of [table]. The first row is a header if no cell of it is the name of a picture.
func (t *delimited) head() (columns, first []string, err error) {
	r, f, err := openText(t.fsys, t.name)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	c := t.reader(r)
	record, err := c.Read()
	if err == io.EOF {
		return nil, nil, errors.New("it is empty, expected a row for each picture")
	}
	if err != nil {
		return nil, nil, err
	}
	first = make([]string, len(record))
	for i, text := range record {
		first[i] = strings.TrimSpace(text)
	}
	t.width = len(first)
	t.header = !slices.ContainsFunc(first, IsImageName)
	if !t.header {
		for i := range first {
			columns = append(columns, fmt.Sprint(i+1))
		}
		return columns, first, nil
	}
	columns = first
	record, err = c.Read()
	if err == io.EOF {
		return nil, nil, errors.New("it has a header and no rows")
	}
	first = make([]string, t.width)
	copy(first, record)
	return columns, first, err
}

// rows is that of [table]; head must have been called.
func (t *delimited) rows(columns []int, use func(place int, cells []cell) error) error {
	r, f, err := openText(t.fsys, t.name)
	if err != nil {
		return err
	}
	defer f.Close()
	c := t.reader(r)
	cells := make([]cell, len(columns))
	for first := true; ; first = false {
		record, err := c.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		line, _ := c.FieldPos(0)
		if len(record) != t.width {
			return fmt.Errorf("line %d has %d cells, the first has %d", line, len(record), t.width)
		}
		if first && t.header {
			continue
		}
		for i, at := range columns {
			if cells[i] = (cell{}); at < 0 {
				continue
			}
			if !utf8.ValidString(record[at]) {
				return fmt.Errorf("line %d: %q is not UTF-8", line, record[at])
			}
			cells[i] = textCell(record[at])
		}
		if err := use(line, cells); err != nil {
			return err
		}
	}
}

// jsonLines is a file with a JSON object in each line.
type jsonLines struct {
	fsys    fs.FS
	name    string
	columns []string
}

func openJSONLines(fsys fs.FS, name string) (table, error) {
	return &jsonLines{fsys: fsys, name: name}, nil
}

func (t *jsonLines) place(n int) string { return fmt.Sprintf("line %d", n) }

func (t *jsonLines) lines(use func(line int, text []byte) error) error {
	r, f, err := openText(t.fsys, t.name)
	if err != nil {
		return err
	}
	defer f.Close()
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxLine)
	n := 0
	for s.Scan() {
		n++
		if text := bytes.TrimSpace(s.Bytes()); len(text) > 0 {
			if err := use(n, text); err != nil {
				return err
			}
		}
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("line %d: %w", n+1, err)
	}
	return nil
}

var errStop = errors.New("stop")

// head is that of [table]. The columns are the keys of the first line, in their order there.
func (t *jsonLines) head() (columns, first []string, err error) {
	t.columns = nil
	err = t.lines(func(line int, text []byte) error {
		d := json.NewDecoder(bytes.NewReader(text))
		if token, err := d.Token(); err != nil || token != json.Delim('{') {
			return fmt.Errorf("line %d: expected a JSON object, found %.40q", line, text)
		}
		for d.More() {
			key, err := d.Token()
			var value json.RawMessage
			if err == nil {
				err = d.Decode(&value)
			}
			if err != nil {
				return fmt.Errorf("line %d: %w", line, err)
			}
			c, _ := jsonCell(value)
			t.columns = append(t.columns, key.(string))
			first = append(first, c.text())
		}
		return errStop
	})
	if err == nil {
		err = errors.New("it is empty, expected a JSON object for each picture")
	}
	if err == errStop {
		err = nil
	}
	return t.columns, first, err
}

// rows is that of [table]; head must have been called.
func (t *jsonLines) rows(columns []int, use func(place int, cells []cell) error) error {
	cells := make([]cell, len(columns))
	return t.lines(func(line int, text []byte) error {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(text, &object); err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		for i, at := range columns {
			if cells[i] = (cell{}); at < 0 {
				continue
			}
			var err error
			if cells[i], err = jsonCell(object[t.columns[at]]); err != nil {
				return fmt.Errorf("line %d, %s: %w", line, t.columns[at], err)
			}
		}
		return use(line, cells)
	})
}

// jsonCell reads a text, a number, true or false, null, or a list of these.
func jsonCell(value json.RawMessage) (cell, error) {
	if len(value) == 0 {
		return cell{}, nil
	}
	if value[0] == '[' {
		var list []json.RawMessage
		if err := json.Unmarshal(value, &list); err != nil {
			return cell{}, err
		}
		c := cell{list: true}
		for _, v := range list {
			one, err := jsonCell(v)
			if err != nil || one.list {
				return cell{}, errors.New("expected a text, a number or a list of these")
			}
			c.values = append(c.values, one.values...)
		}
		return c, nil
	}
	switch value[0] {
	case 'n':
		return cell{}, nil
	case '{':
		return cell{}, errors.New("expected a text, a number or a list of these")
	case '"':
		var text string
		if err := json.Unmarshal(value, &text); err != nil {
			return cell{}, err
		}
		return textCell(text), nil
	}
	return cell{values: []string{string(value)}}, nil
}
