package hubtest

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Owner is who the token of [Server.SetToken] belongs to: only repositories of this owner can be made and written.
const Owner = "me"

// PullRequest is the first pull request's revision.
const PullRequest = "refs/pr/1"

// SetPartSize makes uploads of more bytes come in parts of that size.
func (s *Server) SetPartSize(n int) { s.locked(func() { s.partSize = n }) }

// Repo returns a model's repository at a revision, nil if there is none.
func (s *Server) Repo(id, revision string) *Repo {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.repos[id]; r != nil {
		return r.at(revision)
	}
	return nil
}

// servePush answers what changes a repository, and reports whether the request is such a one.
func (s *Server) servePush(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodPost {
		return false
	}
	var token string
	s.locked(func() { token = s.token })
	if token == "" || r.Header.Get("Authorization") != "Bearer "+token {
		refuse(w, http.StatusUnauthorized, "", "Invalid username or password.")
		return true
	}
	if r.URL.Path == "/api/repos/create" {
		s.create(w, r)
		return true
	}
	lfs, isLFS := strings.CutPrefix(r.URL.EscapedPath(), "/")
	id, verb, revision := "", "", ""
	if parts := strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/api/models/"), "/"); len(parts) == 4 {
		id, verb = parts[0]+"/"+parts[1], parts[2]
		revision, _ = url.PathUnescape(parts[3])
	} else if before, after, ok := strings.Cut(lfs, ".git/info/lfs/objects/"); isLFS && ok {
		id, verb, revision = before, after, "main"
	}
	owner, _, _ := strings.Cut(id, "/")
	var base *Repo
	var known bool
	s.locked(func() {
		if base = s.repos[id]; base != nil {
			known, base = true, base.at(revision)
		}
	})
	switch {
	case !known:
		refuse(w, http.StatusUnauthorized, "RepoNotFound", "Repository not found")
	case owner != Owner:
		refuse(w, http.StatusForbidden, "", "You have read access but not the required permissions for this operation")
	case verb == "branch":
		s.branch(w, id, revision)
	case base == nil:
		refuse(w, http.StatusNotFound, "RevisionNotFound", "Invalid rev id: "+revision)
	case verb == "preupload":
		preupload(w, r, base)
	case verb == "commit":
		s.commit(w, r, id, revision, base)
	case verb == "batch":
		s.batch(w, r, id)
	case verb == "verify":
		s.verify(w, r)
	case strings.HasPrefix(verb, "complete/"):
		s.complete(w, r, strings.TrimPrefix(verb, "complete/"))
	default:
		refuse(w, http.StatusNotFound, "", "Not Found")
	}
	return true
}

// answer sends a JSON object.
func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

// asked decodes a JSON object, and refuses what is none.
func asked(w http.ResponseWriter, r *http.Request, v any) bool {
	if err := json.NewDecoder(r.Body).Decode(v); err != nil {
		refuse(w, http.StatusBadRequest, "", err.Error())
		return false
	}
	return true
}

func (s *Server) create(w http.ResponseWriter, r *http.Request) {
	var q struct{ Name, Organization, Visibility, Type string }
	if !asked(w, r, &q) {
		return
	}
	id := q.Organization + "/" + q.Name
	if q.Organization != Owner {
		refuse(w, http.StatusForbidden, "", "You don't have the rights to create a "+q.Type+" under the namespace "+strconv.Quote(q.Organization))
		return
	}
	exists := false
	s.locked(func() {
		if exists = s.repos[id] != nil; !exists {
			s.repos[id] = &Repo{
				Commit: strings.Repeat("0", 39) + "1", Revisions: []string{"main"}, Private: q.Visibility == "private",
				Files: map[string][]byte{".gitattributes": []byte("*.safetensors filter=lfs diff=lfs merge=lfs -text\n")},
			}
		}
	})
	if exists {
		refuse(w, http.StatusConflict, "", "You already created this model repo")
		return
	}
	answer(w, map[string]any{"url": s.Hub.URL + "/" + id, "name": id})
}

func (s *Server) branch(w http.ResponseWriter, id, name string) {
	exists := false
	s.locked(func() {
		repo := s.repos[id]
		if exists = repo.at(name) != nil; !exists {
			if repo.branches == nil {
				repo.branches = map[string]*Repo{}
			}
			repo.branches[name] = repo.at("main")
		}
	})
	if exists {
		refuse(w, http.StatusConflict, "", "Reference already exists")
		return
	}
	w.WriteHeader(http.StatusCreated)
}

// isLarge is what .gitattributes of a new repository says, and the hub's own bound.
func isLarge(name string, size int64) bool {
	return slices.Contains([]string{".safetensors", ".bin", ".npz", ".onnx"}, path.Ext(name)) || size > 10<<20
}

func preupload(w http.ResponseWriter, r *http.Request, repo *Repo) {
	var q struct {
		Files []struct {
			Path, Sample string
			Size         int64
		}
	}
	if !asked(w, r, &q) {
		return
	}
	list := []map[string]any{}
	for _, f := range q.Files {
		if _, err := base64.StdEncoding.DecodeString(f.Sample); err != nil || f.Path == "" {
			refuse(w, http.StatusBadRequest, "", "bad file")
			return
		}
		mode := "regular"
		if isLarge(f.Path, f.Size) {
			mode = "lfs"
		}
		entry := map[string]any{"path": f.Path, "uploadMode": mode, "shouldIgnore": strings.HasSuffix(f.Path, ".ignored")}
		if content, ok := repo.Files[f.Path]; ok {
			entry["oid"] = GitSHA1(content)
			if slices.Contains(repo.Large, f.Path) {
				entry["oid"] = SHA256(content)
			}
		}
		list = append(list, entry)
	}
	answer(w, map[string]any{"files": list})
}

// batch is the LFS batch API (github.com/git-lfs/git-lfs docs/api/batch.md) with huggingface_hub's multipart transfer.
func (s *Server) batch(w http.ResponseWriter, r *http.Request, id string) {
	var q struct {
		Operation string
		Transfers []string
		Objects   []struct {
			Oid  string
			Size int64
		}
		HashAlgo string `json:"hash_algo"`
	}
	if !asked(w, r, &q) {
		return
	}
	if q.Operation != "upload" || q.HashAlgo != "sha256" {
		refuse(w, http.StatusUnprocessableEntity, "", "bad batch")
		return
	}
	lfs := s.Hub.URL + "/" + id + ".git/info/lfs/objects/"
	list := []map[string]any{}
	for _, o := range q.Objects {
		entry := map[string]any{"oid": o.Oid, "size": o.Size}
		var here bool
		var size int
		s.locked(func() { _, here = s.blobs[o.Oid]; size = s.partSize })
		switch {
		case here:
		case size > 0 && o.Size > int64(size) && slices.Contains(q.Transfers, "multipart"):
			header := map[string]string{"chunk_size": strconv.Itoa(size)}
			for part := 1; int64(part-1)*int64(size) < o.Size; part++ {
				header[fmt.Sprintf("%05d", part)] = fmt.Sprintf("%s/upload/%s/%d?Signature=abc", s.CDN.URL, o.Oid, part)
			}
			entry["actions"] = map[string]any{
				"upload": map[string]any{"href": lfs + "complete/" + o.Oid, "header": header},
				"verify": map[string]any{"href": lfs + "verify"},
			}
		default:
			entry["actions"] = map[string]any{
				"upload": map[string]any{"href": s.CDN.URL + "/upload/" + o.Oid + "?Signature=abc"},
				"verify": map[string]any{"href": lfs + "verify"},
			}
		}
		list = append(list, entry)
	}
	w.Header().Set("Content-Type", "application/vnd.git-lfs+json")
	json.NewEncoder(w).Encode(map[string]any{"transfer": "basic", "objects": list})
}

// receive takes what is uploaded to the host of large files: all of it, which must have its checksum, or a part.
func (s *Server) receive(w http.ResponseWriter, r *http.Request) {
	content, err := io.ReadAll(r.Body)
	oid, part, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/upload/"), "/")
	switch {
	case r.Header.Get("Authorization") != "":
		http.Error(w, "Only one auth mechanism allowed", http.StatusBadRequest) // as S3 does with a signed URL
	case err != nil || int64(len(content)) != r.ContentLength:
		http.Error(w, "IncompleteBody", http.StatusBadRequest)
	case part != "":
		n, _ := strconv.Atoi(part)
		s.locked(func() {
			if s.uploads[oid] == nil {
				s.uploads[oid] = map[int][]byte{}
			}
			s.uploads[oid][n] = content
		})
		w.Header().Set("ETag", `"part-`+part+`"`)
	case SHA256(content) != oid:
		http.Error(w, "BadDigest", http.StatusBadRequest)
	default:
		s.locked(func() { s.blobs[oid] = content })
	}
}

// complete puts parts together.
func (s *Server) complete(w http.ResponseWriter, r *http.Request, oid string) {
	var q struct {
		Oid   string
		Parts []struct {
			PartNumber int
			ETag       string
		}
	}
	if !asked(w, r, &q) {
		return
	}
	var content []byte
	s.locked(func() {
		for i, p := range q.Parts {
			if p.PartNumber == i+1 && p.ETag == fmt.Sprintf(`"part-%d"`, i+1) {
				content = append(content, s.uploads[oid][i+1]...)
			}
		}
		if SHA256(content) == oid && q.Oid == oid {
			s.blobs[oid] = content
		}
	})
	if SHA256(content) != oid || q.Oid != oid {
		refuse(w, http.StatusBadRequest, "", "the parts are not the file")
	}
}

func (s *Server) verify(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Oid  string
		Size int
	}
	if !asked(w, r, &q) {
		return
	}
	var ok bool
	s.locked(func() { content, here := s.blobs[q.Oid]; ok = here && len(content) == q.Size })
	if !ok {
		refuse(w, http.StatusNotFound, "", "Object not found")
	}
}

// commit reads a list of JSON objects, one a line: a header, then what changes.
func (s *Server) commit(w http.ResponseWriter, r *http.Request, id, revision string, base *Repo) {
	next := &Repo{Files: maps.Clone(base.Files), Large: slices.Clone(base.Large), Tags: base.Tags, Private: base.Private}
	if r.Header.Get("Content-Type") != "application/x-ndjson" {
		refuse(w, http.StatusBadRequest, "", "want x-ndjson")
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	summary := ""
	lines := bufio.NewScanner(bytes.NewReader(body))
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var line struct {
			Key   string
			Value struct {
				Summary, ParentCommit, Path, Content, Encoding, Algo, Oid string
				Size                                                      int
			}
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			refuse(w, http.StatusBadRequest, "", err.Error())
			return
		}
		v := line.Value
		switch line.Key {
		case "header":
			if summary = v.Summary; v.ParentCommit != "" && v.ParentCommit != base.Commit {
				refuse(w, http.StatusPreconditionFailed, "", "A commit has happened since. Please refresh and try again.")
				return
			}
		case "file":
			content, err := base64.StdEncoding.DecodeString(v.Content)
			if err != nil || v.Encoding != "base64" {
				refuse(w, http.StatusBadRequest, "", "bad content")
				return
			}
			next.Files[v.Path] = content
			next.Large = slices.DeleteFunc(next.Large, func(name string) bool { return name == v.Path })
		case "lfsFile":
			var content []byte
			var ok bool
			s.locked(func() { content, ok = s.blobs[v.Oid] })
			if !ok || v.Algo != "sha256" || len(content) != v.Size {
				refuse(w, http.StatusBadRequest, "", "LFS pointer pointed to a file that does not exist")
				return
			}
			next.Files[v.Path] = content
			if !slices.Contains(next.Large, v.Path) {
				next.Large = append(next.Large, v.Path)
			}
		default:
			refuse(w, http.StatusBadRequest, "", "unknown key "+line.Key)
			return
		}
	}
	if summary == "" {
		refuse(w, http.StatusBadRequest, "", "no summary")
		return
	}
	next.Commit = GitSHA1(append([]byte(base.Commit), body...))
	reply := map[string]any{"success": true, "commitOid": next.Commit, "commitUrl": s.Hub.URL + "/" + id + "/commit/" + next.Commit}
	if r.URL.Query().Get("create_pr") == "1" {
		revision = PullRequest
		reply["pullRequestUrl"] = s.Hub.URL + "/" + id + "/discussions/1"
	}
	s.locked(func() {
		repo := s.repos[id]
		if repo.branches == nil {
			repo.branches = map[string]*Repo{}
		}
		repo.branches[revision] = next
	})
	answer(w, reply)
}
