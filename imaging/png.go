package imaging

import (
	"encoding/binary"
	"fmt"
)

// checkPNGChunks tells whether all chunks are there up to the last: image/png reports a file that is cut short as a
// damaged one.
func checkPNGChunks(data []byte) error {
	for i := len("\x89PNG\r\n\x1a\n"); ; {
		const frame = 12 // length, type and checksum round the content
		if i+frame > len(data) {
			return fmt.Errorf("%w: after %d bytes", ErrTruncated, len(data))
		}
		n := int64(binary.BigEndian.Uint32(data[i:])) + frame
		kind := string(data[i+4 : i+8])
		if n > int64(len(data)-i) {
			return fmt.Errorf("%w: %d of %d bytes of a %q chunk", ErrTruncated, len(data)-i, n, kind)
		}
		if kind == "IEND" {
			return nil
		}
		i += int(n)
	}
}
