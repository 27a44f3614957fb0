package teach

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bigtransfer/bit/api"
	"github.com/bigtransfer/bit/internal/openapitest"
	"github.com/bigtransfer/bit/project"
)

// The document has every route of a server on which people teach, and the server every operation of the document.
func TestDocument(t *testing.T) {
	s := open(t, t.TempDir(), project.Limits{})
	have := openapitest.Operations(openapitest.Read(t, must[json.RawMessage](t)(s.server.Document())))
	var want []string
	for _, r := range s.server.Routes() {
		want = append(want, r.Method+" "+strings.TrimSuffix(r.Pattern, "{$}"))
	}
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("the document has\n%s\nthe server\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
}

// request sends what a client would not.
func (s *school) request(t *testing.T, method, path, kind string, body []byte) (int, string) {
	t.Helper()
	req := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), method, s.url+path, bytes.NewReader(body)))
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	resp := must[*http.Response](t)(http.DefaultClient.Do(req))
	defer resp.Body.Close()
	return resp.StatusCode, string(must[[]byte](t)(io.ReadAll(resp.Body)))
}

// square is a PNG file of one colour.
func square(grey uint8, side int) []byte {
	img := image.NewGray(image.Rect(0, 0, side, side))
	for i := range img.Pix {
		img.Pix[i] = grey
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// bomb is a PNG file of less than 100 bytes that claims a gigapixel in a sound header.
func bomb() []byte {
	b := square(0, 1)
	binary.BigEndian.PutUint32(b[16:], 1<<15)
	binary.BigEndian.PutUint32(b[20:], 1<<15)
	binary.BigEndian.PutUint32(b[29:], crc32.ChecksumIEEE(b[12:29]))
	return b
}

// What is wrong with a request is said in its answer, and nothing else happens.
func TestRefusals(t *testing.T) {
	s := open(t, t.TempDir(), project.Limits{Projects: 20, Classes: 4, Pictures: 3, PictureBytes: 4000})
	ctx := t.Context()
	p := must[api.Project](t)(s.CreateProject(ctx, api.ProjectSettings{Name: "../../etc/passwd"}))
	if strings.ContainsAny(p.ID, "./") || p.Name != "../../etc/passwd" {
		t.Errorf("%+v, want the name as text and an id of its own", p)
	}
	c := must[api.ProjectClass](t)(s.AddClass(ctx, p.ID, `..\..\x`))
	up := fmt.Sprintf("/v1/projects/%s/classes/%d/pictures?name=..%%2F..%%2Fevil.png", p.ID, c.ID)
	if code, text := s.request(t, "POST", up, "image/png", square(1, 8)); code != 200 || !strings.Contains(text, `"name":"evil.png"`) {
		t.Errorf("a picture whose name climbs: %d %s", code, text)
	}
	const asJSON = "application/json"
	for _, r := range []struct {
		method, path, kind, body string
		status                   int
		says                     string
	}{
		{"POST", up, "image/png", "this is no picture", 415, "expected JPEG, PNG"},
		{"POST", up, "image/png", "", 400, "empty"},
		{"POST", up, "image/png", string(square(2, 60)[:70]), 422, "cut short"},
		{"POST", up, "image/png", string(bomb()), 413, "32768 x 32768"},
		{"POST", up, "image/png", string(append(square(4, 8), make([]byte, 4000)...)), 413, "4000 bytes"},
		{"POST", "/v1/projects/" + p.ID + "/classes/99/pictures", "image/png", string(square(3, 8)), 404, "class 99"},
		{"POST", "/v1/projects/" + p.ID + "/classes/x/pictures", "image/png", string(square(3, 8)), 404, ""},
		{"POST", "/v1/projects/" + p.ID + "/classes/-1/pictures", "image/png", string(square(3, 8)), 404, ""},
		{"GET", "/v1/projects/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "", "", 404, ""},
		{"GET", "/v1/projects/..%2fprojects.db", "", "", 404, ""},
		{"DELETE", "/v1/projects/%2e", "", "", 404, ""},
		{"GET", "/v1/projects/" + p.ID + "/pictures/..%2f1", "", "", 404, ""},
		{"GET", "/v1/projects/" + p.ID + "/pictures/7/thumbnail", "", "", 404, "picture 7"},
		{"GET", "/v1/projects/" + p.ID + "/models/x/zip", "", "", 422, "probe"},
		{"GET", "/v1/projects/" + p.ID + "/models/finetune/zip", "", "", 404, "train it first"},
		{"POST", "/v1/projects/" + p.ID + "/models/probe/keep", asJSON, `{"name":"../x"}`, 422, "cannot be called"},
		{"POST", "/v1/projects/" + p.ID + "/models/probe/keep", asJSON, `{"name":"base"}`, 409, "choose another name"},
		{"DELETE", "/v1/kept/..%2fx", "", "", 404, ""},
		{"DELETE", "/v1/kept/base", "", "", 404, ""},
		{"POST", "/v1/projects", asJSON, `{"name":""}`, 422, "empty"},
		{"POST", "/v1/projects", asJSON, `{"name":"a\u0000b"}`, 422, "control"},
		{"POST", "/v1/projects", asJSON, `{"name":"../../ETC/passwd"}`, 409, "exists"},
		{"POST", "/v1/projects", asJSON, `{"name":"x","base":"nobody"}`, 422, "nobody"},
		{"POST", "/v1/projects", asJSON, `{"nam":"x"}`, 400, "nam"},
		{"POST", "/v1/projects", asJSON, `{"name":"x"}{}`, 400, ""},
		{"POST", "/v1/projects", asJSON, ``, 400, "empty"},
		{"POST", "/v1/projects", asJSON, `{"name":"` + strings.Repeat("x", 2<<20) + `"}`, 413, ""},
		{"POST", "/v1/projects/" + p.ID + "/probe", "", "", 422, "two classes"},
		{"POST", "/v1/projects/" + p.ID + "/trainings", asJSON, `{}`, 422, "two classes"},
		{"GET", "/v1/projects/" + p.ID + "/trainings/1/events", "", "", 404, ""},
		{"DELETE", "/v1/projects/" + p.ID + "/pictures", "", "", 400, "picture="},
		{"DELETE", "/v1/projects/" + p.ID + "/pictures?picture=1&picture=99", "", "", 404, "picture 99"},
		{"PATCH", "/v1/projects/" + p.ID + "/pictures", asJSON, `{"pictures":[1],"class":99}`, 404, "class 99"},
	} {
		code, text := s.request(t, r.method, r.path, r.kind, []byte(r.body))
		if code != r.status || !strings.Contains(text, r.says) || !strings.Contains(text, `{"error":"`) {
			t.Errorf("%s %s %.40q: %d %.300s, want %d and %q", r.method, r.path, r.body, code, text, r.status, r.says)
		}
	}
	if got := must[api.Project](t)(s.Project(ctx, p.ID)); got.Pictures != 1 || got.Classes[0].Pictures != 1 {
		t.Errorf("%+v, want the one picture that was taken", got)
	}

	// Of a form, what cannot be taken does not keep the rest out.
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for name, content := range map[string][]byte{"a.png": square(10, 8), "b.txt": []byte("no"), "c.png": square(1, 8), "d.png": bomb()} {
		w := must[io.Writer](t)(form.CreateFormFile("file", name))
		w.Write(content)
	}
	form.Close()
	code, text := s.request(t, "POST", up, form.FormDataContentType(), body.Bytes())
	for _, want := range []string{`"added":[{"id":2`, `"known":[{"id":1`, `"b.txt"`, `"d.png"`} {
		if code != 200 || !strings.Contains(text, want) {
			t.Errorf("a form: %d %s, want %s", code, text, want)
		}
	}
	must[api.Upload](t)(s.AddPicture(ctx, p.ID, c.ID, "x", square(20, 8)))
	if _, err := s.AddPicture(ctx, p.ID, c.ID, "x", square(30, 8)); status(err) != http.StatusRequestEntityTooLarge || !strings.Contains(err.Error(), "3 pictures") {
		t.Errorf("a picture above the limit: %v", err)
	}
}

// Settings of a training that make no sense are refused before it begins.
func TestTrainingSettings(t *testing.T) {
	s := open(t, t.TempDir(), project.Limits{})
	p, _ := s.teach(t, "Settings", 2)
	for _, settings := range []api.TrainingSettings{{Steps: -1}, {Steps: 1 << 30}, {Batch: -1}, {Batch: 1 << 20}, {Crop: 1 << 14}, {LearningRate: -1}, {LearningRate: 1e9}} {
		if _, err := s.StartTraining(t.Context(), p.ID, settings); status(err) != http.StatusUnprocessableEntity {
			t.Errorf("%+v: %v", settings, err)
		}
	}
	if m := must[api.Project](t)(s.Project(t.Context(), p.ID)); m.Training != nil {
		t.Errorf("%+v has begun", m.Training)
	}
}

// Many people change, train and ask one project at once; somebody deletes it under their hands.
func TestAtOnce(t *testing.T) {
	s := open(t, t.TempDir(), project.Limits{})
	p, ids := s.teach(t, "Everybody's", 5)
	ctx := t.Context()
	files := cifar(t, "test", "frog")
	names := sorted(files)
	var people sync.WaitGroup
	for n := range 6 {
		people.Go(func() {
			for i := range 4 {
				file := files[names[(n+i)%8]]
				u, err := s.AddPicture(ctx, p.ID, ids[n%3], names[i], file)
				errs := []error{err}
				if err == nil && len(u.Added) == 1 {
					errs = append(errs, s.MovePictures(ctx, p.ID, api.MovePictures{Pictures: []uint64{u.Added[0].ID}, Class: ids[(n+1)%3]}))
					if i%2 == 0 {
						errs = append(errs, s.RemovePictures(ctx, p.ID, u.Added[0].ID))
					}
				}
				_, err = s.FitProbe(ctx, p.ID)
				errs = append(errs, err)
				_, err = s.AskProject(ctx, p.ID, "probe", file)
				errs = append(errs, err)
				for _, err := range errs {
					if err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	people.Wait()
	got := must[api.Project](t)(s.Project(ctx, p.ID))
	m := must[api.TaughtModel](t)(s.FitProbe(ctx, p.ID))
	if m.Pictures != got.Pictures || m.Revision != got.Revision {
		t.Errorf("a head of %d pictures, revision %d; the project has %d, revision %d", m.Pictures, m.Revision, got.Pictures, got.Revision)
	}
	for range 4 {
		people.Go(func() {
			for range 5 {
				_, err := s.FitProbe(ctx, p.ID)
				if _, known := errors.AsType[*api.Error](err); err != nil && (!known || status(err) != http.StatusNotFound) {
					t.Errorf("while the project is deleted: %v", err)
				}
			}
		})
	}
	if err := s.DeleteProject(ctx, p.ID); err != nil {
		t.Error(err)
	}
	people.Wait()
	if list := must[api.Projects](t)(s.Projects(ctx)); len(list.Projects) != 0 {
		t.Errorf("%+v, want no project", list)
	}
}
