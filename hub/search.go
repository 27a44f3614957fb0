package hub

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Found is a repository that [Client.Search] found.
type Found struct {
	ID        string   `json:"id"` // what [Client.ParseRef] takes
	Library   string   `json:"library_name"`
	Downloads int      `json:"downloads"` // in the last 30 days
	Likes     int      `json:"likes"`
	Tags      []string `json:"tags"`
}

// searchLimit is the most repositories that one request returns.
const searchLimit = 100

// Search asks the hub for repositories of BiT networks whose name contains text, most downloaded first: those of
// transformers with model_type bit, and those of timm whose architecture is a resnetv2 of BiT. An empty text finds all,
// up to searchLimit of each kind.
func (c *Client) Search(ctx context.Context, text string) ([]Found, error) {
	kinds := []struct {
		query url.Values
		keep  func(id, modelType string) bool
	}{
		{url.Values{"filter": {"bit"}}, func(_, modelType string) bool { return modelType == "bit" }},
		{url.Values{"filter": {"timm"}, "search": {"resnetv2"}}, func(id, _ string) bool {
			_, name, _ := strings.Cut(id, "/")
			return strings.HasPrefix(name, "resnetv2_") && strings.Contains(name, "_bit")
		}},
	}
	var all []Found
	for _, k := range kinds {
		if text != "" {
			k.query.Add("search", text)
		}
		k.query.Set("sort", "downloads")
		k.query.Set("limit", fmt.Sprint(searchLimit))
		k.query.Set("config", "true")
		address := c.Endpoint + "/api/models?" + k.query.Encode()
		if c.Offline {
			return nil, fmt.Errorf("cannot search %s: %w", c.Endpoint, ErrOffline)
		}
		body, _, err := c.getJSON(ctx, address)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			return nil, fmt.Errorf("cannot search %s: %w", c.Endpoint, err)
		}
		var list []struct {
			Found
			Config struct {
				ModelType string `json:"model_type"`
			} `json:"config"`
		}
		if err := json.Unmarshal(body, &list); err != nil {
			return nil, fmt.Errorf("cannot search %s: %w: %w", c.Endpoint, ErrCorrupt, err)
		}
		for _, f := range list {
			if checkRepo(f.ID) == nil && k.keep(f.ID, f.Config.ModelType) {
				all = append(all, f.Found)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Found) int { return cmp.Compare(b.Downloads, a.Downloads) })
	return all, nil
}
