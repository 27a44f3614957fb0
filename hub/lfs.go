package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
)

// lfsType is the content type of the LFS API (github.com/git-lfs/git-lfs, docs/api/batch.md).
const lfsType = "application/vnd.git-lfs+json"

// lfsAction is where to send something.
type lfsAction struct {
	Href   string         `json:"href"`
	Header map[string]any `json:"header"`
}

// lfsObject is what the hub says of a large file.
type lfsObject struct {
	OID     string `json:"oid"`
	Size    int64  `json:"size"`
	Actions struct {
		Upload *lfsAction `json:"upload"` // nil: it is there
		Verify *lfsAction `json:"verify"`
	} `json:"actions"`
	Error *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// uploadLarge brings the large files that are not there to the host that the hub names (huggingface_hub lfs.py).
func (p *pusher) uploadLarge(ctx context.Context) error {
	due := map[string]*localFile{} // by oid: what two files share is sent once
	var order []*localFile
	for _, f := range p.files {
		if f.large && !f.ignored && f.remote != f.oid && due[f.oid] == nil {
			due[f.oid] = f
			order = append(order, f)
		}
	}
	for batch := range slices.Chunk(order, pushBatch) {
		type object struct {
			OID  string `json:"oid"`
			Size int64  `json:"size"`
		}
		question := map[string]any{"operation": "upload", "transfers": []string{"basic", "multipart"}, "hash_algo": "sha256"}
		var objects []object
		for _, f := range batch {
			objects = append(objects, object{f.oid, f.size})
		}
		question["objects"] = objects
		if !p.options.PullRequest {
			question["ref"] = map[string]string{"name": p.branch}
		}
		var answer struct {
			Objects []lfsObject `json:"objects"`
		}
		body, err := json.Marshal(question)
		if err == nil {
			err = p.send(ctx, p.repo.page()+".git/info/lfs/objects/batch", lfsType, body, &answer)
		}
		if err != nil {
			return err
		}
		answered := map[string]bool{}
		for _, o := range answer.Objects {
			answered[o.OID] = true
			f := due[o.OID]
			if f == nil || o.Size != f.size {
				return fmt.Errorf("%w: the hub answers for a file %.64q of %d bytes", ErrCorrupt, o.OID, o.Size)
			}
			if o.Error != nil {
				return fmt.Errorf("%s: %w: %d %.300q", f.path, errRefused, o.Error.Code, o.Error.Message)
			}
			if o.Actions.Upload == nil {
				continue
			}
			if err := p.uploadOne(ctx, f, o); err != nil {
				return fmt.Errorf("%s: %w", f.path, err)
			}
			p.result.Uploaded += f.size
		}
		for _, f := range batch {
			if !answered[f.oid] {
				return fmt.Errorf("%w: the hub does not say where to send %s", ErrCorrupt, f.path)
			}
		}
	}
	return nil
}

// uploadOne sends a file, whole or in parts, and has the hub check it.
func (p *pusher) uploadOne(ctx context.Context, f *localFile, o lfsObject) error {
	up := o.Actions.Upload
	href, err := p.c.actionURL(up.Href)
	if err != nil {
		return err
	}
	if up.Header["chunk_size"] != nil {
		err = p.uploadParts(ctx, f, up, href)
	} else {
		_, err = p.put(ctx, f, href, 0, f.size)
	}
	if err != nil || o.Actions.Verify == nil {
		return err
	}
	verify, err := p.c.actionURL(o.Actions.Verify.Href)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"oid": f.oid, "size": f.size})
	if err != nil {
		return err
	}
	return p.send(ctx, verify, lfsType, body, nil)
}

// uploadParts sends a file in parts, whose addresses are in the action's header by number from 1 on, and has them put
// together (lfs.py, _upload_multi_part).
func (p *pusher) uploadParts(ctx context.Context, f *localFile, up *lfsAction, complete string) error {
	size, err := strconv.ParseInt(fmt.Sprint(up.Header["chunk_size"]), 10, 64)
	if err != nil || size < 1 {
		return fmt.Errorf("%w: parts of %.50q bytes", ErrCorrupt, fmt.Sprint(up.Header["chunk_size"]))
	}
	addresses := map[int64]string{}
	for key, value := range up.Header {
		if n, err := strconv.ParseInt(key, 10, 64); err == nil {
			addresses[n], _ = value.(string)
		}
	}
	count := (f.size + size - 1) / size
	if int64(len(addresses)) != count {
		return fmt.Errorf("%w: addresses for %d parts, %d bytes in parts of %d are %d", ErrCorrupt, len(addresses), f.size, size, count)
	}
	type part struct {
		Number int64  `json:"partNumber"`
		ETag   string `json:"etag"`
	}
	var parts []part
	for n := int64(1); n <= count; n++ {
		address, err := p.c.actionURL(addresses[n])
		if err != nil {
			return fmt.Errorf("part %d: %w", n, err)
		}
		from := (n - 1) * size
		tag, err := p.put(ctx, f, address, from, min(size, f.size-from))
		if err != nil {
			return fmt.Errorf("part %d of %d: %w", n, count, err)
		}
		if tag == "" {
			return fmt.Errorf("%w: part %d has no tag", ErrCorrupt, n)
		}
		parts = append(parts, part{n, tag})
	}
	body, err := json.Marshal(map[string]any{"oid": f.oid, "parts": parts})
	if err != nil {
		return err
	}
	return p.send(ctx, complete, lfsType, body, nil)
}

// put sends a part of a file and returns the tag that the host gives it. What was cut is sent again from the part's start.
func (p *pusher) put(ctx context.Context, f *localFile, address string, from, size int64) (tag string, err error) {
	file, err := os.Open(f.at)
	if err != nil {
		return "", err
	}
	defer file.Close()
	err = p.c.retry(ctx, func() (bool, error) {
		ctx, watchdog := p.c.watch(ctx)
		defer watchdog.stop()
		body := &upload{size, func() (io.Reader, error) {
			return &sending{p: p, f: f, watchdog: watchdog, done: from, end: from + size, r: io.NewSectionReader(file, from, size)}, nil
		}}
		resp, err := p.c.doWith(ctx, http.MethodPut, address, nil, body, false)
		if err != nil {
			return false, watchdog.reason(err)
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<12))
		if resp.StatusCode < 200 || resp.StatusCode > 299 {
			return false, p.storageRefusal(resp, text)
		}
		tag = resp.Header.Get("ETag")
		return true, nil
	})
	return tag, err
}

// storageRefusal describes what the host of large files answers, which knows no token.
func (p *pusher) storageRefusal(resp *http.Response, text []byte) error {
	if code := resp.StatusCode; code == http.StatusTooManyRequests || code == http.StatusRequestTimeout || code >= 500 {
		return statusError(resp)
	}
	return &refusedError{fmt.Errorf("%w by %s: %s %.200q", errRefused, resp.Request.URL.Host, resp.Status, strings.TrimSpace(string(text))), resp.StatusCode}
}

// sending is a part of a file on its way.
type sending struct {
	p         *pusher
	f         *localFile
	watchdog  *watchdog
	done, end int64 // in the file
	r         io.Reader
}

func (s *sending) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	if s.done += int64(n); s.done < s.end {
		s.watchdog.fed()
	} else {
		s.watchdog.timer.Stop() // how long the answer may take is uploadTransport's concern
	}
	if s.p.c.Progress != nil && n > 0 {
		s.p.c.Progress(Progress{File: s.f.path, Done: s.done, Total: s.f.size})
	}
	return n, err
}

// actionURL is an address that the hub says to send to. Where the hub is behind a proxy, its own addresses are too
// (huggingface_hub utils/_http.py, fix_hf_endpoint_in_url).
func (c *Client) actionURL(address string) (string, error) {
	if rest, ok := strings.CutPrefix(address, DefaultEndpoint+"/"); ok {
		address = c.Endpoint + "/" + rest
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && !isLoopback(u.Hostname()) && !sameOrigin(u, c.Endpoint) {
		return "", fmt.Errorf("%w: an address to send to that is not https: %.150q", ErrCorrupt, address)
	}
	return address, nil
}
