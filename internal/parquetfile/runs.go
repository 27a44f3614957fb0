package parquetfile

import (
	"encoding/binary"
	"fmt"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// checkRuns refuses a page of dictionary indexes whose runs have more values than the page: a run of a few bytes can claim
// 2^31 of them, for which parquet-go (v0.32, encoding/rle) makes room as soon as it reads the claim. Such pages are small;
// those of plain values, pictures among them, are not looked at.
func (f *File) checkRuns(c *chunkPages, i int) error {
	at := c.list[i].offset
	header, n, err := f.pageHeader(at, c.end)
	if err != nil {
		return err
	}
	values, _, _ := pageValues(header)
	var encoding format.Encoding
	levels := int64(0) // bytes before what is compressed
	compressed := true
	v2 := header.Type == format.DataPageV2
	if v2 {
		h := header.DataPageHeaderV2.V
		encoding, levels = h.Encoding, int64(h.RepetitionLevelsByteLength)+int64(h.DefinitionLevelsByteLength)
		compressed = !h.IsCompressed.Valid || h.IsCompressed.V
	} else {
		encoding = header.DataPageHeader.V.Encoding
	}
	if encoding != format.RLEDictionary && encoding != format.PlainDictionary {
		return nil
	}
	if levels < 0 || levels > int64(header.CompressedPageSize) {
		return fmt.Errorf("%w: levels of %d bytes in a page of %d", ErrCorrupt, levels, header.CompressedPageSize)
	}
	body := make([]byte, int64(header.CompressedPageSize)-levels)
	if _, err := f.r.ReadAt(body, at+n+levels); err != nil {
		return err
	}
	if c.codec != format.Uncompressed && compressed && len(body) > 0 {
		if body, err = parquet.LookupCompressionCodec(c.codec).Decode(nil, body); err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
	}
	if !v2 {
		for _, level := range []int{c.maxRepetition, c.maxDefinition} {
			if level == 0 {
				continue
			}
			if len(body) < 4 || uint64(binary.LittleEndian.Uint32(body)) > uint64(len(body)-4) {
				return fmt.Errorf("%w: levels longer than their page", ErrCorrupt)
			}
			body = body[4+binary.LittleEndian.Uint32(body):]
		}
	}
	if len(body) == 0 {
		return nil
	}
	return checkHybrid(body[1:], int64(body[0]), values)
}

// checkHybrid walks runs of values of so many bits (Parquet's RLE and bit-packing hybrid).
func checkHybrid(b []byte, width, values int64) error {
	for total := int64(0); len(b) > 0; {
		head, n := binary.Uvarint(b)
		if n <= 0 {
			return fmt.Errorf("%w: a run's header is cut", ErrCorrupt)
		}
		b = b[n:]
		count, size := int64(head>>1), (width+7)/8
		if head&1 != 0 {
			if count > int64(len(b)) && width > 0 || count > values {
				return fmt.Errorf("%w: %d packed groups in %d bytes", ErrCorrupt, count, len(b))
			}
			count, size = 8*count, count*width
		}
		// The last group is filled up to eight. A sum of what runs claim could overflow.
		if count > values+7-total {
			return fmt.Errorf("%w: runs of %d values after %d in a page of %d", ErrCorrupt, count, total, values)
		}
		total += count
		b = b[min(size, int64(len(b))):] // whether a cut run is an error is for its decoder to say
	}
	return nil
}
