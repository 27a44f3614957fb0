package imaging

import (
	"encoding/binary"
	"io"
)

// webpFrame is one frame of an animation: where it lies on the canvas, and its picture as a file of its own.
type webpFrame struct {
	x, y, w, h int
	file       []byte
}

// firstWebPFrame finds the first ANMF chunk and wraps its picture as a still WebP file, which is what x/image/webp reads.
// See the WebP Container Specification, "Animation".
func firstWebPFrame(data []byte) (f webpFrame, err error) {
	const frameHeader = 16 // position, size, duration, flags
	for rest := data[12:]; len(rest) >= 8; {
		n := int(binary.LittleEndian.Uint32(rest[4:]))
		if n > len(rest)-8 {
			return f, io.ErrUnexpectedEOF
		}
		payload := rest[8 : 8+n]
		if string(rest[:4]) != "ANMF" {
			rest = rest[8+min(n+n&1, len(rest)-8):]
			continue
		}
		if n < frameHeader+8 {
			return f, io.ErrUnexpectedEOF
		}
		f.x, f.y = 2*uint24(payload[0:]), 2*uint24(payload[3:])
		f.w, f.h = uint24(payload[6:])+1, uint24(payload[9:])+1
		chunks := payload[frameHeader:]
		body := []byte("WEBP")
		if string(chunks[:4]) == "ALPH" {
			const alpha = 1 << 4
			body = append(body, "VP8X\x0a\x00\x00\x00"...)
			body = append(body, alpha, 0, 0, 0)
			body = append(body, payload[6:12]...)
		}
		body = append(body, chunks...)
		f.file = binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body)))
		f.file = append(f.file, body...)
		return f, nil
	}
	return f, io.ErrUnexpectedEOF
}

// uint24 reads three bytes, the lowest first.
func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }
