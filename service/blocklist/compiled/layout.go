package compiled

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// MaxLists is how many lists one file may hold.
const MaxLists = 1 << 12

const (
	magic   = "SEKILIST"
	version = 1
)

// ErrDamaged is wrapped by errors of files that can't be used; they are to be made
// again from the lists.
var ErrDamaged = errors.New("compiled lists are damaged")

// section is a part of the file, in bytes from its beginning.
type section struct{ Offset, Size uint64 }

// table is where a text table's parts are. Shift is how far a hash is shifted to
// give the number of its bucket.
type table struct {
	Records, Directory, Filter section
	Count                      uint64
	Shift                      uint64
}

// header begins the file; its encoding is of fixed size. Sum is over the header with
// Sum zero, then over all that follows it.
type header struct {
	Magic    [8]byte
	Version  uint32
	Lists    uint32
	Seed     uint64
	Source   [sha256.Size]byte
	ListIDs  section
	Names    table
	Pages    table
	Networks [2]section // IPv4, IPv6
	Samples  [2]section
	Sum      [sha256.Size]byte
}

var headerSize = binary.Size(header{})

func (h *header) encode() []byte {
	b, err := binary.Append(nil, binary.LittleEndian, h)
	if err != nil {
		panic(err) // of fixed size
	}
	return b
}

// sum gives the checksum for a header and the digest of the rest.
func (h *header) sum(rest []byte) [sha256.Size]byte {
	z := *h
	z.Sum = [sha256.Size]byte{}
	return sha256.Sum256(append(z.encode(), rest...))
}

func decodeHeader(b []byte) (*header, error) {
	h := new(header)
	if len(b) < headerSize {
		return nil, fmt.Errorf("%w: cut short", ErrDamaged)
	}
	if _, err := binary.Decode(b[:headerSize], binary.LittleEndian, h); err != nil {
		return nil, err
	}
	if !bytes.Equal(h.Magic[:], []byte(magic)) {
		return nil, fmt.Errorf("%w: another kind of file", ErrDamaged)
	}
	if h.Version != version {
		return nil, fmt.Errorf("%w: made by another version", ErrDamaged)
	}
	return h, nil
}

// marks of a record: which list, and how it matches.
const (
	markExact     = 1 << 12
	markBelow     = 1 << 13
	markException = 1 << 14
	markOverrides = 1 << 15
	markList      = MaxLists - 1
)

// key hashes texts from their end, so that one pass over a name gives the hashes of
// all domains above it.
type key uint64

func (k key) add(c byte) key { return (k ^ key(c)) * 0x9e3779b97f4a7c15 }

// end gives the hash of what was added.
func (k key) end() uint64 {
	h := uint64(k)
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	h ^= h >> 32
	return h
}

func hashOf(seed uint64, text []byte) uint64 {
	k := key(seed)
	for i := len(text) - 1; i >= 0; i-- {
		k = k.add(text[i])
	}
	return k.end()
}
