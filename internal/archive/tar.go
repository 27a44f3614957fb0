package archive

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// block is what everything in a tar file is a multiple of.
const block = 512

// IsTar reports whether a file that starts with head, at least 512 bytes of it, is a tar file: whether the checksum of
// the first header is right.
func IsTar(head []byte) bool {
	if len(head) < block {
		return false
	}
	sum := int64(8 * ' ') // of the header with blanks in place of the checksum, at 148 to 155
	for i, b := range head[:block] {
		if i < 148 || i >= 156 {
			sum += int64(b)
		}
	}
	var want int64
	digits := 0
	for _, b := range head[148:156] {
		if b >= '0' && b <= '7' {
			want = want*8 + int64(b-'0')
			digits++
		} else if digits > 0 || b != ' ' {
			break
		}
	}
	return digits > 0 && sum == want
}

// TarMembers lists the files in a tar file in their order, with their places. Links to files in it are files with
// another name.
func TarMembers(r io.ReaderAt, size int64) ([]Member, []Left, error) {
	var members []Member
	var left []Left
	var links []link
	at := map[string]int{} // of hard links' targets: indices of members; made when first needed
	indexed := 0
	end := int64(0) // of the last file
	archive := bounded{r, size}
	in := &seeker{r: archive, size: size}
	for t := tar.NewReader(in); ; {
		start := in.at
		h, err := t.Next()
		if err == io.EOF {
			// Package tar also takes a file that just ends for whole.
			if end = (end + block - 1) / block * block; size-end < block {
				return nil, nil, fmt.Errorf("tar file of %d bytes: it is cut short: the empty block at its end is missing", size)
			}
			break
		}
		if err != nil {
			return nil, nil, fmt.Errorf("tar file, after byte %d of %d: %w", start, size, tarError(err))
		}
		end = in.at
		name, reason := clean(h.Name)
		switch {
		case h.Typeflag == tar.TypeDir, h.Typeflag == tar.TypeXGlobalHeader:
			continue
		case sparse(h):
			reason = "a sparse file, expected one that is stored whole"
		case h.Typeflag == tar.TypeReg, h.Typeflag == tar.TypeCont:
			if h.Size > size-in.at {
				return nil, nil, fmt.Errorf("tar file: %s of %d bytes starts at byte %d of %d: it is cut short", h.Name, h.Size, in.at, size)
			}
			end += h.Size
			if reason == "" {
				members = append(members, Member{Name: name, Size: h.Size, file: span{archive, in.at}})
			}
		case h.Typeflag == tar.TypeLink:
			for ; indexed < len(members); indexed++ {
				at[members[indexed].Name] = indexed
			}
			target, _ := clean(h.Linkname)
			if i, ok := at[target]; !ok {
				reason = "a link to a file that is not in the archive before it"
			} else if reason == "" {
				m := members[i]
				m.Name = name
				members = append(members, m)
			}
		case h.Typeflag == tar.TypeSymlink:
			if reason == "" {
				links = append(links, link{name, path.Join(path.Dir(name), h.Linkname)})
			}
		default:
			reason = "neither a file nor a folder"
		}
		if reason != "" {
			left = append(left, Left{h.Name, reason})
		}
	}
	return follow(members, left, links)
}

// link is a symbolic link.
type link struct{ name, target string }

// follow appends what symbolic links to files lead to; links to links are not followed.
func follow(members []Member, left []Left, links []link) ([]Member, []Left, error) {
	if len(links) == 0 {
		return members, left, nil
	}
	at := make(map[string]int, len(members))
	for i, m := range members {
		at[m.Name] = i
	}
	for _, l := range links {
		i, ok := at[l.target]
		if !ok {
			left = append(left, Left{l.name, "link leads nowhere"})
			continue
		}
		m := members[i]
		m.Name = l.name
		members = append(members, m)
	}
	return members, left, nil
}

// sparse reports whether a file's holes are left out of the archive, so that its bytes do not lie in one piece.
func sparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// tarError says in words what package tar means by its errors.
func tarError(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it is cut short")
	case errors.Is(err, tar.ErrHeader):
		return errors.New("it is damaged: expected the header of a file")
	}
	return err
}

// seeker reads an archive from front to back with jumps. Headers are small and, in archives of small files, near one
// another: what is read is kept.
type seeker struct {
	r        io.ReaderAt
	size, at int64
	buf      [16 << 10]byte
	from, to int64 // what of the archive is in buf
}

func (s *seeker) Read(p []byte) (int, error) {
	if s.at >= s.size {
		return 0, io.EOF
	}
	if s.at < s.from || s.at >= s.to {
		n, err := s.r.ReadAt(s.buf[:], s.at)
		if n == 0 {
			return 0, err
		}
		s.from, s.to = s.at, s.at+int64(n)
	}
	n := copy(p, s.buf[s.at-s.from:s.to-s.from])
	s.at += int64(n)
	return n, nil
}

func (s *seeker) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += s.at
	case io.SeekEnd:
		offset += s.size
	}
	if offset < 0 {
		return 0, errors.New("archive: seek before the start")
	}
	s.at = offset
	return offset, nil
}
