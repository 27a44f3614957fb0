package parquetfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// A Snappy block that claims more than its page is refused before there is room for it.
func TestSnappyClaims(t *testing.T) {
	type row struct{ Image []byte }
	for _, version := range []int{1, 2} {
		var whole bytes.Buffer
		picture := bytes.Repeat([]byte("picture "), 100)
		if err := parquet.Write(&whole, []row{{picture}}, parquet.Compression(&parquet.Snappy), parquet.DataPageVersion(version)); err != nil {
			t.Fatal(err)
		}
		content := whole.Bytes()
		open := func() (*File, Leaf) {
			t.Helper()
			f, err := Open(bytes.NewReader(content), int64(len(content)), new(Cache))
			if err != nil {
				t.Fatal(err)
			}
			return f, f.Leaves()[0]
		}
		f, leaf := open()
		if b, err := f.Bytes(leaf, 0); err != nil || !bytes.Equal(b, picture) {
			t.Fatalf("%q, %v", b, err)
		}
		c, err := f.chunk(0, leaf)
		if err != nil || len(c.list) != 1 {
			t.Fatalf("%d pages, %v", len(c.list), err)
		}
		h, n, err := f.pageHeader(c.list[0].offset, c.end)
		if err != nil {
			t.Fatal(err)
		}
		block := content[c.list[0].offset+n:]
		size, width := binary.Uvarint(block)
		if h.DataPageHeaderV2.Valid != (version == 2) || width != 2 || size != uint64(h.UncompressedPageSize) {
			t.Fatalf("page of type %v and %d bytes, a block of %d", h.Type, h.UncompressedPageSize, size)
		}
		binary.PutUvarint(block, size+1)
		f, leaf = open()
		if _, err := f.Bytes(leaf, 0); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "claims to become") {
			t.Errorf("error %v, want one of the claim", err)
		}
	}
}
