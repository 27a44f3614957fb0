package hub

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
)

// source is a file to download and what is known of it before.
type source struct {
	name string // for a person
	url  string
	etag string // for If-Range: the server's own strong tag of this very file; may be empty
	size int64  // -1 if unknown
	sums []sum
}

// sum is a checksum that a file must have.
type sum struct {
	name   string
	new    func() hash.Hash
	want   []byte
	prefix string // hashed before the file
}

// download is a source on its way to a partial file.
type download struct {
	source
	c      *Client
	f      *os.File
	n      int64       // bytes in f
	hashes []hash.Hash // of those, one for each of sums
}

// fetch makes a partial file, which need not exist, a complete and checked one. The caller holds the lock of the file.
// Bytes of an earlier attempt are kept; if the whole then fails its check, it is fetched anew once.
func (c *Client) fetch(ctx context.Context, s source, partial string) (err error) {
	f, err := os.OpenFile(partial, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	d := &download{source: s, c: c, f: f}
	if err := d.adopt(); err != nil {
		return err
	}
	adopted := d.n > 0
	for {
		err := d.run(ctx)
		if err == nil {
			err = d.check()
		}
		if !errors.Is(err, ErrCorrupt) {
			if err == nil {
				err = f.Sync()
			}
			return err
		}
		if err := d.reset(); err != nil { // nothing of it is worth keeping
			return err
		}
		if !adopted {
			return err
		}
		adopted = false
	}
}

// adopt takes what an earlier attempt has left.
func (d *download) adopt() error {
	st, err := d.f.Stat()
	if err != nil {
		return err
	}
	if d.size >= 0 && st.Size() > d.size {
		return d.reset()
	}
	d.start()
	d.n, err = io.Copy(d.hashing(), d.f)
	return err
}

func (d *download) start() {
	d.n, d.hashes = 0, nil
	for _, s := range d.sums {
		h := s.new()
		io.WriteString(h, s.prefix)
		d.hashes = append(d.hashes, h)
	}
}

func (d *download) hashing() io.Writer {
	ws := make([]io.Writer, len(d.hashes))
	for i, h := range d.hashes {
		ws[i] = h
	}
	return io.MultiWriter(ws...)
}

// reset empties the file.
func (d *download) reset() error {
	d.start()
	if err := d.f.Truncate(0); err != nil {
		return err
	}
	_, err := d.f.Seek(0, io.SeekStart)
	return err
}

// run fetches what is missing.
func (d *download) run(ctx context.Context) error {
	if d.size >= 0 && d.n == d.size {
		return nil
	}
	return d.c.retry(ctx, func() (bool, error) {
		before := d.n
		err := d.once(ctx)
		return d.n > before, err
	})
}

// once sends one request for the rest of the file.
func (d *download) once(ctx context.Context) error {
	ctx, watchdog := d.c.watch(ctx)
	defer watchdog.stop()

	if d.n > 0 && d.etag == "" && len(d.sums) == 0 { // nothing would tell that the rest is of another version
		if err := d.reset(); err != nil {
			return err
		}
	}
	header := http.Header{}
	if d.n > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", d.n))
		if d.etag != "" {
			header.Set("If-Range", d.etag)
		}
	}
	resp, err := d.c.do(ctx, http.MethodGet, d.url, header, true)
	if err != nil {
		return watchdog.reason(err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK: // the whole, whatever was asked for
		if d.n > 0 {
			if err := d.reset(); err != nil {
				return err
			}
		}
	case http.StatusPartialContent:
		var from, to, total int64
		if n, _ := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-%d/%d", &from, &to, &total); n != 3 || from != d.n || d.size >= 0 && total != d.size {
			return fmt.Errorf("%w: range %q, want from byte %d of %d", ErrCorrupt, resp.Header.Get("Content-Range"), d.n, d.size)
		}
	case http.StatusRequestedRangeNotSatisfiable:
		return fmt.Errorf("%w: %s from byte %d", ErrCorrupt, resp.Status, d.n)
	default:
		return statusError(resp)
	}
	if d.size >= 0 && resp.ContentLength >= 0 && d.n+resp.ContentLength != d.size {
		return fmt.Errorf("%w: %d bytes, want %d", ErrCorrupt, d.n+resp.ContentLength, d.size)
	}
	total := d.size
	if total < 0 && resp.ContentLength >= 0 {
		total = d.n + resp.ContentLength
	}
	w := io.MultiWriter(d.f, d.hashing())
	buf := make([]byte, 256<<10)
	for {
		n, err := resp.Body.Read(buf)
		if n > 0 {
			watchdog.fed()
			if d.size >= 0 && d.n+int64(n) > d.size {
				return fmt.Errorf("%w: more than %d bytes", ErrCorrupt, d.size)
			}
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
			d.n += int64(n)
			if d.c.Progress != nil {
				d.c.Progress(Progress{File: d.name, Done: d.n, Total: total})
			}
		}
		if err == io.EOF {
			if total >= 0 && d.n < total {
				return &transientError{error: fmt.Errorf("%w: the connection was cut after %d of %d bytes", ErrUnreachable, d.n, total)}
			}
			return nil
		}
		if err != nil {
			return watchdog.reason(&transientError{error: fmt.Errorf("%w: the connection was cut after %d of %d bytes (%w)", ErrUnreachable, d.n, total, err)})
		}
	}
}

// check compares the whole with what was announced.
func (d *download) check() error {
	if d.size >= 0 && d.n != d.size {
		return fmt.Errorf("%w: %d bytes, want %d", ErrCorrupt, d.n, d.size)
	}
	for i, s := range d.sums {
		if got := d.hashes[i].Sum(nil); !bytes.Equal(got, s.want) {
			return fmt.Errorf("%w: %s is %s, want %s", ErrCorrupt, s.name, hex.EncodeToString(got), hex.EncodeToString(s.want))
		}
	}
	return nil
}

// exists reports whether there is a file at a path, behind links.
func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
