package hub

import (
	"errors"
	"fmt"
)

// What an [Error] can be, for errors.Is.
var (
	ErrNotFound    = errors.New("not there")
	ErrDenied      = errors.New("access denied")
	ErrBusy        = errors.New("too many requests")
	ErrUnreachable = errors.New("unreachable")
	ErrOffline     = errors.New("HF_HUB_OFFLINE is set")
	ErrCorrupt     = errors.New("what arrived is not what was announced")
)

// Error says in one sentence what was looked for, where, what came of it, and how to bring it by hand.
type Error struct {
	Ref    Ref
	URL    string // what was asked for
	Err    error  // why it failed
	ByHand string // what to do without this program's help
}

func (e *Error) Error() string {
	return fmt.Sprintf("cannot fetch %v from %s: %v; to bring it by hand, %s", e.Ref, e.URL, e.Err, e.ByHand)
}

func (e *Error) Unwrap() error { return e.Err }

// fail describes a failure with advice for the kind of reference.
func (c *Client) fail(ref Ref, url string, err error) error {
	e := &Error{Ref: ref, URL: url, Err: err}
	if ref.Dataset {
		e.ByHand = "save its files in a folder and name that folder"
	} else if ref.Repo != "" {
		e.ByHand = "put the repository's config.json, model.safetensors and preprocessor_config.json into a folder and name that folder"
	} else if path, bad := c.assetPath(url); bad == nil {
		e.ByHand = fmt.Sprintf("save that file as %s, or anywhere and give its path", path)
	} else {
		e.ByHand = "save that file anywhere and give its path"
	}
	return e
}
