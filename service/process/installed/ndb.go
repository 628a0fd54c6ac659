package installed

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// rpm's own database (ndb): a table of slots of 16 bytes, in pages, whose first two hold
// the file's header; a slot says where a package's blob is, in blocks of 16 bytes. All
// numbers are little-endian.
const (
	ndbMagic     = 'R' | 'p'<<8 | 'm'<<16 | 'P'<<24
	ndbSlotMagic = 'S' | 'l'<<8 | 'o'<<16 | 't'<<24
	ndbBlobMagic = 'B' | 'l'<<8 | 'b'<<16 | 'S'<<24

	ndbPage     = 4096
	ndbBlock    = 16
	ndbMaxPages = 1 << 14 // some four million packages
)

var errNDB = errors.New("rpm's Packages.db is broken")

func readNDB(f *os.File, each func(n int64, header []byte) bool) error {
	var head [32]byte
	if err := readAt(f, head[:], 0); err != nil {
		return fmt.Errorf("rpm's Packages.db: %w", err)
	}
	le := binary.LittleEndian
	pages := le.Uint32(head[12:])
	if le.Uint32(head[:]) != ndbMagic || le.Uint32(head[4:]) != 0 || pages == 0 || pages > ndbMaxPages {
		return errNDB
	}
	var page [ndbPage]byte
	var blob []byte
	for p := range pages {
		if err := readAt(f, page[:], int64(p)*ndbPage); err != nil {
			return fmt.Errorf("rpm's Packages.db: %w", err)
		}
		for at := 0; at < ndbPage; at += 16 {
			if p == 0 && at < len(head) {
				continue
			}
			slot := page[at:]
			if le.Uint32(slot) != ndbSlotMagic {
				return errNDB
			}
			n, block := le.Uint32(slot[4:]), le.Uint32(slot[8:])
			if block == 0 {
				continue // free
			}
			var err error
			if blob, err = ndbBlob(f, blob, n, int64(block)*ndbBlock); err != nil {
				return err
			}
			if !each(int64(n), blob) {
				return nil
			}
		}
	}
	return nil
}

// ndbBlob reads package n's blob into b.
func ndbBlob(f io.ReaderAt, b []byte, n uint32, at int64) ([]byte, error) {
	var head [16]byte
	if err := readAt(f, head[:], at); err != nil {
		return b, fmt.Errorf("rpm's Packages.db: %w", err)
	}
	le := binary.LittleEndian
	size := le.Uint32(head[12:])
	if le.Uint32(head[:]) != ndbBlobMagic || le.Uint32(head[4:]) != n || size > maxData {
		return b, errNDB
	}
	b, err := room(b, f, int64(size), at+16)
	if err != nil {
		return b, fmt.Errorf("rpm's Packages.db: %w", err)
	}
	return b, nil
}

// room reads size bytes at off into b, growing it no further than the file goes.
func room(b []byte, f io.ReaderAt, size, off int64) ([]byte, error) {
	if size > 0 {
		var last [1]byte
		if err := readAt(f, last[:], off+size-1); err != nil {
			return b, err
		}
	}
	if int64(cap(b)) < size {
		b = make([]byte, size)
	}
	b = b[:size]
	return b, readAt(f, b, off)
}
