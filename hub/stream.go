package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
)

const (
	// streamBlock is what one request asks for. Parquet's footers, dictionaries and pages are smaller, its column chunks
	// larger.
	streamBlock = 4 << 20
	// streamBlocks are kept, so that a few readers of one file that go forward side by side do not ask twice.
	streamBlocks = 8
)

// Stream is a file of a data set that is read without being kept: a block at a time, as it is asked for. Its methods may be
// called from any number of goroutines.
type Stream struct {
	size   int64
	file   *os.File // what is cached, or nil
	repo   repository
	source source
	ctx    context.Context

	mu     sync.Mutex
	blocks []*streamedBlock // the one that was used last comes last
}

type streamedBlock struct {
	number int64
	once   sync.Once
	data   []byte
	err    error
}

// Open opens a file of the data set for reading parts of it. What is cached is read from there. ctx is for the reading
// too. Every read is checked for its place and length, and the commit's file cannot change; there is no checksum of parts.
func (d *Dataset) Open(ctx context.Context, name string) (*Stream, error) {
	if err := d.has(name); err != nil {
		return nil, err
	}
	f, err := os.Open(filepath.Join(d.repo.snapshot(d.Commit), filepath.FromSlash(name)))
	if err == nil {
		st, err := f.Stat()
		if err != nil {
			f.Close()
			return nil, err
		}
		return &Stream{size: st.Size(), file: f}, nil
	}
	if d.repo.c.Offline {
		return nil, d.fail(ctx, name, ErrOffline)
	}
	s, _, err := d.repo.ask(ctx, d.Commit, name)
	if err != nil {
		return nil, d.fail(ctx, name, err)
	}
	return &Stream{size: s.size, repo: d.repo, source: s, ctx: ctx}, nil
}

// Size returns the size of the file in bytes.
func (s *Stream) Size() int64 { return s.size }

// Close frees what reading has kept.
func (s *Stream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blocks = nil
	if s.file != nil {
		return s.file.Close()
	}
	return nil
}

// ReadAt implements [io.ReaderAt].
func (s *Stream) ReadAt(p []byte, off int64) (n int, err error) {
	if s.file != nil {
		return s.file.ReadAt(p, off)
	}
	if off < 0 {
		return 0, fmt.Errorf("%s: read at %d", s.source.name, off)
	}
	for n < len(p) {
		if off >= s.size {
			return n, io.EOF
		}
		data, err := s.block(off / streamBlock)
		if err != nil {
			return n, fmt.Errorf("%s: %w", s.source.name, err)
		}
		k := copy(p[n:], data[off%streamBlock:])
		n, off = n+k, off+int64(k)
	}
	return n, nil
}

// block returns a block of the file, which is fetched once, however many wait for it.
func (s *Stream) block(number int64) ([]byte, error) {
	s.mu.Lock()
	var b *streamedBlock
	for i, kept := range s.blocks {
		if kept.number == number {
			b = kept
			s.blocks = append(s.blocks[:i], s.blocks[i+1:]...)
			break
		}
	}
	if b == nil {
		b = &streamedBlock{number: number}
		if len(s.blocks) == streamBlocks {
			s.blocks = s.blocks[1:]
		}
	}
	s.blocks = append(s.blocks, b)
	s.mu.Unlock()
	b.once.Do(func() { b.data, b.err = s.fetch(number * streamBlock) })
	if b.err != nil { // the next reader tries again
		s.mu.Lock()
		for i, kept := range s.blocks {
			if kept == b {
				s.blocks = append(s.blocks[:i], s.blocks[i+1:]...)
				break
			}
		}
		s.mu.Unlock()
	}
	return b.data, b.err
}

// fetch asks for the block that begins at a byte.
func (s *Stream) fetch(from int64) ([]byte, error) {
	data := make([]byte, min(streamBlock, s.size-from))
	done := 0
	err := s.repo.c.retry(s.ctx, func() (bool, error) {
		before := done
		n, err := s.once(data[done:], from+int64(done))
		done += n
		return done > before, err
	})
	return data, err
}

// once sends one request and fills p with what is at a byte of the file, as far as it comes.
func (s *Stream) once(p []byte, from int64) (int, error) {
	ctx, watchdog := s.repo.c.watch(s.ctx)
	defer watchdog.stop()
	last := from + int64(len(p)) - 1
	header := http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", from, last)}}
	resp, err := s.repo.c.do(ctx, http.MethodGet, s.source.url, header, true)
	if err != nil {
		return 0, watchdog.reason(err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusPartialContent:
		if got, want := resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-%d/%d", from, last, s.size); got != want {
			return 0, fmt.Errorf("%w: range %q, want %q", ErrCorrupt, got, want)
		}
	case http.StatusOK: // a server without ranges sends all of it
		if resp.ContentLength >= 0 && resp.ContentLength != s.size {
			return 0, fmt.Errorf("%w: %d bytes, want %d", ErrCorrupt, resp.ContentLength, s.size)
		}
		if _, err := io.CopyN(io.Discard, resp.Body, from); err != nil {
			return 0, watchdog.reason(s.cut(err))
		}
	default:
		return 0, statusError(resp)
	}
	for n := 0; ; {
		k, err := resp.Body.Read(p[n:])
		watchdog.fed()
		if n += k; n == len(p) {
			return n, nil
		}
		if err != nil {
			return n, watchdog.reason(s.cut(err))
		}
	}
}

// cut describes a body that ended too early.
func (s *Stream) cut(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return &transientError{error: fmt.Errorf("%w: the connection was cut (%w)", ErrUnreachable, err)}
}
