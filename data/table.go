package data

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// table is a table whose rows may name pictures.
type table interface {
	// head returns the names of the columns, or "1", "2" and so on if the table has none, and the texts of the first row.
	head() (columns, first []string, err error)
	// rows calls use for every row with its place, as in "line 7", and the cells of the given columns. The cells are valid
	// until use returns. It stops at an error of use and returns it as it is.
	rows(columns []int, use func(place int, cells []cell) error) error
	// place says in words where a row is.
	place(n int) string
}

// cell is a value of a table: none if it is empty or null, and several if it is a list.
type cell struct {
	values []string
	list   bool
}

func textCell(s string) cell {
	if s = strings.TrimSpace(s); s == "" {
		return cell{}
	}
	return cell{values: []string{s}}
}

// text returns the value of a cell that should have one, or "".
func (c cell) text() string {
	if len(c.values) == 1 && !c.list {
		return c.values[0]
	}
	return ""
}

// tableFormats are the tables by extension.
var tableFormats = map[string]func(fsys fs.FS, name string) (table, error){
	".csv":     openDelimited,
	".tsv":     openDelimited,
	".jsonl":   openJSONLines,
	".ndjson":  openJSONLines,
	parquetExt: openParquetTable,
}

func isTableName(name string) bool { return tableFormats[strings.ToLower(path.Ext(name))] != nil }

func isTableFile(name string, _ []byte) bool { return isTableName(filepath.Base(name)) }

func (l *lister) openTable(name string) (table, error) {
	return tableFormats[strings.ToLower(path.Ext(name))](l.fsys, name)
}

// Names of columns, the likeliest first.
var (
	fileColumns = []string{"file_name", "filename", "file", "file_path", "filepath", "image", "image_name", "image_path",
		"imagepath", "image_file", "image_file_name", "img", "img_name", "img_path", "path", "name", "image_id", "id", "id_code"}
	labelColumns = []string{"label", "labels", "class", "classes", "class_name", "category", "categories", "target", "tag", "tags",
		"species", "breed", "diagnosis", "fine_label", "y"}
	splitColumns = []string{"split", "subset", "partition", "set"}
)

// columns are those of a table that matter, by index; -1 for none.
type columns struct{ file, label, split int }

// findColumn returns the column of a name or number, or else the first with one of the usual names that is not taken, or -1.
func findColumn(names []string, wanted, what string, usual []string, taken ...int) (int, error) {
	at := func(name string) int {
		return slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
	}
	if wanted == "" {
		for _, u := range usual {
			if i := at(u); i >= 0 && !slices.Contains(taken, i) {
				return i, nil
			}
		}
		return -1, nil
	}
	if i := at(wanted); i >= 0 {
		return i, nil
	}
	if n, err := strconv.Atoi(wanted); err == nil && n >= 1 && n <= len(names) {
		return n - 1, nil
	}
	return -1, fmt.Errorf("it has no %s column %q, its columns are: %s", what, wanted, strings.Join(names, ", "))
}

// findColumns finds them in a table.
func (o Opener) findColumns(names, first []string) (c columns, err error) {
	if c.file, err = findColumn(names, o.FileColumn, "file", fileColumns); err != nil {
		return c, err
	}
	// A column with a usual name may hold numbers, and another one names of pictures.
	if named := slices.IndexFunc(first, IsImageName); o.FileColumn == "" && named >= 0 && (c.file < 0 || !IsImageName(first[c.file])) {
		c.file = named
	}
	if c.label, err = findColumn(names, o.LabelColumn, "label", labelColumns, c.file); err != nil {
		return c, err
	}
	if c.split, err = findColumn(names, o.SplitColumn, "split", splitColumns, c.file, c.label); err != nil {
		return c, err
	}
	if c.file < 0 {
		return c, fmt.Errorf("no column of it names pictures, expected one called %s; its columns are: %s", fileColumns[0], strings.Join(names, ", "))
	}
	if c.label < 0 {
		c.label = onlyOther(len(names), c.file, c.split)
	}
	return c, nil
}

// onlyOther returns the only one of n columns that is not taken, or -1.
func onlyOther(n int, taken ...int) int {
	other := -1
	for i := range n {
		if slices.Contains(taken, i) {
			continue
		}
		if other >= 0 {
			return -1
		}
		other = i
	}
	return other
}

// noLabelError says that a table has no column of labels.
type noLabelError struct{ columns []string }

func (e *noLabelError) Error() string {
	return fmt.Sprintf("it has no column of labels, expected one called %s; its columns are: %s", labelColumns[0], strings.Join(e.columns, ", "))
}

// isTable reports whether a table names pictures and, if labelled, their labels. The error says that it cannot be read.
func (l *lister) isTable(name string, labelled bool) (bool, error) {
	t, err := l.openTable(name)
	if err != nil {
		return false, err
	}
	names, first, err := t.head()
	if err != nil {
		return false, fmt.Errorf("%s: %w", name, err)
	}
	c, err := l.opener.findColumns(names, first)
	return err == nil && (c.label >= 0 || !labelled), nil
}

// splitInName returns which split a file's name speaks of, as "train" in "train-00000-of-00002.parquet", "trainLabels.csv"
// and "my_train.csv" does, or "".
func splitInName(name string) string {
	stem := strings.TrimSuffix(path.Base(name), path.Ext(name))
	var word []rune
	split := ""
	end := func() {
		if s := splitOf(string(word)); s != "" && split == "" {
			split = s
		}
		word = word[:0]
	}
	lower := false
	for _, r := range stem {
		if !unicode.IsLetter(r) || lower && unicode.IsUpper(r) {
			end()
		}
		if unicode.IsLetter(r) {
			word = append(word, r)
		}
		lower = unicode.IsLower(r)
	}
	end()
	return split
}

// tableNames are the names, without extension, of tables that hold the labels of a folder.
var tableNames = []string{"labels", "annotations"}

// rootTables returns the tables at the root of a folder by their split, "" for those that have none in their names. A test
// split without labels counts only beside another one.
func (l *lister) rootTables() (map[string][]string, error) {
	peek := lister{fsys: l.fsys}
	_, files, err := peek.read(".")
	if err != nil {
		return nil, err
	}
	found := map[string][]string{}
	labelled := false
	for _, name := range files {
		stem := strings.ToLower(strings.TrimSuffix(name, path.Ext(name)))
		split := splitInName(name)
		if !isTableName(name) || split == "" && !slices.Contains(tableNames, stem) {
			continue
		}
		has, err := l.isTable(name, true)
		if err == nil && !has && split == splitTest {
			if has, err = l.isTable(name, false); has {
				found[split] = append(found[split], name)
			}
		} else if has {
			labelled = true
			found[split] = append(found[split], name)
		}
		if err != nil {
			return nil, err
		}
	}
	if !labelled {
		return nil, nil
	}
	return found, nil
}

// hasTables reports whether tables say what a folder holds, or cannot be read.
func (l *lister) hasTables() bool {
	found, err := l.rootTables()
	return err != nil || len(found) > 0
}

// tables lists a folder whose root has tables.
func (l *lister) tables() (*Dataset, error) {
	found, err := l.rootTables()
	if err != nil {
		return nil, err
	}
	if all := found[""]; len(all) > 0 && len(found) > 1 || len(all) > 1 {
		return nil, fmt.Errorf("the tables %s: expected one, or one for each split; name the one that is meant", strings.Join(slices.Concat(all, found[splitTrain], found[splitVal], found[splitTest]), ", "))
	}
	b := newTableBuilder(l)
	for _, split := range []string{"", splitTrain, splitVal, splitTest} {
		if len(found[split]) > 1 {
			return nil, fmt.Errorf("the tables %s: expected one for each split", strings.Join(found[split], ", "))
		}
		for _, name := range found[split] {
			err := b.add(name, split)
			if _, unlabelled := errors.AsType[*noLabelError](err); unlabelled && split == splitTest {
				l.skip(name, "a table without labels")
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return b.finish()
}

// openTable lists a data set that is a table.
func (o Opener) openTable(name string) (*Dataset, error) {
	dir, base := filepath.Split(name)
	if dir == "" {
		dir = "."
	}
	l := newDirLister(o, dir)
	b := newTableBuilder(l)
	if err := b.add(base, ""); err != nil {
		return nil, err
	}
	d, err := b.finish()
	if err == nil {
		l.complete(d)
	}
	return d, err
}
