package project

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// Limits bound what a store takes. 0 in a field means its default.
type Limits struct {
	Projects     int   // 1,000
	Classes      int   // of a project: 500
	Pictures     int   // of a project: 20,000
	Bytes        int64 // of the picture files of a project: 4 GiB
	PictureBytes int64 // of one picture's file: 32 MiB
	Pixels       int   // of one picture: 50 million
}

func (l Limits) filled() Limits {
	set := func(v *int, to int) {
		if *v == 0 {
			*v = to
		}
	}
	set(&l.Projects, 1000)
	set(&l.Classes, 500)
	set(&l.Pictures, 20_000)
	set(&l.Pixels, 50_000_000)
	if l.Bytes == 0 {
		l.Bytes = 4 << 30
	}
	if l.PictureBytes == 0 {
		l.PictureBytes = 32 << 20
	}
	return l
}

// Store is a folder of projects. Any number of goroutines may use it at once, of one process.
type Store struct {
	dir    string
	limits Limits
	db     *bolt.DB
	files  [64]sync.Mutex // by first byte of a file's hash: its place on disk, and the records that speak of it
}

// Open opens the store in a folder, or makes one there. What a process that was killed left behind is put in order:
// files that no record speaks of are removed, and jobs that were running are [Paused]. A folder that another process has
// open is [ErrInUse].
func Open(dir string, limits Limits) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder of projects: %w", err)
	}
	path := filepath.Join(dir, "projects.db")
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("folder of projects %s: %w", dir, ErrInUse)
	}
	if err != nil {
		return nil, fmt.Errorf("projects in %s: %w", path, err)
	}
	s := &Store{dir: dir, limits: limits.filled(), db: db}
	if err := s.recover(); err != nil {
		db.Close()
		return nil, fmt.Errorf("projects in %s: %w", path, err)
	}
	return s, nil
}

// Close ends the use of the store.
func (s *Store) Close() error { return s.db.Close() }

// Limits returns the limits in force.
func (s *Store) Limits() Limits { return s.limits }

// Buckets: one for each project, named by its identifier, that holds the buckets below and the record itself.
var (
	rootBucket    = []byte("projects 1") // the format
	recordKey     = []byte("record")
	classBucket   = []byte("classes")  // id -> Class
	pictureBucket = []byte("pictures") // id -> Picture
	pixelBucket   = []byte("pixels")   // Picture.Pixels, id -> class
	fileBucket    = []byte("files")    // Picture.File -> number of records that speak of it
	modelBucket   = []byte("models")   // kind -> Model
	jobBucket     = []byte("jobs")     // id -> Job
	itemBucket    = []byte("items")    // id of a job -> []Item, until the job has ended
	curveBucket   = []byte("curves")   // id of a job, step -> Point
	parts         = [][]byte{classBucket, pictureBucket, pixelBucket, fileBucket, modelBucket, jobBucket, itemBucket, curveBucket}
)

// tx is a transaction on one project.
type tx struct {
	*bolt.Bucket // of the project
	project      Project
}

// view reads a project.
func (s *Store) view(id string, f func(t *tx) error) error {
	return s.db.View(func(b *bolt.Tx) error { return inside(b, id, f) })
}

// update changes a project; all of it or, on an error, nothing.
func (s *Store) update(id string, f func(t *tx) error) error {
	return s.db.Update(func(b *bolt.Tx) error {
		return inside(b, id, func(t *tx) error {
			before := t.project
			if err := f(t); err != nil {
				return err
			}
			if t.project == before {
				return nil
			}
			t.project.Changed = now()
			return put(t.Bucket, recordKey, t.project)
		})
	})
}

func inside(b *bolt.Tx, id string, f func(t *tx) error) error {
	bucket := b.Bucket(rootBucket).Bucket([]byte(id))
	if id == "" || bucket == nil {
		return fmt.Errorf("project %q: %w", id, ErrNotFound)
	}
	t := &tx{Bucket: bucket}
	var err error
	if t.project, err = get[Project](bucket, recordKey); err != nil {
		return err
	}
	return f(t)
}

func (t *tx) in(name []byte) *bolt.Bucket { return t.Bucket.Bucket(name) }

// now is the time in the precision and zone that records keep.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// key makes numbers a key that sorts as they do.
func key(numbers ...uint64) []byte {
	var k []byte
	for _, n := range numbers {
		k = binary.BigEndian.AppendUint64(k, n)
	}
	return k
}

func put(b *bolt.Bucket, k []byte, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return b.Put(k, text)
}

// get reads a record; one that is not there is [ErrNotFound].
func get[T any](b *bolt.Bucket, k []byte) (v T, err error) {
	text := b.Get(k)
	if text == nil {
		return v, ErrNotFound
	}
	return v, json.Unmarshal(text, &v)
}

// all reads the records of a bucket in the order of their keys.
func all[T any](b *bolt.Bucket) (list []T, err error) {
	err = b.ForEach(func(_, text []byte) error {
		var v T
		if err := json.Unmarshal(text, &v); err != nil {
			return err
		}
		list = append(list, v)
		return nil
	})
	return list, err
}

// FeatureDir is a folder in that of the store for features of pictures, which can be computed again.
func (s *Store) FeatureDir() string { return filepath.Join(s.dir, "features") }
