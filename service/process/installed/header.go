package installed

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// Tags of a header (rpmtag.h), and what is asked of their values.
const (
	tagName           = 1000
	tagFileModes      = 1030
	tagFileDigests    = 1035
	tagFileFlags      = 1037
	tagOldFileNames   = 1027
	tagDirIndexes     = 1116
	tagBaseNames      = 1117
	tagDirNames       = 1118
	tagFileDigestAlgo = 5011

	fileGhost = 1 << 6 // the package owns the name, and installs nothing there

	maxTags = 1 << 16
	maxData = 256 << 20
)

var errHeader = errors.New("a package's header is broken")

// header is one package's: an index of tags, then their values. It points into what it
// was parsed from.
type header struct {
	tags map[uint32]tag
	data []byte
}

type tag struct{ offset, count uint32 }

// parseHeader reads the form in which the database has it: two counts, the index, the
// values, all in network order.
func parseHeader(b []byte) (header, error) {
	if len(b) < 8 {
		return header{}, errHeader
	}
	n, size := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	if n > maxTags || size > maxData || len(b) < 8+16*int(n)+int(size) {
		return header{}, errHeader
	}
	h := header{tags: make(map[uint32]tag, 8), data: b[8+16*n : 8+16*n+size]}
	for i := range n {
		e := b[8+16*i:]
		switch t := binary.BigEndian.Uint32(e); t {
		case tagName, tagFileModes, tagFileDigests, tagFileFlags, tagOldFileNames, tagDirIndexes, tagBaseNames, tagDirNames, tagFileDigestAlgo:
			h.tags[t] = tag{binary.BigEndian.Uint32(e[8:]), binary.BigEndian.Uint32(e[12:])}
		}
	}
	return h, nil
}

// value is what begins where a tag's does.
func (h *header) value(t uint32) ([]byte, uint32) {
	e, ok := h.tags[t]
	if !ok || int64(e.offset) > int64(len(h.data)) {
		return nil, 0
	}
	return h.data[e.offset:], e.count
}

func (h *header) text(t uint32) string {
	b, n := h.value(t)
	if n == 0 {
		return ""
	}
	s, _, _ := bytes.Cut(b, []byte{0})
	return string(s)
}

// word is number i of an array of 32 bits, 0 where there is none.
func (h *header) word(t uint32, i int) uint32 {
	b, n := h.value(t)
	if i >= int(n) || len(b) < 4*i+4 {
		return 0
	}
	return binary.BigEndian.Uint32(b[4*i:])
}

// half is word of an array of 16 bits.
func (h *header) half(t uint32, i int) uint16 {
	b, n := h.value(t)
	if i >= int(n) || len(b) < 2*i+2 {
		return 0
	}
	return binary.BigEndian.Uint16(b[2*i:])
}

// texts goes through an array of texts.
type texts struct {
	b    []byte
	left uint32
}

func (h *header) texts(t uint32) texts {
	b, n := h.value(t)
	return texts{b, n}
}

func (t *texts) next() ([]byte, bool) {
	if t.left == 0 {
		return nil, false
	}
	t.left--
	s, rest, ok := bytes.Cut(t.b, []byte{0})
	t.b = rest
	return s, ok
}

type headerFile struct {
	path   []byte
	digest string
	mode   uint16
	flags  uint32
}

// files calls f with each file until it returns false; the path is valid during the call.
func (h *header) files(f func(*headerFile) bool) {
	var folders [][]byte
	for d := h.texts(tagDirNames); ; {
		s, ok := d.next()
		if !ok {
			break
		}
		folders = append(folders, s)
	}
	names, digests := h.texts(tagBaseNames), h.texts(tagFileDigests)
	whole := names.left == 0
	if whole {
		names = h.texts(tagOldFileNames)
	}
	var file headerFile
	for i := 0; ; i++ {
		name, ok := names.next()
		if !ok {
			return
		}
		sum, _ := digests.next()
		file.path = file.path[:0]
		if !whole {
			folder := int(h.word(tagDirIndexes, i))
			if folder >= len(folders) {
				return
			}
			file.path = append(file.path, folders[folder]...)
		}
		file.path = append(file.path, name...)
		file.digest, file.mode, file.flags = string(sum), h.half(tagFileModes, i), h.word(tagFileFlags, i)
		if !f(&file) {
			return
		}
	}
}

// algorithm is that of the file's sums (RFC 4880, 9.4); MD5 where none is named.
func (h *header) algorithm() Algorithm {
	switch h.word(tagFileDigestAlgo, 0) {
	case 0, 1:
		return MD5
	case 2:
		return SHA1
	case 8:
		return SHA256
	case 9:
		return SHA384
	case 10:
		return SHA512
	}
	return ""
}
