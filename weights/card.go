package weights

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// Card is what a README.md says about a model: a YAML header that the hub indexes, then the text for people.
// A field that is empty is left out.
type Card struct {
	Name     string   // heading, and the model's name in the results
	Summary  string   // one paragraph: what the model is
	Base     string   // hub id of the model that it was made from
	License  string   // as the hub spells it: "apache-2.0", "cc0-1.0", "other"
	Tags     []string // added to "bit", "vision" and the task's own
	Datasets []string // what it was trained on: hub ids or plain names
	Data     string   // the training data in words: source, size, licence
	Recipe   string   // architecture, optimiser, schedule, augmentation
	Command  string   // the command that makes the model again
	Time     time.Duration
	Hardware string // where Time was measured
	Results  []Result
	Limits   string // what the model is not good for

	libraryName string // that reads the directory, as the hub calls it
}

// Result is one measured score.
type Result struct {
	Dataset string  // readable name
	Type    string  // hub id of the data set; the name if empty
	Split   string  // "test", "validation"
	Metric  string  // hub id of the metric, "accuracy" if empty
	Name    string  // readable name of the metric, such as "Top-1 accuracy"
	Value   float64 // accuracy as a fraction of 1
	Images  int     // how many it was measured on; 0 if not known
}

// The YAML header: field names and order of the hub's model card metadata.
// https://github.com/huggingface/hub-docs/blob/main/modelcard.md
type cardHeader struct {
	License     string      `yaml:"license,omitempty"`
	BaseModel   oneOrMore   `yaml:"base_model,omitempty"`
	LibraryName string      `yaml:"library_name"`
	PipelineTag string      `yaml:"pipeline_tag"`
	Tags        oneOrMore   `yaml:"tags"`
	Datasets    oneOrMore   `yaml:"datasets,omitempty"`
	Metrics     oneOrMore   `yaml:"metrics,omitempty"`
	ModelIndex  []cardModel `yaml:"model-index,omitempty"`
}

type cardModel struct {
	Name    string       `yaml:"name"`
	Results []cardResult `yaml:"results"`
}

type cardResult struct {
	Task    cardTask     `yaml:"task"`
	Dataset cardDataset  `yaml:"dataset"`
	Metrics []cardMetric `yaml:"metrics"`
}

type cardTask struct {
	Type string `yaml:"type"`
	Name string `yaml:"name"`
}

type cardDataset struct {
	Name  string `yaml:"name"`
	Type  string `yaml:"type"`
	Split string `yaml:"split,omitempty"`
}

type cardMetric struct {
	Type  string  `yaml:"type"`
	Value float64 `yaml:"value"`
	Name  string  `yaml:"name"`
}

// oneOrMore is a list that others also write as its only element.
type oneOrMore []string

// UnmarshalYAML reads either.
func (l *oneOrMore) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		*l = oneOrMore{node.Value}
		return nil
	}
	return node.Decode((*[]string)(l))
}

const pipelineTag = "image-classification"

func (c Card) header() cardHeader {
	h := cardHeader{License: oneLine(c.License), LibraryName: c.libraryName, PipelineTag: pipelineTag}
	add := func(list oneOrMore, s string) oneOrMore {
		if s = oneLine(s); s == "" || slices.Contains(list, s) {
			return list
		}
		return append(list, s)
	}
	if c.Base != "" {
		h.BaseModel = oneOrMore{oneLine(c.Base)}
	}
	for _, set := range c.Datasets {
		h.Datasets = add(h.Datasets, set)
	}
	for _, tag := range append([]string{"bit", "vision", pipelineTag}, c.Tags...) {
		h.Tags = add(h.Tags, tag)
	}
	model := cardModel{Name: oneLine(c.name())}
	for _, r := range c.Results {
		r = r.filled()
		h.Metrics = add(h.Metrics, r.Metric)
		model.Results = append(model.Results, cardResult{
			Task:    cardTask{pipelineTag, "Image Classification"},
			Dataset: cardDataset{oneLine(r.Dataset), oneLine(r.Type), oneLine(r.Split)},
			Metrics: []cardMetric{{oneLine(r.Metric), r.Value, oneLine(r.Name)}},
		})
	}
	if len(model.Results) > 0 {
		h.ModelIndex = []cardModel{model}
	}
	return h
}

// ReadCard reads the header of a model directory's README.md: everything but the text for people. A directory without one
// gives an empty card.
func ReadCard(dir fs.FS) (Card, error) {
	text, err := fs.ReadFile(dir, cardFile)
	if errors.Is(err, fs.ErrNotExist) {
		return Card{}, nil
	}
	if err != nil {
		return Card{}, err
	}
	lines := strings.ReplaceAll(string(text), "\r\n", "\n")
	rest, ok := strings.CutPrefix(lines, "---\n")
	header, _, end := strings.Cut(rest, "\n---\n")
	if !ok || !end {
		return Card{}, nil
	}
	var h cardHeader
	if err := yaml.Unmarshal([]byte(header), &h); err != nil {
		return Card{}, fmt.Errorf("%s: %w", cardFile, err)
	}
	c := Card{License: h.License, Tags: h.Tags, Datasets: h.Datasets}
	if len(h.BaseModel) > 0 {
		c.Base = h.BaseModel[0]
	}
	for _, m := range h.ModelIndex {
		c.Name = m.Name
		for _, r := range m.Results {
			for _, metric := range r.Metrics {
				if metric.Type == "accuracy" && metric.Value > 1 { // in per cent, as many write it
					metric.Value /= 100
				}
				c.Results = append(c.Results, Result{
					Dataset: r.Dataset.Name, Type: r.Dataset.Type, Split: r.Dataset.Split,
					Metric: metric.Type, Name: metric.Name, Value: metric.Value,
				})
			}
		}
	}
	return c, nil
}

func (c Card) name() string {
	if c.Name == "" {
		return "BiT model"
	}
	return c.Name
}

// filled returns a result with the defaults of its empty fields.
func (r Result) filled() Result {
	if r.Metric == "" {
		r.Metric = "accuracy"
	}
	if r.Name == "" {
		r.Name = strings.ToUpper(r.Metric[:1]) + r.Metric[1:]
	}
	if r.Type == "" {
		r.Type = r.Dataset
	}
	return r
}

// markdown renders the card of a model; facts lists what the model itself says: size, classes, input.
func (c Card) markdown(facts []string) ([]byte, error) {
	header, err := yaml.Marshal(c.header())
	if err != nil {
		return nil, fmt.Errorf("model card: %w", err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "---\n%s---\n\n# %s\n", header, oneLine(c.name()))
	paragraph := func(text string) {
		if text = strings.TrimSpace(text); text != "" {
			fmt.Fprintf(&b, "\n%s\n", text)
		}
	}
	section := func(title, text string) {
		if strings.TrimSpace(text) != "" {
			fmt.Fprintf(&b, "\n## %s\n", title)
			paragraph(text)
		}
	}
	paragraph(c.Summary)
	section("Model", "- "+strings.Join(facts, "\n- "))
	section("Results", resultTable(c.Results))
	section("Data", c.Data)
	section("Recipe", c.Recipe)
	if c.Command != "" {
		section("Command", fence(c.Command))
	}
	if c.Time > 0 {
		text := c.Time.Round(time.Second).String()
		if c.Hardware != "" {
			text += " on " + c.Hardware
		}
		section("Training time", text+".")
	}
	section("Limits", c.Limits)
	return b.Bytes(), nil
}

func resultTable(results []Result) string {
	if len(results) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("| data | split | images | metric | value |\n| --- | --- | --: | --- | --: |\n")
	cell := func(s string) string { return strings.ReplaceAll(oneLine(s), "|", `\|`) }
	for _, r := range results {
		r = r.filled()
		images := ""
		if r.Images > 0 {
			images = fmt.Sprint(r.Images)
		}
		value := fmt.Sprintf("%.4g", r.Value)
		if r.Metric == "accuracy" {
			value = fmt.Sprintf("%.2f %%", 100*r.Value)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", cell(r.Dataset), cell(r.Split), images, cell(r.Name), value)
	}
	return b.String()
}

// oneLine makes a line of a text: white space becomes single spaces, and what does not print goes. The header holds
// nothing else, since the hub ends it at the first line "---", and some YAML readers refuse control characters.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) }), " ")
}

// fence makes a code block, with more backticks than the text has in a row.
func fence(code string) string {
	marks := "```"
	for strings.Contains(code, marks) {
		marks += "`"
	}
	return marks + "sh\n" + strings.TrimSpace(code) + "\n" + marks
}
