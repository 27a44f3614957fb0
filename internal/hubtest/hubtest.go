// Package hubtest is, for tests, a Hugging Face hub, the host that it sends clients to for large files, and a bucket of
// Google's storage, over HTTP on this machine. Paths, headers, redirects, tags and checksums are those of the real ones
// as huggingface_hub's and Google's documentation describe them.
package hubtest

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Server is the three hosts. Set its hooks before the first request.
type Server struct {
	Hub, CDN, Bucket *httptest.Server

	// Intercept answers a request in place of the server if it returns true.
	Intercept func(w http.ResponseWriter, r *http.Request) bool
	// Body wraps what writes the content of a file.
	Body func(w http.ResponseWriter, r *http.Request) http.ResponseWriter
	// Token, if set, is what the hub wants for every request.
	Token string

	mu       sync.Mutex
	requests []Request
	repos    map[string]*Repo
	blobs    map[string][]byte // of the CDN, by SHA-256
	objects  map[string][]byte // of the bucket, by path
}

// Request is one that a server got.
type Request struct {
	Host, Method, Path string
	Header             http.Header
}

// Repo is a repository at one commit, which all its revisions mean.
type Repo struct {
	Commit    string
	Revisions []string // branches and tags
	Files     map[string][]byte
	Large     []string // files that the other host has
	Tags      []string
	Downloads int
}

// New starts the servers.
func New() *Server {
	s := &Server{repos: map[string]*Repo{}, blobs: map[string][]byte{}, objects: map[string][]byte{}}
	start := func(serve http.HandlerFunc) *httptest.Server {
		return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.mu.Lock()
			s.requests = append(s.requests, Request{r.Host, r.Method, r.URL.Path, r.Header.Clone()})
			s.mu.Unlock()
			if s.Intercept != nil && s.Intercept(w, r) {
				return
			}
			serve(w, r)
		}))
	}
	s.Hub, s.CDN, s.Bucket = start(s.serveHub), start(s.serveCDN), start(s.serveBucket)
	return s
}

// Close stops the servers.
func (s *Server) Close() {
	for _, h := range []*httptest.Server{s.Hub, s.CDN, s.Bucket} {
		h.CloseClientConnections()
		h.Close()
	}
}

// AddRepo publishes a repository.
func (s *Server) AddRepo(id string, r *Repo) {
	s.repos[id] = r
	for _, name := range r.Large {
		s.blobs[SHA256(r.Files[name])] = r.Files[name]
	}
}

// AddObject publishes a file of the bucket.
func (s *Server) AddObject(path string, content []byte) { s.objects[path] = content }

// BucketURL is the URL of the bucket.
func (s *Server) BucketURL() string { return s.Bucket.URL + "/bit_models" }

// Requests returns what was asked so far, of a host if server is not nil.
func (s *Server) Requests(server *httptest.Server) []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var of []Request
	for _, r := range s.requests {
		if server == nil || "http://"+r.Host == server.URL {
			of = append(of, r)
		}
	}
	return of
}

// SHA256 is the tag of a large file.
func SHA256(content []byte) string {
	d := sha256.Sum256(content)
	return hex.EncodeToString(d[:])
}

// GitSHA1 is the tag of another file.
func GitSHA1(content []byte) string {
	d := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(content)), content...))
	return hex.EncodeToString(d[:])
}

func (s *Server) serveHub(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, code, message string) {
		w.Header().Set("X-Error-Code", code)
		w.Header().Set("X-Error-Message", message)
		http.Error(w, message, status)
	}
	if s.Token != "" && r.Header.Get("Authorization") != "Bearer "+s.Token {
		refuse(http.StatusUnauthorized, "GatedRepo", "Access to this resource is restricted")
		return
	}
	if r.URL.Path == "/api/models" {
		s.serveModels(w, r.URL.Query())
		return
	}
	path, api := strings.CutPrefix(r.URL.EscapedPath(), "/api/models/")
	parts := strings.SplitN(strings.TrimPrefix(path, "/"), "/", 5) // owner, name, verb, revision, file
	if len(parts) < 4 {
		refuse(http.StatusNotFound, "", "Not Found")
		return
	}
	repo := s.repos[parts[0]+"/"+parts[1]]
	if repo == nil {
		refuse(http.StatusUnauthorized, "RepoNotFound", "Invalid username or password.")
		return
	}
	revision, _ := url.PathUnescape(parts[3])
	if revision != repo.Commit && !slices.Contains(repo.Revisions, revision) {
		refuse(http.StatusNotFound, "RevisionNotFound", "Invalid rev id: "+revision)
		return
	}
	switch {
	case api && parts[2] == "revision":
		s.serveInfo(w, parts[0]+"/"+parts[1], repo)
	case api && parts[2] == "tree":
		s.serveTree(w, repo)
	case !api && parts[2] == "resolve" && len(parts) == 5:
		name, _ := url.PathUnescape(parts[4])
		content, ok := repo.Files[name]
		w.Header().Set("X-Repo-Commit", repo.Commit)
		if !ok {
			refuse(http.StatusNotFound, "EntryNotFound", "Entry not found")
			return
		}
		if slices.Contains(repo.Large, name) {
			w.Header().Set("X-Linked-Etag", `"`+SHA256(content)+`"`)
			w.Header().Set("X-Linked-Size", fmt.Sprint(len(content)))
			http.Redirect(w, r, s.CDN.URL+"/"+SHA256(content)+"?Signature=abc", http.StatusFound)
			return
		}
		w.Header().Set("ETag", `"`+GitSHA1(content)+`"`)
		s.serveContent(w, r, content)
	default:
		refuse(http.StatusNotFound, "", "Not Found")
	}
}

// serveModels lists the repositories that have all tags and whose names contain all texts of a query.
func (s *Server) serveModels(w http.ResponseWriter, query url.Values) {
	list := []map[string]any{}
	for id, repo := range s.repos {
		missing := func(tag string) bool { return !slices.Contains(repo.Tags, tag) }
		lacks := func(text string) bool { return !strings.Contains(strings.ToLower(id), strings.ToLower(text)) }
		if slices.ContainsFunc(query["filter"], missing) || slices.ContainsFunc(query["search"], lacks) {
			continue
		}
		var config any
		if query.Get("config") == "true" {
			json.Unmarshal(repo.Files["config.json"], &config)
		}
		list = append(list, map[string]any{"id": id, "modelId": id, "downloads": repo.Downloads, "likes": 1, "tags": repo.Tags, "config": config})
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(list)
}

func (s *Server) serveInfo(w http.ResponseWriter, id string, repo *Repo) {
	type sibling struct {
		Name string `json:"rfilename"`
	}
	info := struct {
		ID       string    `json:"id"`
		SHA      string    `json:"sha"`
		Private  bool      `json:"private"`
		Siblings []sibling `json:"siblings"`
	}{ID: id, SHA: repo.Commit}
	for _, name := range names(repo) {
		info.Siblings = append(info.Siblings, sibling{name})
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(info)
}

func (s *Server) serveTree(w http.ResponseWriter, repo *Repo) {
	var list []map[string]any
	for _, name := range names(repo) {
		content := repo.Files[name]
		entry := map[string]any{"type": "file", "path": name, "size": len(content), "oid": GitSHA1(content)}
		if slices.Contains(repo.Large, name) {
			entry["lfs"] = map[string]any{"oid": SHA256(content), "size": len(content), "pointerSize": 135}
		}
		list = append(list, entry)
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(list)
}

func names(repo *Repo) []string {
	var list []string
	for name := range repo.Files {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

func (s *Server) serveCDN(w http.ResponseWriter, r *http.Request) {
	content, ok := s.blobs[strings.TrimPrefix(r.URL.Path, "/")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	digest := md5.Sum(content) // this host has tags of its own
	w.Header().Set("ETag", fmt.Sprintf(`"%x"`, digest))
	s.serveContent(w, r, content)
}

func (s *Server) serveBucket(w http.ResponseWriter, r *http.Request) {
	content, ok := s.objects[strings.TrimPrefix(r.URL.Path, "/bit_models/")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	digest := md5.Sum(content)
	crc := binary.BigEndian.AppendUint32(nil, crc32.Checksum(content, crc32.MakeTable(crc32.Castagnoli)))
	w.Header().Set("ETag", fmt.Sprintf(`"%x"`, digest))
	w.Header().Add("X-Goog-Hash", "crc32c="+base64.StdEncoding.EncodeToString(crc))
	w.Header().Add("X-Goog-Hash", "md5="+base64.StdEncoding.EncodeToString(digest[:]))
	s.serveContent(w, r, content)
}

// serveContent answers with content, whole or the range that is asked for.
func (s *Server) serveContent(w http.ResponseWriter, r *http.Request, content []byte) {
	w.Header().Set("Content-Type", "application/octet-stream")
	if s.Body != nil {
		w = s.Body(w, r)
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// Cut is a body that breaks the connection after so many bytes.
type Cut struct {
	http.ResponseWriter
	Left int
}

func (c *Cut) Write(p []byte) (int, error) {
	if len(p) <= c.Left {
		c.Left -= len(p)
		return c.ResponseWriter.Write(p)
	}
	c.ResponseWriter.Write(p[:c.Left])
	c.ResponseWriter.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

// Slow is a body that pauses before each piece of a size.
type Slow struct {
	http.ResponseWriter
	Piece int
	Pause time.Duration
}

func (s *Slow) Write(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		time.Sleep(s.Pause)
		m, err := s.ResponseWriter.Write(p[n:min(len(p), n+s.Piece)])
		if n += m; err != nil {
			return n, err
		}
		s.ResponseWriter.(http.Flusher).Flush()
	}
	return n, nil
}
