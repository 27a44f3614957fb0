package data

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// ReadClasses reads the names of classes from a file: one a line, or JSON, a list of names or an object with the names by
// number, as "id2label" in a model's config.json is.
func ReadClasses(path string) ([]string, error) {
	f, dir := path, "."
	if i := strings.LastIndexAny(path, `/\`); i >= 0 {
		dir, f = path[:i+1], path[i+1:]
	}
	r, closer, err := openText(os.DirFS(dir), f)
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	classes, err := parseClasses(text.Bytes())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	seen := make(map[string]bool, len(classes))
	for _, name := range classes {
		if seen[name] {
			return nil, fmt.Errorf("%s: the class %q is there twice", path, name)
		}
		seen[name] = true
	}
	return classes, nil
}

func parseClasses(text []byte) ([]string, error) {
	text = bytes.TrimSpace(text)
	switch {
	case len(text) == 0:
		return nil, fmt.Errorf("it is empty, expected the name of a class in each line")
	case text[0] == '[':
		var classes []string
		err := json.Unmarshal(text, &classes)
		return classes, err
	case text[0] == '{':
		var config struct {
			ID2Label map[string]string `json:"id2label"`
		}
		byNumber := map[string]string{}
		if json.Unmarshal(text, &config) == nil && config.ID2Label != nil {
			byNumber = config.ID2Label
		} else if err := json.Unmarshal(text, &byNumber); err != nil {
			return nil, err
		}
		classes := make([]string, len(byNumber))
		for key, name := range byNumber {
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || i >= len(classes) {
				return nil, fmt.Errorf("the class %q has the number %q, expected 0 to %d", name, key, len(classes)-1)
			}
			classes[i] = name
		}
		return classes, nil
	}
	var classes []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" {
			classes = append(classes, line)
		}
	}
	return classes, nil
}
