package weights

import (
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/bigtransfer/bit/resnet"
)

// named adds what is worth knowing about a model that was opened without error and goes by the name of the given path.
func (m *Model) named(file string) *Model {
	if m == nil {
		return nil
	}
	name := path.Base(filepath.ToSlash(file))
	m.warnOfName(name)
	m.warnOfClasses(strings.TrimSuffix(name, path.Ext(name)))
	return m
}

func (m *Model) warn(format string, args ...any) {
	m.Warnings = append(m.Warnings, fmt.Sprintf(format, args...))
}

// namedVariant finds R50x1 in the names of big_transfer and resnetv2_50x1 in those of timm.
var namedVariant = regexp.MustCompile(`(?:^|[^0-9A-Za-z])(?:R|resnetv2_)(50|101|152)x([1-9]\d?)(?:[^0-9A-Za-z]|$)`)

// warnOfName warns of a name that speaks of another variant than the shapes, which decide: some published files are
// misnamed.
func (m *Model) warnOfName(name string) {
	found := namedVariant.FindStringSubmatch(name)
	if found == nil {
		return
	}
	depth, _ := strconv.Atoi(found[1])
	width, _ := strconv.Atoi(found[2])
	named := resnet.Variant{Depth: depth, Width: width}
	if held, ok := m.Config.Variant(); !ok {
		m.warn("the name %q says %v, but the tensors are those of another network: units %v, stem width %d, stage widths %v",
			name, named, m.Config.Depths, m.Config.StemWidth, m.Config.Widths)
	} else if held != named {
		m.warn("the name %q says %v, but the tensors are those of %v", name, named, held)
	}
}

// warnOfClasses warns of an official name that speaks of another data set than the head has classes for.
func (m *Model) warnOfClasses(name string) {
	n, err := resnet.ParseName(name)
	if err != nil || m.Headless {
		return
	}
	classes := map[string]int{"M": 21843, "S": 1000, "MILSVRC2012": 1000, "MCIFAR10": 10}[n.Upstream+n.Suffix]
	if classes != 0 && classes != m.Config.Classes {
		m.warn("the name %q says %d classes, but the head has %d", name, classes, m.Config.Classes)
	}
}
