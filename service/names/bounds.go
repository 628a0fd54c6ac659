package names

import (
	"encoding/binary"
	"fmt"
	"slices"
)

const (
	maxChain   = 16  // aliases that are followed
	maxRecords = 128 // answers that are looked at; a UDP answer of usual size has room for fewer
	maxNames   = 16 << 10
)

// Offsets in the header (RFC 1035, 4.1.1).
const (
	headerLen = 12
	atQD      = 4
	atAN      = 6
	atNS      = 8
)

const (
	typeA     = 1
	typeCNAME = 5
	typeAAAA  = 28
	// typePrivate is given to records that nobody wants, so that they are not decoded.
	typePrivate = 0xff00
)

// trim copies the part of a message that counts: the header, one question and, of a
// reply, the answers. It holds the copy to what the decoder can take without blowing
// up: the decoder follows compression pointers forward and in circles, and unpacks
// names to any length, so that one packet can ask for hundreds of megabytes.
func trim(payload []byte, reply bool) ([]byte, error) {
	if len(payload) < headerLen {
		return nil, fmt.Errorf("%w: %d bytes", ErrMalformed, len(payload))
	}
	if n := binary.BigEndian.Uint16(payload[atQD:]); n != 1 {
		return nil, fmt.Errorf("%w: %d questions", ErrMalformed, n)
	}
	w := bounded{msg: payload, left: maxNames}
	at, err := w.name(headerLen)
	if err != nil {
		return nil, err
	}
	end, answers := at+4, 0
	if end > len(payload) {
		return nil, fmt.Errorf("%w: the question is cut off", ErrMalformed)
	}
	var unwanted []int // offsets of the types of records to skip
	if reply {
		answers = min(int(binary.BigEndian.Uint16(payload[atAN:])), maxRecords)
	}
	for range answers {
		var wanted bool
		var kind int
		if end, kind, wanted, err = w.record(end); err != nil {
			return nil, err
		}
		if !wanted {
			unwanted = append(unwanted, kind)
		}
	}
	own := slices.Clone(payload[:end])
	for _, kind := range unwanted {
		binary.BigEndian.PutUint16(own[kind:], typePrivate)
	}
	binary.BigEndian.PutUint16(own[atAN:], uint16(answers))
	binary.BigEndian.PutUint32(own[atNS:], 0) // and the additional section's
	return own, nil
}

// bounded walks over a message.
type bounded struct {
	msg  []byte
	left int // bytes of names that may still be unpacked
}

// record checks the record at an offset and says where it ends and where its type
// stands, and whether it is an address or an alias.
func (w *bounded) record(at int) (end, kind int, wanted bool, err error) {
	kind, err = w.name(at)
	if err != nil {
		return 0, 0, false, err
	}
	begin := kind + 10
	if begin > len(w.msg) {
		return 0, 0, false, fmt.Errorf("%w: a record is cut off", ErrMalformed)
	}
	end = begin + int(binary.BigEndian.Uint16(w.msg[kind+8:]))
	if end > len(w.msg) {
		return 0, 0, false, fmt.Errorf("%w: a record is cut off", ErrMalformed)
	}
	switch binary.BigEndian.Uint16(w.msg[kind:]) {
	case typeA, typeAAAA:
		return end, kind, true, nil
	case typeCNAME:
		after, err := w.name(begin)
		if err == nil && after != end {
			err = fmt.Errorf("%w: an alias of another length", ErrMalformed)
		}
		return end, kind, true, err
	}
	return end, kind, false, nil
}

// name checks the name at an offset and says where it ends. A pointer may only go
// back, so that there is no circle; a name has 255 bytes at most; and no label holds a
// dot, or two different names would be written alike.
func (w *bounded) name(at int) (end int, err error) {
	size, floor := 1, at
	for {
		if at >= len(w.msg) {
			return 0, fmt.Errorf("%w: a name is cut off", ErrMalformed)
		}
		n := int(w.msg[at])
		switch {
		case n == 0:
			w.left -= size
			if w.left < 0 {
				return 0, fmt.Errorf("%w: too many names", ErrMalformed)
			}
			if end == 0 {
				end = at + 1
			}
			return end, nil
		case n&0xc0 == 0xc0:
			if at+2 > len(w.msg) {
				return 0, fmt.Errorf("%w: a name is cut off", ErrMalformed)
			}
			to := int(binary.BigEndian.Uint16(w.msg[at:]) & 0x3fff)
			if to >= floor || to < headerLen {
				return 0, fmt.Errorf("%w: a pointer that does not go back", ErrMalformed)
			}
			if end == 0 {
				end = at + 2
			}
			at, floor = to, to
		case n > 63:
			return 0, fmt.Errorf("%w: a label of type %#x", ErrMalformed, n&0xc0)
		default:
			size += n + 1
			if size > 255 || at+1+n > len(w.msg) {
				return 0, fmt.Errorf("%w: a name is too long", ErrMalformed)
			}
			if slices.Contains(w.msg[at+1:at+1+n], '.') {
				return 0, fmt.Errorf("%w: a label with a dot", ErrMalformed)
			}
			at += n + 1
		}
	}
}
