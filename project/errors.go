package project

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Errors for errors.Is; what is returned wraps one of them and says which thing it is about.
var (
	ErrNotFound = errors.New("not found")
	ErrExists   = errors.New("exists already")
	ErrInUse    = errors.New("in use by another process")
)

// NameError says what is wrong with a name.
type NameError struct{ Name, Problem string }

func (e *NameError) Error() string { return fmt.Sprintf("the name %q %s", e.Name, e.Problem) }

// LimitError says that something would grow beyond its limit.
type LimitError struct {
	What  string // such as "pictures in a project"
	Limit int64
}

func (e *LimitError) Error() string { return fmt.Sprintf("at most %d %s are kept", e.Limit, e.What) }

// maxName is the longest name in bytes: what a label in a model's files, a tab and a file system can all bear.
const maxName = 120

// cleanName returns a name without space around it, or a [*NameError]. Any text of one line is a name: no name is ever a
// path.
func cleanName(name string) (string, error) {
	clean := strings.TrimSpace(name)
	switch {
	case clean == "":
		return "", &NameError{name, "is empty"}
	case !utf8.ValidString(clean):
		return "", &NameError{name, "is not valid UTF-8"}
	case len(clean) > maxName:
		return "", &NameError{clean[:20] + "…", fmt.Sprintf("is longer than %d bytes", maxName)}
	case strings.ContainsFunc(clean, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }):
		return "", &NameError{name, "has control characters"}
	}
	return clean, nil
}

// sameName reports whether people would take two names for the same.
func sameName(a, b string) bool { return strings.EqualFold(a, b) }

// shortName makes a file's name fit to be kept beside a picture.
func shortName(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, name)
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	for len(name) > maxName {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	return name
}
