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
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Server is the three hosts.
type Server struct {
	Hub, CDN, Bucket *httptest.Server

	mu        sync.Mutex // guards what follows
	intercept Intercept
	body      Body
	token     string
	requests  []Request
	repos     map[string]*Repo          // by id, of data sets with "datasets/" before it
	blobs     map[string][]byte         // of the CDN, by SHA-256
	objects   map[string][]byte         // of the bucket, by path
	uploads   map[string]map[int][]byte // of parts, by SHA-256
	partSize  int                       // above which an upload is in parts; 0: never
	pageSize  int                       // of lists of files; 0: no pages
}

// Intercept answers a request in place of the server if it returns true.
type Intercept func(w http.ResponseWriter, r *http.Request) bool

// Body wraps what writes the content of a file.
type Body func(w http.ResponseWriter, r *http.Request) http.ResponseWriter

// SetIntercept makes f, which may be nil, see all requests from now on.
func (s *Server) SetIntercept(f Intercept) { s.locked(func() { s.intercept = f }) }

// SetBody makes f, which may be nil, wrap all contents from now on.
func (s *Server) SetBody(f Body) { s.locked(func() { s.body = f }) }

// SetToken makes the hub want a token for every request.
func (s *Server) SetToken(token string) { s.locked(func() { s.token = token }) }

// SetPageSize makes lists of files come in pages.
func (s *Server) SetPageSize(n int) { s.locked(func() { s.pageSize = n }) }

func (s *Server) locked(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// Request is one that a server got.
type Request struct {
	Host, Method, Path string
	Header             http.Header
}

// Repo is a repository at one commit, which all its revisions mean. It must not be changed once it is published.
type Repo struct {
	Commit    string
	Revisions []string // branches and tags
	Files     map[string][]byte
	Large     []string // files that the other host has
	Tags      []string
	Downloads int
	Private   bool
	branches  map[string]*Repo // what has been pushed since
}

// at returns the repository at a revision, nil if it has no such one.
func (r *Repo) at(revision string) *Repo {
	if b := r.branches[revision]; b != nil {
		return b
	}
	for _, b := range r.branches {
		if b.Commit == revision {
			return b
		}
	}
	if revision == r.Commit || slices.Contains(r.Revisions, revision) {
		return r
	}
	return nil
}

// SetBranch makes a revision mean a commit of its own, whose files are all small. It is for before r is published.
func (r *Repo) SetBranch(revision string, at *Repo) {
	if r.branches == nil {
		r.branches = map[string]*Repo{}
	}
	r.branches[revision] = at
}

// New starts the servers.
func New() *Server {
	s := &Server{repos: map[string]*Repo{}, blobs: map[string][]byte{}, objects: map[string][]byte{}, uploads: map[string]map[int][]byte{}}
	start := func(serve http.HandlerFunc) *httptest.Server {
		return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var intercept Intercept
			s.locked(func() {
				s.requests = append(s.requests, Request{r.Host, r.Method, r.URL.Path, r.Header.Clone()})
				intercept = s.intercept
			})
			if intercept != nil && intercept(w, r) {
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
	s.locked(func() {
		s.repos[id] = r
		for _, name := range r.Large {
			s.blobs[SHA256(r.Files[name])] = r.Files[name]
		}
	})
}

// AddDataset publishes a repository of data.
func (s *Server) AddDataset(id string, r *Repo) { s.AddRepo("datasets/"+id, r) }

// AddObject publishes a file of the bucket.
func (s *Server) AddObject(path string, content []byte) {
	s.locked(func() { s.objects[path] = content })
}

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

// refuse answers as the hub does what it does not do.
func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("X-Error-Code", code)
	w.Header().Set("X-Error-Message", message)
	http.Error(w, message, status)
}

func (s *Server) serveHub(w http.ResponseWriter, r *http.Request) {
	var token string
	s.locked(func() { token = s.token })
	if token != "" && r.Header.Get("Authorization") != "Bearer "+token {
		refuse(w, http.StatusUnauthorized, "GatedRepo", "Access to this resource is restricted")
		return
	}
	if r.URL.Path == "/api/models" {
		s.serveModels(w, r.URL.Query())
		return
	}
	if s.servePush(w, r) {
		return
	}
	path, api := strings.CutPrefix(r.URL.EscapedPath(), "/api/models/")
	kind := ""
	if !api {
		path, api = strings.CutPrefix(r.URL.EscapedPath(), "/api/datasets/")
		if api {
			kind = "datasets/"
		} else if rest, ok := strings.CutPrefix(path, "/datasets/"); ok {
			kind, path = "datasets/", rest
		}
	}
	parts := strings.SplitN(strings.TrimPrefix(path, "/"), "/", 5) // owner, name, verb, revision, file
	if len(parts) < 4 {
		refuse(w, http.StatusNotFound, "", "Not Found")
		return
	}
	id := parts[0] + "/" + parts[1]
	revision, _ := url.PathUnescape(parts[3])
	name := ""
	if len(parts) == 5 {
		name, _ = url.PathUnescape(parts[4])
	}
	var found bool
	var repo *Repo
	s.locked(func() {
		if repo = s.repos[kind+id]; repo != nil {
			found, repo = true, repo.at(revision)
		}
	})
	switch {
	case !found:
		refuse(w, http.StatusUnauthorized, "RepoNotFound", "Invalid username or password.")
	case repo == nil:
		refuse(w, http.StatusNotFound, "RevisionNotFound", "Invalid rev id: "+revision)
	case api && parts[2] == "revision":
		s.serveInfo(w, id, repo)
	case api && parts[2] == "tree":
		s.serveTree(w, r, repo, name)
	case !api && parts[2] == "resolve" && len(parts) == 5:
		content, ok := repo.Files[name]
		w.Header().Set("X-Repo-Commit", repo.Commit)
		if !ok {
			refuse(w, http.StatusNotFound, "EntryNotFound", "Entry not found")
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
		refuse(w, http.StatusNotFound, "", "Not Found")
	}
}

// serveModels lists the repositories that have all tags and whose names contain all texts of a query.
func (s *Server) serveModels(w http.ResponseWriter, query url.Values) {
	list := []map[string]any{}
	s.mu.Lock()
	repos := maps.Clone(s.repos)
	s.mu.Unlock()
	for id, repo := range repos {
		if strings.HasPrefix(id, "datasets/") {
			continue
		}
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

// serveTree lists the files below a folder, in pages if there are many.
func (s *Server) serveTree(w http.ResponseWriter, r *http.Request, repo *Repo, folder string) {
	list := []map[string]any{}
	for _, name := range names(repo) {
		if folder != "" && !strings.HasPrefix(name, folder+"/") {
			continue
		}
		content := repo.Files[name]
		entry := map[string]any{"type": "file", "path": name, "size": len(content), "oid": GitSHA1(content)}
		if slices.Contains(repo.Large, name) {
			entry["lfs"] = map[string]any{"oid": SHA256(content), "size": len(content), "pointerSize": 135}
		}
		list = append(list, entry)
	}
	if folder != "" && len(list) == 0 {
		refuse(w, http.StatusNotFound, "EntryNotFound", folder+" does not exist")
		return
	}
	var size int
	s.locked(func() { size = s.pageSize })
	if from, _ := strconv.Atoi(r.URL.Query().Get("cursor")); size > 0 {
		list = list[min(from, len(list)):]
		if len(list) > size {
			list = list[:size]
			query := r.URL.Query()
			query.Set("cursor", strconv.Itoa(from+size))
			w.Header().Set("Link", "<"+s.Hub.URL+r.URL.EscapedPath()+"?"+query.Encode()+`>; rel="next"`)
		}
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
	if r.Method == http.MethodPut {
		s.receive(w, r)
		return
	}
	s.mu.Lock()
	content, ok := s.blobs[strings.TrimPrefix(r.URL.Path, "/")]
	s.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	digest := md5.Sum(content) // this host has tags of its own
	w.Header().Set("ETag", fmt.Sprintf(`"%x"`, digest))
	s.serveContent(w, r, content)
}

func (s *Server) serveBucket(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	content, ok := s.objects[strings.TrimPrefix(r.URL.Path, "/bit_models/")]
	s.mu.Unlock()
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
	var body Body
	s.locked(func() { body = s.body })
	if body != nil {
		w = body(w, r)
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
