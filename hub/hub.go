// Package hub brings published models and data sets to this machine: repositories of a Hugging Face hub, the files of Google's bucket
// that big_transfer lists, and single files of https URLs.
//
// Repositories are kept in the cache that Python's huggingface_hub keeps, in its layout (blobs, refs, snapshots of
// relative links, .locks), so that what either program has downloaded the other one finds. Other files are kept among its
// assets, under the name of this program and of the host they came from. Nothing gets its final name before its size and
// checksum are right; what a killed or cut download left is continued by the next one; of several processes that want the
// same file one downloads it.
package hub

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Where models come from unless the environment says otherwise.
const (
	DefaultEndpoint = "https://huggingface.co"
	DefaultBucket   = "https://storage.googleapis.com/bit_models"
)

// Client finds and downloads models. [FromEnv] makes one; its fields may be changed before the first use.
type Client struct {
	Cache    string         // folder of repositories, huggingface_hub's HF_HUB_CACHE
	Assets   string         // folder of other files, huggingface_hub's HF_ASSETS_CACHE
	Endpoint string         // URL of the hub
	Bucket   string         // URL of Google's bucket, or of a mirror of it
	Token    string         // sent to Endpoint and to no other host; may be empty
	Offline  bool           // only what is cached
	Progress func(Progress) // called as bytes arrive, if not nil
	HTTP     *http.Client   // nil for one with reasonable timeouts; redirects are followed here, not by it
	stall    time.Duration  // how long a body may stand still
	wait     waiter         // between attempts
	symlink  func(o, n string) error
}

// Progress is the state of the download of one file.
type Progress struct {
	File  string // its name
	Done  int64  // bytes here, those of an earlier attempt included
	Total int64  // -1 if the server does not say
}

// FromEnv returns a client with the settings of the environment variables that huggingface_hub reads: HF_HOME,
// HF_HUB_CACHE, HF_ASSETS_CACHE, XDG_CACHE_HOME, HF_TOKEN, HF_TOKEN_PATH, HF_ENDPOINT and HF_HUB_OFFLINE. BIT_BUCKET
// names a mirror of Google's bucket.
func FromEnv() *Client {
	home := func(parts ...string) string { // under the user's home directory; a relative path if there is none
		dir, _ := os.UserHomeDir()
		return filepath.Join(append([]string{dir}, parts...)...)
	}
	// path returns the first variable that is set, with ~ and $VARIABLES replaced, or fallback.
	path := func(fallback string, names ...string) string {
		for _, name := range names {
			v := os.ExpandEnv(os.Getenv(name))
			if v == "~" || strings.HasPrefix(v, "~/") {
				v = home(v[1:])
			}
			if v != "" {
				return v
			}
		}
		return fallback
	}
	hfHome := path(filepath.Join(path(home(".cache"), "XDG_CACHE_HOME"), "huggingface"), "HF_HOME")
	c := &Client{
		Cache:    path(filepath.Join(hfHome, "hub"), "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"),
		Assets:   path(filepath.Join(hfHome, "assets"), "HF_ASSETS_CACHE", "HUGGINGFACE_ASSETS_CACHE"),
		Endpoint: strings.TrimRight(os.Getenv("HF_ENDPOINT"), "/"),
		Bucket:   strings.TrimRight(os.Getenv("BIT_BUCKET"), "/"),
		Offline:  isTrue(os.Getenv("HF_HUB_OFFLINE")) || isTrue(os.Getenv("TRANSFORMERS_OFFLINE")),
	}
	if c.Endpoint == "" {
		c.Endpoint = DefaultEndpoint
	}
	if c.Bucket == "" {
		c.Bucket = DefaultBucket
	}
	c.Token = cleanToken(os.Getenv("HF_TOKEN"))
	if c.Token == "" {
		if text, err := os.ReadFile(path(filepath.Join(hfHome, "token"), "HF_TOKEN_PATH")); err == nil {
			c.Token = cleanToken(string(text))
		}
	}
	return c
}

// isTrue reads a switch as huggingface_hub does (constants.py, ENV_VARS_TRUE_VALUES).
func isTrue(v string) bool {
	switch strings.ToUpper(v) {
	case "1", "ON", "YES", "TRUE":
		return true
	}
	return false
}

func cleanToken(s string) string {
	return strings.TrimSpace(strings.NewReplacer("\r", "", "\n", "").Replace(s))
}

// Cached returns where a model lies that has been downloaded: the folder of a repository's snapshot that holds all that
// is needed, or a file. No server is asked. The error is a [fs.ErrNotExist] if it is not there or not complete.
func (c *Client) Cached(ref Ref) (string, error) {
	if ref.Repo != "" {
		return c.cachedSnapshot(ref)
	}
	for _, u := range ref.urls(c) {
		path, err := c.assetPath(u)
		if err != nil {
			return "", err
		}
		if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() {
			return path, nil
		}
	}
	return "", fmt.Errorf("%v is not cached: %w", ref, fs.ErrNotExist)
}

// Get returns where a model lies: what is cached, or else what it downloads.
func (c *Client) Get(ctx context.Context, ref Ref) (string, error) {
	path, err := c.Cached(ref)
	if errors.Is(err, fs.ErrNotExist) {
		return c.Pull(ctx, ref)
	}
	return path, err
}

// Pull asks the model's server for its newest version, downloads what is missing of it and returns where it lies. The
// errors are [*Error], those of the file system and the context's.
func (c *Client) Pull(ctx context.Context, ref Ref) (string, error) {
	if c.Offline {
		path, err := c.Cached(ref)
		if err != nil {
			return "", c.fail(ref, ref.at(c), ErrOffline)
		}
		return path, nil
	}
	if ref.Repo != "" {
		return c.pullSnapshot(ctx, ref)
	}
	var first error
	for _, u := range ref.urls(c) {
		path, err := c.pullFile(ctx, ref, u)
		if err == nil {
			return path, nil
		}
		if first == nil {
			first = err
		}
		if !errors.Is(err, ErrNotFound) {
			break
		}
	}
	return "", first
}

// link makes a symbolic link, which Windows allows only some users.
func (c *Client) link(oldname, newname string) error {
	if c.symlink != nil {
		return c.symlink(oldname, newname)
	}
	return os.Symlink(oldname, newname)
}

// userAgent is how this program calls itself.
const userAgent = "bit (" + runtime.GOOS + "; " + runtime.GOARCH + ")"
