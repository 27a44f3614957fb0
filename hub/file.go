package hub

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// assetPath returns where the file of a URL is kept: among huggingface_hub's assets, under this program's name, then
// host and path. A file of a mirror of Google's bucket has the place of Google's own.
func (c *Client) assetPath(address string) (string, error) {
	if rest, ok := strings.CutPrefix(address, c.Bucket+"/"); ok {
		address = DefaultBucket + "/" + rest
	}
	if err := checkURL(address); err != nil {
		return "", fmt.Errorf("%s: %w", address, err)
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	name := u.Path
	if u.RawQuery != "" { // two queries are two files
		digest := sha256.Sum256([]byte(u.RawQuery))
		name += "@" + hex.EncodeToString(digest[:8])
	}
	host := strings.NewReplacer(":", "--", "[", "", "]", "").Replace(u.Host) // as far as Windows allows
	return filepath.Join(c.Assets, "bit", host, filepath.FromSlash(name)), nil
}

// pullFile downloads the file of a URL, unless it is here and has the size and checksums that its server tells.
func (c *Client) pullFile(ctx context.Context, ref Ref, address string) (string, error) {
	fail := func(err error) (string, error) {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", c.fail(ref, address, err)
	}
	path, err := c.assetPath(address)
	if err != nil {
		return fail(err)
	}
	header, size, err := c.head(ctx, address, true)
	if err != nil {
		return fail(err)
	}
	s := source{name: filepath.Base(path), url: address, size: size}
	if s.sums, err = googleSums(header); err != nil {
		return fail(err)
	}
	if tag := header.Get("ETag"); strings.HasPrefix(tag, `"`) { // a weak one does not promise the same bytes
		s.etag = tag
	}
	release, err := lock(ctx, path+".lock")
	if err != nil {
		return fail(err)
	}
	defer release()
	if ok, err := s.matches(path); err != nil || ok {
		return path, err
	}
	// What is there of another version is never continued: the partial file has the version's tag in its name. Without
	// one there is no telling.
	partial := path + ".incomplete"
	if s.etag != "" {
		digest := sha256.Sum256([]byte(s.etag))
		partial = path + "." + hex.EncodeToString(digest[:8]) + ".incomplete"
	} else if err := os.RemoveAll(partial); err != nil {
		return fail(err)
	}
	if err := c.fetch(ctx, s, partial); err != nil {
		return fail(err)
	}
	if err := os.Rename(partial, path); err != nil {
		return fail(err)
	}
	return path, nil
}

// matches reports whether the file at path has the source's size and checksums. Of a source that has neither nothing
// does.
func (s source) matches(path string) (bool, error) {
	if s.size < 0 && len(s.sums) == 0 {
		return false, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return false, nil
	}
	defer f.Close()
	d := download{source: s, f: f}
	d.start()
	if d.n, err = io.Copy(d.hashing(), f); err != nil {
		return false, err
	}
	return d.check() == nil, nil
}

// googleSums reads the checksums that Google's storage sends: base64 in lists of x-goog-hash
// (cloud.google.com/storage/docs/xml-api/reference-headers#xgooghash).
func googleSums(h http.Header) ([]sum, error) {
	var sums []sum
	for item := range strings.SplitSeq(strings.Join(h.Values("X-Goog-Hash"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(item), "=")
		s := sum{}
		switch name {
		case "crc32c":
			s = sum{name: "CRC-32C", new: func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }}
		case "md5":
			s = sum{name: "MD5", new: md5.New}
		default:
			continue
		}
		var err error
		if s.want, err = base64.StdEncoding.DecodeString(value); err != nil {
			return nil, fmt.Errorf("%w: %s is %.50q", ErrCorrupt, s.name, value)
		}
		sums = append(sums, s)
	}
	return sums, nil
}
