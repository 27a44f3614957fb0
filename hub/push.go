package hub

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"unicode"
)

// PushOptions say how [Client.Push] publishes. The zero value commits to the branch main of a public repository.
type PushOptions struct {
	Message string // of the commit; empty for one that names this program
	Private bool   // of a repository that is made; one that exists keeps what it is
	// PullRequest opens one with the commit, in place of committing to the branch. The branch must be main.
	PullRequest bool
	// Leave are the folders and files of the folder that stay here, by their slash-separated paths in it.
	Leave []string
}

// Pushed is what a push has done.
type Pushed struct {
	Commit      string   `json:"commit"`
	URL         string   `json:"url"`                    // of the commit, or the repository's if nothing was to be committed
	PullRequest string   `json:"pull_request,omitempty"` // its URL
	Created     bool     `json:"created"`                // the repository was not there
	Committed   []string `json:"committed"`              // files that were new or have changed
	Unchanged   []string `json:"unchanged,omitempty"`    // files that were there as they are
	Ignored     []string `json:"ignored,omitempty"`      // files that the repository's .gitignore excludes
	Uploaded    int64    `json:"uploaded_bytes"`         // of large files; less what was there already
}

// ErrNoToken means that something needs a token and there is none.
var ErrNoToken = errors.New("HF_TOKEN is not set, nor is there a file of HF_TOKEN_PATH; a token with write access is needed")

// ErrConflict means that others keep changing the repository.
var ErrConflict = errors.New("the repository has changed meanwhile")

const (
	pushBatch    = 256 // files that one question is about (huggingface_hub lfs.py, UPLOAD_BATCH_MAX_NUM_FILES)
	sampleSize   = 512 // bytes of a file by which the hub tells text from data (lfs.py, UploadInfo)
	pushAttempts = 3   // when others commit at the same time
	userMessage  = "Upload with bit"
	commitType   = "application/x-ndjson"
)

// Push publishes files, a folder's or a single one, in a repository of models of the hub, which it makes if it is not
// there, at the branch ref.Revision, which it makes too. Large files go to the host that the hub names, in parts if it
// asks for parts, and never with the token; what the hub has already is not sent again, so that a push that was cut goes
// on where it ended. All files appear in one commit. Files of the repository that are not in the folder stay.
//
// Names that begin with a dot are left out, and with them .git and .cache.
func (c *Client) Push(ctx context.Context, path string, ref Ref, o PushOptions) (*Pushed, error) {
	p := &pusher{c: c, repo: c.repository(ref), branch: ref.Revision, options: o}
	result, err := p.run(ctx, path)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot push %s to %s: %w", path, p.repo.page(), err)
	}
	return result, nil
}

// pusher is one push.
type pusher struct {
	c       *Client
	repo    repository
	branch  string
	options PushOptions
	files   []*localFile
	result  Pushed
}

func (p *pusher) run(ctx context.Context, path string) (*Pushed, error) {
	switch {
	case p.c.Offline:
		return nil, ErrOffline
	case p.c.Token == "":
		return nil, ErrNoToken
	case p.options.PullRequest && p.branch != DefaultRevision:
		return nil, fmt.Errorf("a pull request is to %s, not to %s", DefaultRevision, p.branch)
	case commitHash.MatchString(p.branch):
		return nil, fmt.Errorf("%s is a commit, want a branch", p.branch)
	}
	var err error
	if p.files, err = localFiles(path, p.options.Leave); err != nil {
		return nil, err
	}
	if err := p.create(ctx); err != nil {
		return nil, err
	}
	for range pushAttempts {
		// A commit names the one before it, so that neither two programs nor an answer that was lost make two of it.
		parent, err := p.parent(ctx)
		if err != nil {
			return nil, err
		}
		if err := p.prepare(ctx); err != nil {
			return nil, err
		}
		if err := p.uploadLarge(ctx); err != nil {
			return nil, err
		}
		if err = p.commit(ctx, parent); err == nil {
			return &p.result, nil
		}
		if !errors.Is(err, ErrConflict) {
			return nil, err
		}
	}
	return nil, ErrConflict
}

// create makes repository and branch unless they are there (huggingface_hub hf_api.py, create_repo, create_branch).
func (p *pusher) create(ctx context.Context) error {
	owner, name, _ := strings.Cut(p.repo.id, "/")
	question := map[string]any{"name": name, "organization": owner, "type": "model"}
	if p.options.Private {
		question["visibility"] = "private"
	}
	err := p.post(ctx, p.c.Endpoint+"/api/repos/create", question, nil)
	switch {
	case err == nil:
		p.result.Created = true
	case isStatus(err, http.StatusConflict):
	case errors.Is(err, ErrDenied): // a token that may write to this repository need not be one that may make others
		if _, there := p.repo.describe(ctx, DefaultRevision); there != nil {
			return err
		}
	default:
		return err
	}
	if p.branch == DefaultRevision || strings.HasPrefix(p.branch, "refs/") { // that of a pull request is there
		return nil
	}
	if err := p.post(ctx, p.repo.api("branch", p.branch), map[string]any{}, nil); err != nil && !isStatus(err, http.StatusConflict) {
		return fmt.Errorf("branch %s: %w", p.branch, err)
	}
	return nil
}

// parent returns the commit to add to.
func (p *pusher) parent(ctx context.Context) (string, error) {
	info, err := p.repo.describe(ctx, p.branch)
	return info.SHA, err
}

// prepare asks how each file is to be sent and which the hub has (_commit_api.py, _fetch_upload_modes).
func (p *pusher) prepare(ctx context.Context) error {
	byPath := map[string]*localFile{}
	for batch := range slices.Chunk(p.files, pushBatch) {
		type file struct {
			Path   string `json:"path"`
			Sample []byte `json:"sample"` // in base64
			Size   int64  `json:"size"`
		}
		var question struct {
			Files []file `json:"files"`
		}
		for _, f := range batch {
			byPath[f.path] = f
			sample, err := f.sample()
			if err != nil {
				return err
			}
			question.Files = append(question.Files, file{f.path, sample, f.size})
		}
		var answer struct {
			Files []struct {
				Path         string `json:"path"`
				UploadMode   string `json:"uploadMode"`
				ShouldIgnore bool   `json:"shouldIgnore"`
				OID          string `json:"oid"`
			} `json:"files"`
		}
		if err := p.post(ctx, p.repo.api("preupload", p.branch)+p.query(), question, &answer); err != nil {
			return err
		}
		for _, a := range answer.Files {
			f := byPath[a.Path]
			if f == nil || a.UploadMode != "lfs" && a.UploadMode != "regular" {
				return fmt.Errorf("%w: the hub wants %q sent as %q", ErrCorrupt, a.Path, a.UploadMode)
			}
			// The host of large files takes none that is empty.
			f.large, f.ignored, f.remote, f.known = a.UploadMode == "lfs" && f.size > 0, a.ShouldIgnore, a.OID, true
		}
	}
	for _, f := range p.files {
		if !f.known {
			return fmt.Errorf("%w: the hub does not say how to send %q", ErrCorrupt, f.path)
		}
		if err := f.hash(ctx); err != nil {
			return err
		}
	}
	return nil
}

// query asks for a pull request, where one is wanted.
func (p *pusher) query() string {
	if p.options.PullRequest {
		return "?create_pr=1"
	}
	return ""
}

// commit adds the files to the branch (_commit_api.py, _prepare_commit_payload): one JSON object a line.
func (p *pusher) commit(ctx context.Context, parent string) error {
	p.result.Committed, p.result.Unchanged, p.result.Ignored = nil, nil, nil
	message := p.options.Message
	if message == "" {
		message = userMessage
	}
	var body bytes.Buffer
	lines := json.NewEncoder(&body)
	add := func(key string, value any) error { return lines.Encode(map[string]any{"key": key, "value": value}) }
	if err := add("header", map[string]string{"summary": message, "description": "", "parentCommit": parent}); err != nil {
		return err
	}
	for _, f := range p.files {
		switch {
		case f.ignored:
			p.result.Ignored = append(p.result.Ignored, f.path)
			continue
		case f.remote == f.oid:
			p.result.Unchanged = append(p.result.Unchanged, f.path)
			continue
		}
		p.result.Committed = append(p.result.Committed, f.path)
		var err error
		if f.large {
			err = add("lfsFile", map[string]any{"path": f.path, "algo": "sha256", "oid": f.oid, "size": f.size})
		} else {
			var content []byte
			if content, err = os.ReadFile(f.at); err == nil {
				err = add("file", map[string]any{"path": f.path, "encoding": "base64", "content": base64.StdEncoding.EncodeToString(content)})
			}
		}
		if err != nil {
			return err
		}
	}
	if len(p.result.Committed) == 0 {
		p.result.Commit, p.result.URL = parent, p.repo.page()
		return nil
	}
	var answer struct {
		OID         string `json:"commitOid"`
		URL         string `json:"commitUrl"`
		PullRequest string `json:"pullRequestUrl"`
	}
	err := p.send(ctx, p.repo.api("commit", p.branch)+p.query(), commitType, body.Bytes(), &answer)
	switch {
	case isStatus(err, http.StatusPreconditionFailed), isStatus(err, http.StatusConflict):
		return fmt.Errorf("%w: %w", ErrConflict, err)
	case err != nil:
		return err
	case !commitHash.MatchString(answer.OID):
		return fmt.Errorf("%w: the new commit is %.50q", ErrCorrupt, answer.OID)
	}
	p.result.Commit, p.result.URL, p.result.PullRequest = answer.OID, answer.URL, answer.PullRequest
	return nil
}

// post sends an object to the hub and reads its answer, unless that is nil.
func (p *pusher) post(ctx context.Context, address string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	return p.send(ctx, address, "application/json", body, answer)
}

func (p *pusher) send(ctx context.Context, address, contentType string, body []byte, answer any) error {
	content := &upload{int64(len(body)), func() (io.Reader, error) { return bytes.NewReader(body), nil }}
	header := http.Header{"Content-Type": {contentType}}
	if contentType == lfsType {
		header.Set("Accept", lfsType)
	}
	// Whether a request whose answer was lost has opened a pull request cannot be told, and two are one too many.
	once := p.options.PullRequest && contentType == commitType
	var text []byte
	attempt := func() (bool, error) {
		resp, err := p.c.doWith(ctx, http.MethodPost, address, header, content, false)
		if err != nil {
			return false, err
		}
		defer resp.Body.Close()
		if text, err = io.ReadAll(io.LimitReader(resp.Body, maxJSON)); err != nil {
			return false, classify(err)
		}
		if resp.StatusCode < 200 || resp.StatusCode > 299 {
			return false, p.refusal(resp, text)
		}
		return true, nil
	}
	err := p.c.retry(ctx, func() (bool, error) {
		progress, err := attempt()
		if lost, ok := errors.AsType[*transientError](err); ok && once && !errors.Is(err, ErrBusy) {
			err = lost.error
		}
		return progress, err
	})
	if err != nil || answer == nil {
		return err
	}
	if err := json.Unmarshal(text, answer); err != nil {
		u, _ := url.Parse(address)
		return fmt.Errorf("%w: the answer to %s: %w", ErrCorrupt, u.Path, err)
	}
	return nil
}

// refusedError is an answer that is none of those wanted.
type refusedError struct {
	error
	status int
}

func (e *refusedError) Unwrap() error { return e.error }

func isStatus(err error, status int) bool {
	e, ok := errors.AsType[*refusedError](err)
	return ok && e.status == status
}

// refusal describes an answer to something that was sent, with the server's own words.
func (p *pusher) refusal(resp *http.Response, text []byte) error {
	words := resp.Header.Get("X-Error-Message")
	var body struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(text, &body) == nil && body.Error != "" {
		words = body.Error
	}
	words = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, words)
	if words != "" {
		words = fmt.Sprintf(" (%.300s)", words)
	}
	refused := func(err error, hint string) error {
		return &refusedError{fmt.Errorf("%w: %s%s%s", err, resp.Status, words, hint), resp.StatusCode}
	}
	switch code := resp.StatusCode; {
	case code == http.StatusConflict && strings.Contains(words, "conflicting operation is in progress"):
		return &transientError{error: refused(errRefused, "")} // two repositories of one owner are not made at once
	case code == http.StatusUnauthorized:
		return refused(ErrDenied, "; HF_TOKEN is wrong or may not do this: "+p.c.Endpoint+"/settings/tokens makes one with write access")
	case code == http.StatusForbidden:
		return refused(ErrDenied, "; HF_TOKEN may not write to "+p.repo.id)
	case code == http.StatusTooManyRequests || code == http.StatusRequestTimeout || code >= 500:
		return statusError(resp)
	case code == http.StatusNotFound:
		return refused(ErrNotFound, "")
	default:
		return refused(errRefused, "")
	}
}

var errRefused = errors.New("refused")
