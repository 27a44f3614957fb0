package main

import (
	"math"
	"reflect"
	"testing"

	"github.com/bigtransfer/bit/hub"
	"github.com/bigtransfer/bit/weights"
)

// BiT-M-R50x1 fine-tuned on ImageNet-1k has 80.386 % at 448 pixels by timm's table of results.
func TestPublishedCard(t *testing.T) {
	result := weights.Result{Dataset: "ImageNet-1k", Type: "imagenet-1k", Name: "Top-1 accuracy at 448 pixels (timm)", Value: 0.80386}
	for name, want := range map[string]weights.Card{
		"BiT-M-R50x1-ILSVRC2012": {Datasets: []string{"imagenet-21k", "imagenet-1k"}, Results: []weights.Result{result}},
		"google/bit-50":          {Base: "google/bit-50", Datasets: []string{"imagenet-21k", "imagenet-1k"}, Results: []weights.Result{result}},
		"BiT-S-R101x1":           {Datasets: []string{"imagenet-1k"}},
	} {
		want.Name, want.License = name, "apache-2.0"
		got := publishedCard(hub.Lookup(name))
		for i := range got.Results {
			got.Results[i].Value = math.Round(1e6*got.Results[i].Value) / 1e6
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}
