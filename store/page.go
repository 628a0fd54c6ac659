package store

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
)

// The layout of bbolt's pages (go.etcd.io/bbolt/internal/common), which are in the
// byte order of the machine.
const (
	pageHeader  = 16 // id u64, flags u16, count u16, overflow u32
	pageElement = 16 // of a leaf and of a branch
	metaLength  = 64
	bucketValue = 16 // root page u64, sequence u64

	branchPage   = 0x01
	leafPage     = 0x02
	metaPage     = 0x04
	freelistPage = 0x10
	bucketEntry  = 0x01

	boltMagic   = 0xED0CDAED
	boltVersion = 2

	maxDepth = 64
)

var native = binary.NativeEndian

// boltMeta is the root of a bbolt file.
type boltMeta struct {
	pageSize uint64
	root     uint64 // page of the bucket of buckets
	freelist uint64
	high     uint64 // first page that was never used
	txid     uint64
}

func parseMeta(page []byte) (boltMeta, bool) {
	if len(page) < pageHeader+metaLength {
		return boltMeta{}, false
	}
	b := page[pageHeader:]
	sum := fnv.New64a()
	sum.Write(b[:56])
	if native.Uint32(b) != boltMagic || native.Uint32(b[4:]) != boltVersion ||
		native.Uint64(b[56:]) != sum.Sum64() {
		return boltMeta{}, false
	}
	return boltMeta{
		pageSize: uint64(native.Uint32(b[8:])),
		root:     native.Uint64(b[16:]),
		freelist: native.Uint64(b[32:]),
		high:     native.Uint64(b[40:]),
		txid:     native.Uint64(b[48:]),
	}, true
}

// errShort is an errDamaged of readMeta's that comes with the root.
var errShort = fmt.Errorf("%w: the end is missing", errDamaged)

// readMeta finds the newer of the two roots that is whole, as bbolt does: a cut while
// one was being written leaves the other, and nothing that was acknowledged is lost.
func readMeta(r io.ReaderAt, size int64) (boltMeta, error) {
	var headers error // the checksum does not cover them
	at := func(pos int64) (boltMeta, bool) {
		var b [pageHeader + metaLength]byte
		if _, err := r.ReadAt(b[:], pos); err != nil {
			return boltMeta{}, false
		}
		m, ok := parseMeta(b[:])
		if ok && (native.Uint64(b[:]) != uint64(min(pos, 1)) || native.Uint16(b[8:]) != metaPage) {
			headers = fmt.Errorf("%w: header of page %d", errDamaged, min(pos, 1))
		}
		return m, ok
	}
	m, ok := at(0)
	if ok {
		second, whole := at(int64(m.pageSize))
		ok = !whole || second.pageSize == m.pageSize
		if whole && second.txid > m.txid {
			m = second
		}
	} else {
		for pos := int64(1024); pos <= 1<<16; pos <<= 1 {
			if m, ok = at(pos); ok { // bbolt believes the first that it finds
				ok = m.pageSize == uint64(pos)
				break
			}
		}
	}
	switch {
	case !ok:
		return m, fmt.Errorf("%w: not a database", errDamaged)
	case headers != nil:
		return m, headers
	case m.pageSize < 1024 || m.pageSize > 1<<16 || m.pageSize&(m.pageSize-1) != 0:
		return m, fmt.Errorf("%w: page size %d", errDamaged, m.pageSize)
	case m.high < 4:
		return m, fmt.Errorf("%w: %d pages", errDamaged, m.high)
	case m.high > uint64(size)/m.pageSize:
		return m, errShort
	}
	return m, nil
}
