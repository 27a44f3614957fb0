package hub

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/resnet"
)

// Entry is a published model. Numbers that its publishers do not state are zero.
type Entry struct {
	Name     string         `json:"name"`           // what [Client.ParseRef] takes
	Repo     string         `json:"repo,omitempty"` // a repository of the Hugging Face hub
	Path     string         `json:"path,omitempty"` // or a file, under Google's bucket
	Variant  resnet.Variant `json:"-"`
	Upstream string         `json:"upstream,omitempty"` // data it was pre-trained on, if any
	Tuned    string         `json:"tuned_on,omitempty"` // data it was fine-tuned on or distilled for, if any
	Classes  int            `json:"classes,omitempty"`  // of the head
	Size     int64          `json:"bytes,omitempty"`    // of the file
	Computed bool           `json:"bytes_are_computed"` // from the format and the parameters, not published
	License  License        `json:"license"`
	Accuracy *Accuracy      `json:"accuracy,omitempty"`  // published
	Proof    *Proof         `json:"proof,omitempty"`     // published
	Task     string         `json:"vtab_task,omitempty"` // of the VTAB-1k models
}

// License is under which terms a model is published, and where its publisher says so.
type License struct {
	ID     string `json:"id"` // as the hub spells it
	Source string `json:"source"`
}

// What is published where is under one licence.
var (
	bucketLicense = License{"apache-2.0", "github.com/google-research/big_transfer, LICENSE"} // its README lists the files
	bit50License  = License{"apache-2.0", "huggingface.co/google/bit-50, README.md"}
	timmLicense   = License{"apache-2.0", "github.com/huggingface/pytorch-image-models, timm/models/resnetv2.py, _cfg"} // and the cards of its repositories
)

// Names of data sets.
const (
	ilsvrc = "ImageNet-1k"
	i21k   = "ImageNet-21k"
)

// teacherPaper is "Knowledge distillation: A good teacher is patient and consistent".
const teacherPaper = "arXiv 2106.05237"

const (
	ilsvrcClasses = 1000
	i21kClasses   = 21843 // two more than the usual list of synsets
)

// fileSizes are the published sizes in bytes of the .npz files with 1000 classes.
var fileSizes = map[resnet.Variant]int64{
	{Depth: 50, Width: 1}:  102_242_668,
	{Depth: 50, Width: 3}:  869_321_580,
	{Depth: 101, Width: 1}: 178_256_468,
	{Depth: 101, Width: 3}: 1_551_830_100,
	{Depth: 152, Width: 2}: 945_476_668,
	{Depth: 152, Width: 4}: 3_746_270_104,
}

// npzSize is the size of a file of any number of classes: only the head's kernel and bias differ, and all headers are
// 128 bytes.
func npzSize(v resnet.Variant, classes int) int64 {
	return fileSizes[v] + 4*int64(2048*v.Width+1)*int64(classes-ilsvrcClasses)
}

// vtabTasks are the 19 tasks as the file names have them, with their classes.
var vtabTasks = []struct {
	name    string
	classes int
}{
	{"caltech101", 102}, {"cifar100", 100}, {"dtd", 47}, {"oxford_flowers102", 102}, {"oxford_iiit_pet", 37},
	{"sun397", 397}, {"svhn", 10}, {"diabetic_retinopathy", 5}, {"eurosat", 10}, {"patch_camelyon", 2},
	{"resisc45", 45}, {"clevr-count", 8}, {"clevr-distance", 6}, {"dmlab", 6}, {"dsprites-orientation", 16},
	{"dsprites-xpos", 16}, {"kitti-distance", 4}, {"smallnorb-azimuth", 18}, {"smallnorb-elevation", 9},
}

// timmResults is the validation top-1 and top-5 of the fine-tuned models as timm measured them (pytorch-image-models
// results/results-imagenet.csv), with the crop_pct and interpolation of its configurations (timm/models/resnetv2.py).
var timmResults = map[string]struct {
	pixels     int
	top1, top5 float64
	crop       float64
	filter     imaging.Filter
}{
	"BiT-M-R50x1-ILSVRC2012":  {448, 80.386, 95.694, 1, imaging.Bilinear},
	"BiT-M-R101x1-ILSVRC2012": {448, 82.332, 96.524, 1, imaging.Bilinear},
	"BiT-M-R50x3-ILSVRC2012":  {448, 83.982, 97.130, 1, imaging.Bilinear},
	"BiT-M-R101x3-ILSVRC2012": {448, 84.430, 97.380, 1, imaging.Bilinear},
	"BiT-M-R152x2-ILSVRC2012": {448, 84.468, 97.432, 1, imaging.Bilinear},
	"BiT-M-R152x4-ILSVRC2012": {480, 84.936, 97.456, 1, imaging.Bilinear},
	"R50x1_224":               {224, 82.820, 96.526, 0.875, imaging.Bicubic},
	"R152x2_T_224":            {224, 82.918, 96.568, 0.875, imaging.Bicubic},
	"R152x2_T_384":            {384, 83.858, 97.130, 1, imaging.Bicubic},
}

// timmResult returns timm's measurement of an official file, which its own copy shares.
func timmResult(name string) *Accuracy {
	r, ok := timmResults[name]
	if !ok {
		return nil
	}
	return &Accuracy{
		Data: ilsvrc, Images: evaluationImages[ilsvrc], Pixels: r.pixels, Top1: r.top1, Top5: r.top5, Source: "timm",
		Bound: exactBound, Processor: imaging.Crop(int(float64(r.pixels)/r.crop), r.pixels, r.filter),
	}
}

// paperResult returns a result of the authors. With no crop pictures are squashed; else the shorter side is resized with
// the mean of the pixels and the middle cropped, as "A good teacher is patient and consistent" evaluates.
func paperResult(data, source string, pixels int, top1, bound, crop float64) *Accuracy {
	a := &Accuracy{
		Data: data, Images: evaluationImages[data], Pixels: pixels, Top1: top1, Source: source, Bound: bound,
		Processor: imaging.Squash(pixels, imaging.Bilinear),
	}
	if crop > 0 {
		a.Processor = imaging.Crop(int(float64(pixels)/crop), pixels, imaging.Box)
	}
	return a
}

// Catalog returns every published model: Google's upstream models, those fine-tuned on ImageNet-1k and CIFAR-10, the
// distilled ones and their teachers, the repositories of the Hugging Face hub, and last the 285 VTAB-1k models. The
// caller must not change it.
var Catalog = sync.OnceValue(func() []Entry {
	var list []Entry
	npz := func(e Entry) {
		e.License = bucketLicense
		if e.Classes > 0 {
			e.Size = npzSize(e.Variant, e.Classes)
			e.Computed = e.Classes != ilsvrcClasses
		}
		list = append(list, e)
	}
	for _, up := range []struct {
		letter, data string
		classes      int
	}{{"S", ilsvrc, ilsvrcClasses}, {"M", i21k, i21kClasses}} {
		for _, v := range resnet.Released() {
			name := fmt.Sprintf("BiT-%s-%v", up.letter, v)
			npz(Entry{Name: name, Path: name + ".npz", Variant: v, Upstream: up.data, Classes: up.classes})
		}
	}
	for _, v := range resnet.Released() {
		name := fmt.Sprintf("BiT-M-%v-ILSVRC2012", v)
		npz(Entry{Name: name, Path: name + ".npz", Variant: v, Upstream: i21k, Tuned: ilsvrc, Classes: ilsvrcClasses, Accuracy: timmResult(name)})
	}
	r50, r152 := resnet.Variant{Depth: 50, Width: 1}, resnet.Variant{Depth: 152, Width: 2}
	npz(Entry{
		Name: "BiT-M-R50x1-CIFAR10", Path: "BiT-M-R50x1-CIFAR10.npz", Variant: r50, Upstream: i21k, Tuned: "CIFAR-10", Classes: 10,
		Accuracy: paperResult("CIFAR-10", "big_transfer", 128, 97.61, exactBound, 0),
	})
	distilled := func(name string, v resnet.Variant, upstream, tuned string, classes int, a *Accuracy) {
		npz(Entry{Name: name, Path: "distill/" + name + ".npz", Variant: v, Upstream: upstream, Tuned: tuned, Classes: classes, Accuracy: a})
	}
	distilled("R50x1_224", r50, "", ilsvrc+" (distilled)", ilsvrcClasses, timmResult("R50x1_224"))
	distilled("R50x1_160", r50, "", ilsvrc+" (distilled)", ilsvrcClasses,
		paperResult(ilsvrc, teacherPaper, 160, 80.49, describedBound, 224.0/256))
	for _, side := range []string{"224", "384"} {
		name := "R152x2_T_" + side
		distilled(name, r152, i21k, ilsvrc+" (teacher)", ilsvrcClasses, timmResult(name))
	}
	for _, t := range []struct {
		file, data string
		classes    int
		top1       float64
	}{{"flowers", "Flowers-102", 102, 97.82}, {"pet", "Oxford-IIIT Pets", 37, 91.03}, {"food", "Food-101", 101, 86.24}, {"sun", "SUN397", 397, 74.22}} {
		distilled("R152x2_T_"+t.file+"128", r152, i21k, t.data+" (teacher)", t.classes,
			paperResult(t.data, teacherPaper, 128, t.top1, describedBound, 128.0/160))
	}

	repo := func(name string, v resnet.Variant, upstream, tuned string, classes int, a *Accuracy) {
		// Four bytes a parameter; names and shapes are small beside that.
		size := 4 * int64(v.Config(classes).NumParams())
		list = append(list, Entry{Name: name, Repo: name, Variant: v, Upstream: upstream, Tuned: tuned, Classes: classes, Size: size, Computed: true, License: timmLicense, Accuracy: a})
	}
	repo("google/bit-50", r50, i21k, ilsvrc, ilsvrcClasses, timmResult("BiT-M-R50x1-ILSVRC2012")) // converted from timm's copy of it
	bit50 := &list[len(list)-1]
	bit50.License, bit50.Proof = bit50License, bit50Proof
	for _, v := range resnet.Released() {
		base := "timm/resnetv2_" + strings.TrimPrefix(v.String(), "R") + "_bit"
		repo(base+".goog_in21k_ft_in1k", v, i21k, ilsvrc, ilsvrcClasses, timmResult(fmt.Sprintf("BiT-M-%v-ILSVRC2012", v)))
		repo(base+".goog_in21k", v, i21k, "", i21kClasses, nil)
	}
	repo("timm/resnetv2_50x1_bit.goog_distilled_in1k", r50, "", ilsvrc+" (distilled)", ilsvrcClasses, timmResult("R50x1_224"))
	repo("timm/resnetv2_152x2_bit.goog_teacher_in21k_ft_in1k", r152, i21k, ilsvrc+" (teacher)", ilsvrcClasses, timmResult("R152x2_T_224"))
	repo("timm/resnetv2_152x2_bit.goog_teacher_in21k_ft_in1k_384", r152, i21k, ilsvrc+" (teacher)", ilsvrcClasses, timmResult("R152x2_T_384"))

	for _, v := range []resnet.Variant{r50, {Depth: 101, Width: 1}, {Depth: 50, Width: 3}, {Depth: 101, Width: 3}, {Depth: 152, Width: 4}} {
		for run := range 3 {
			for _, t := range vtabTasks {
				name := fmt.Sprintf("BiT-M-%v-run%d-%s", v, run, t.name)
				npz(Entry{Name: name, Path: "vtab/" + name + ".npz", Variant: v, Upstream: i21k, Tuned: t.name + " (VTAB-1k)", Classes: t.classes, Task: t.name})
			}
		}
	}
	return list
})

// Lookup returns the model of a name, or nil.
func Lookup(name string) *Entry {
	list := Catalog()
	if i := slices.IndexFunc(list, func(e Entry) bool { return e.Name == name }); i >= 0 {
		return &list[i]
	}
	return nil
}
