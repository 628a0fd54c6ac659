package names

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

const (
	maxChain   = 16  // aliases that are followed
	maxRecords = 128 // answers that are looked at; a UDP answer of usual size has room for fewer
	maxNames   = 16 << 10
)

// The header (RFC 1035, 4.1.1).
const (
	headerLen = 12
	atQD      = 4
	atAN      = 6

	isReply     = 0x80
	isTruncated = 0x02
	opcodeMask  = 0x78
	rcodeMask   = 0x0f

	classIN = 1
	noError = 0
)

// Types of records.
const (
	typeA     = 1
	typeCNAME = 5
	typeAAAA  = 28
	typeDNAME = 39
	typeSVCB  = 64
	typeHTTPS = 65
)

// Parameters of HTTPS records (RFC 9460, 14.3.2).
const (
	paramIPv4Hint = 4
	paramIPv6Hint = 6
)

// resource is one of the answers. What isn't of its type is zero.
type resource struct {
	owner string
	kind  uint16
	ttl   uint32
	addr  netip.Addr // of A and AAAA
	// target is where an alias goes: of CNAME and DNAME, and of HTTPS and SVCB, where ""
	// stands for the owner itself.
	target string
	alias  bool // of HTTPS and SVCB: nothing but an alias
	hints  []netip.Addr
}

// message reads the header, the question and, for a reply, the answers. The other
// sections are left alone: nothing in them counts.
func message(payload []byte, reply bool) (q Query, rcode uint8, truncated bool, answers []resource, err error) {
	bad := func(err error) (Query, uint8, bool, []resource, error) { return Query{}, 0, false, nil, err }
	if len(payload) < headerLen {
		return bad(fmt.Errorf("%w: %d bytes", ErrMalformed, len(payload)))
	}
	w := walker{msg: payload, left: maxNames}
	if n := w.number(atQD); n != 1 {
		return bad(fmt.Errorf("%w: %d questions", ErrMalformed, n))
	}
	q.ID = w.number(0)
	var at int
	if q.Question, at, err = w.name(headerLen); err != nil {
		return bad(err)
	}
	if at+4 > len(payload) {
		return bad(fmt.Errorf("%w: the question is cut off", ErrMalformed))
	}
	q.Type = w.number(at)
	class := w.number(at + 2)
	at += 4
	if reply {
		for range min(int(w.number(atAN)), maxRecords) {
			var r resource
			var in bool
			if r, at, in, err = w.record(at); err != nil {
				return bad(err)
			}
			if in {
				answers = append(answers, r)
			}
		}
	}
	switch {
	case payload[2]&isReply != 0 != reply:
		return bad(fmt.Errorf("%w: query where a reply was expected, or the other way round", ErrNotDNS))
	case payload[2]&opcodeMask != 0:
		return bad(fmt.Errorf("%w: no lookup", ErrNotDNS))
	case class != classIN:
		return bad(fmt.Errorf("%w: class %d", ErrNotDNS, class))
	}
	return q, payload[3] & rcodeMask, payload[2]&isTruncated != 0, answers, nil
}

// walker reads a message. It holds a hostile one, whose names point to one long name again
// and again, to the work that an honest one makes.
type walker struct {
	msg  []byte
	left int // bytes of names that may still be unpacked
}

func (w *walker) number(at int) uint16 { return binary.BigEndian.Uint16(w.msg[at:]) }

// record reads the record at an offset, says where it ends, and whether it is of the
// internet and of a type that counts.
func (w *walker) record(at int) (r resource, end int, counts bool, err error) {
	cut := fmt.Errorf("%w: a record is cut off", ErrMalformed)
	if r.owner, at, err = w.name(at); err != nil {
		return resource{}, 0, false, err
	}
	begin := at + 10
	if begin > len(w.msg) {
		return resource{}, 0, false, cut
	}
	r.kind, r.ttl = w.number(at), binary.BigEndian.Uint32(w.msg[at+4:])
	end = begin + int(w.number(at+8))
	if end > len(w.msg) {
		return resource{}, 0, false, cut
	}
	body := w.msg[begin:end]
	counts = w.number(at+2) == classIN
	switch r.kind {
	case typeA, typeAAAA:
		if r.kind == typeA && len(body) != 4 || r.kind == typeAAAA && len(body) != 16 {
			return resource{}, 0, false, fmt.Errorf("%w: an address of %d bytes", ErrMalformed, len(body))
		}
		a, _ := netip.AddrFromSlice(body)
		r.addr = a.Unmap()
	case typeCNAME, typeDNAME:
		var after int
		if r.target, after, err = w.name(begin); err == nil && after != end {
			err = fmt.Errorf("%w: an alias of another length", ErrMalformed)
		}
	case typeHTTPS, typeSVCB:
		counts = w.service(&r, begin, end) && counts
	default:
		counts = false
	}
	return r, end, counts, err
}

// service reads an HTTPS or SVCB record (RFC 9460, 2.2). One that is broken is to be
// refused by itself, so it does not count.
func (w *walker) service(r *resource, at, end int) bool {
	if at+2 > end {
		return false
	}
	r.alias = w.number(at) == 0
	var err error
	if r.target, at, err = w.name(at + 2); err != nil || at > end {
		return false
	}
	last := -1
	for at < end {
		if at+4 > end {
			return false
		}
		key, size := int(w.number(at)), int(w.number(at+2))
		at += 4
		if key <= last || at+size > end {
			return false
		}
		last = key
		width := map[int]int{paramIPv4Hint: 4, paramIPv6Hint: 16}[key]
		if width > 0 {
			if size == 0 || size%width != 0 || len(r.hints)+size/width > maxRecords {
				return false
			}
			for b := range slices.Chunk(w.msg[at:at+size], width) {
				a, _ := netip.AddrFromSlice(b)
				r.hints = append(r.hints, a.Unmap())
			}
		}
		at += size
	}
	if r.alias { // nothing else counts in one (RFC 9460, 2.4.2)
		r.hints = nil
	}
	return true
}

// name reads the name at an offset, in lower case and without its last dot, and says where
// it ends. A pointer may only go back, so that there is no circle; a name has 255 bytes at
// most; and no label holds a dot, or two different names would be written alike.
func (w *walker) name(at int) (name string, end int, err error) {
	var b []byte
	size, floor := 1, at
	for {
		if at >= len(w.msg) {
			return "", 0, fmt.Errorf("%w: a name is cut off", ErrMalformed)
		}
		n := int(w.msg[at])
		switch {
		case n == 0:
			w.left -= size
			if w.left < 0 {
				return "", 0, fmt.Errorf("%w: too many names", ErrMalformed)
			}
			if end == 0 {
				end = at + 1
			}
			return strings.ToLower(string(b)), end, nil
		case n&0xc0 == 0xc0:
			if at+2 > len(w.msg) {
				return "", 0, fmt.Errorf("%w: a name is cut off", ErrMalformed)
			}
			to := int(w.number(at) & 0x3fff)
			if to >= floor || to < headerLen {
				return "", 0, fmt.Errorf("%w: a pointer that does not go back", ErrMalformed)
			}
			if end == 0 {
				end = at + 2
			}
			at, floor = to, to
		case n > 63:
			return "", 0, fmt.Errorf("%w: a label of type %#x", ErrMalformed, n&0xc0)
		default:
			size += n + 1
			if size > 255 || at+1+n > len(w.msg) {
				return "", 0, fmt.Errorf("%w: a name is too long", ErrMalformed)
			}
			label := w.msg[at+1 : at+1+n]
			if slices.Contains(label, '.') {
				return "", 0, fmt.Errorf("%w: a label with a dot", ErrMalformed)
			}
			if len(b) > 0 {
				b = append(b, '.')
			}
			b = append(b, label...)
			at += n + 1
		}
	}
}
