package hub

import (
	"errors"
	"net/http"
	"testing"

	"github.com/bigtransfer/bit/internal/hubtest"
)

func TestSearch(t *testing.T) {
	s := hubtest.New()
	t.Cleanup(s.Close)
	for id, r := range map[string]*hubtest.Repo{
		"google/bit-50":                         {Tags: []string{"transformers", "bit"}, Downloads: 900, Files: map[string][]byte{configFile: []byte(`{"model_type":"bit"}`)}},
		"me/bit-flowers":                        {Tags: []string{"transformers", "bit"}, Downloads: 3, Files: map[string][]byte{configFile: []byte(`{"model_type":"bit"}`)}},
		"me/bit-of-flowers":                     {Tags: []string{"bit"}, Downloads: 5000, Files: map[string][]byte{configFile: []byte(`{"model_type":"bert"}`)}}, // the tag alone
		"timm/resnetv2_50x1_bit.goog_in21k":     {Tags: []string{"timm"}, Downloads: 1000},
		"timm/resnetv2_50.a1h_in1k":             {Tags: []string{"timm"}, Downloads: 7000}, // another ResNet
		"you/resnetv2_50x1_bit.flowers":         {Tags: []string{"timm"}, Downloads: 7},
		"you/resnetv2_50x1_bit.flowers--broken": {Tags: []string{"timm"}, Downloads: 8}, // no name that the hub allows
	} {
		s.AddRepo(id, r)
	}
	c := client(t, s)
	for text, want := range map[string][]string{
		"":        {"timm/resnetv2_50x1_bit.goog_in21k", "google/bit-50", "you/resnetv2_50x1_bit.flowers", "me/bit-flowers"},
		"Flowers": {"you/resnetv2_50x1_bit.flowers", "me/bit-flowers"},
		"cars":    {},
	} {
		list, err := c.Search(t.Context(), text)
		if err != nil || len(list) != len(want) {
			t.Errorf("%q: %+v, %v, want %q", text, list, err, want)
			continue
		}
		for i, id := range want {
			if list[i].ID != id {
				t.Errorf("%q: %d is %s, want %s", text, i, list[i].ID, id)
			}
		}
	}
	answers(s, "/api/models", -1, http.StatusForbidden)
	if _, err := c.Search(t.Context(), "x"); !errors.Is(err, ErrDenied) {
		t.Errorf("forbidden: %v", err)
	}
	c.Offline = true
	if _, err := c.Search(t.Context(), "x"); !errors.Is(err, ErrOffline) {
		t.Errorf("offline: %v", err)
	}
}
