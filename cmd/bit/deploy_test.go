package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// The command lines in the folder deploy are ones that this program takes.
func TestDeployedCommands(t *testing.T) {
	read := func(name string) string {
		content, err := os.ReadFile(filepath.Join("../../deploy", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	var lines [][]string
	for _, m := range regexp.MustCompile(`ExecStart=/usr/local/bin/bit (.+)`).FindAllStringSubmatch(read("bit.service"), -1) {
		lines = append(lines, strings.Fields(m[1]))
	}
	for _, m := range regexp.MustCompile(`(?m)^CMD (\[.*\])$`).FindAllStringSubmatch(read("Dockerfile"), -1) {
		var args []string
		if err := json.Unmarshal([]byte(m[1]), &args); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, args)
	}
	for d := yaml.NewDecoder(strings.NewReader(read("kubernetes.yaml"))); ; {
		var object struct {
			Spec struct {
				Template struct {
					Spec struct {
						Containers []struct{ Args []string }
					}
				}
			}
		}
		if err := d.Decode(&object); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		for _, c := range object.Spec.Template.Spec.Containers {
			lines = append(lines, c.Args)
		}
	}
	if len(lines) != 4 {
		t.Errorf("found %d command lines in deploy, want 4: %q", len(lines), lines)
	}
	for _, args := range lines {
		root := (&app{}).newRootCommand()
		cmd, rest, err := root.Find(args)
		if err != nil || cmd.Name() != "serve" {
			t.Errorf("%q: %v", args, err)
			continue
		}
		if err := cmd.ParseFlags(rest); err != nil || cmd.Flags().NArg() != 0 {
			t.Errorf("%q: %v, %d arguments", args, err, cmd.Flags().NArg())
		}
	}
}
