package installed

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// sqlite reads the rows of a table from a database file (sqlite.org/fileformat2.html),
// with what its write-ahead log adds. It takes no lock: what is read while somebody
// writes may be broken, and is read again since the files changed meanwhile.
type sqlite struct {
	file     io.ReaderAt
	wal      *wal // nil if there is none
	pageSize int
	usable   int // without what is reserved at a page's end
	pages    uint32
	budget   int64 // pages that a walk may still visit: a broken file may lead in a circle
	most     int64 // that there are
}

// value is one column's: a number or bytes.
type value struct {
	number int64
	bytes  []byte
}

var errSQLite = errors.New("the database is broken")

const maxDepth = 20

func openSQLite(file *os.File, walPath string) (*sqlite, error) {
	var head [100]byte
	if err := readAt(file, head[:], 0); err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	if string(head[:16]) != "SQLite format 3\x00" {
		return nil, errors.New("sqlite: no database of that kind")
	}
	s := &sqlite{file: file, pageSize: int(binary.BigEndian.Uint16(head[16:]))}
	if s.pageSize == 1 {
		s.pageSize = 1 << 16
	}
	s.usable = s.pageSize - int(head[20])
	if s.pageSize < 512 || s.pageSize&(s.pageSize-1) != 0 || s.usable < 480 {
		return nil, errSQLite
	}
	var err error
	if s.wal, err = openWAL(walPath, s.pageSize); err != nil {
		return nil, err
	}
	s.pages = binary.BigEndian.Uint32(head[28:])
	if s.wal != nil {
		s.pages = s.wal.pages
		s.most = int64(len(s.wal.frames))
	}
	info, err := file.Stat()
	if err != nil {
		s.wal.close()
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	s.most += info.Size() / int64(s.pageSize)
	s.budget = s.most
	return s, nil
}

// page reads page n, counted from 1, into b, which it makes if it must.
func (s *sqlite) page(n uint32, b []byte) ([]byte, error) {
	if n == 0 || n > s.pages {
		return nil, errSQLite
	}
	if s.budget--; s.budget < 0 {
		return nil, errSQLite
	}
	if b == nil {
		b = make([]byte, s.pageSize)
	}
	if s.wal != nil {
		if off, ok := s.wal.frames[n]; ok {
			return b, readAt(s.wal.file, b, off)
		}
	}
	return b, readAt(s.file, b, int64(n-1)*int64(s.pageSize))
}

// table calls row with each row of a table, valid during the call, until it returns false.
func (s *sqlite) table(name string, row func(id int64, columns []value) bool) error {
	defer s.wal.close()
	root := uint32(0)
	if _, err := s.walk(1, 0, &rows{call: func(_ int64, c []value) bool {
		if len(c) >= 4 && string(c[0].bytes) == "table" && string(c[1].bytes) == name {
			root = uint32(c[3].number)
		}
		return root == 0
	}}); err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	if root == 0 {
		return fmt.Errorf("sqlite: no table %s", name)
	}
	s.budget = s.most
	if _, err := s.walk(root, 0, &rows{call: row}); err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	return nil
}

// rows is who is called with each row, and what the rows are read into.
type rows struct {
	call    func(int64, []value) bool
	pages   [maxDepth][]byte
	over    []byte // an overflow page
	payload []byte
	columns []value
}

// walk goes through a table's tree below a page; false if the caller wants no more.
func (s *sqlite) walk(n uint32, depth int, r *rows) (bool, error) {
	if depth == maxDepth {
		return false, errSQLite
	}
	page, err := s.page(n, r.pages[depth])
	if err != nil {
		return false, err
	}
	r.pages[depth] = page
	head := 0
	if n == 1 {
		head = 100
	}
	kind, cells := page[head], int(binary.BigEndian.Uint16(page[head+3:]))
	switch kind {
	case 5: // inner
		for i := range cells {
			at, err := s.cell(page, head+12+2*i)
			if err != nil {
				return false, err
			}
			if more, err := s.walk(binary.BigEndian.Uint32(page[at:]), depth+1, r); !more || err != nil {
				return false, err
			}
		}
		return s.walk(binary.BigEndian.Uint32(page[head+8:]), depth+1, r)
	case 13: // leaf
		for i := range cells {
			at, err := s.cell(page, head+8+2*i)
			if err != nil {
				return false, err
			}
			if more, err := s.row(page[at:s.usable], r); !more || err != nil {
				return false, err
			}
		}
		return true, nil
	}
	return false, errSQLite
}

// cell is where a cell begins, of which at least four bytes are there.
func (s *sqlite) cell(page []byte, pointer int) (int, error) {
	if pointer+2 > s.usable {
		return 0, errSQLite
	}
	at := int(binary.BigEndian.Uint16(page[pointer:]))
	if at+4 > s.usable {
		return 0, errSQLite
	}
	return at, nil
}

// row reads a cell of a leaf: its payload's size, the row's number, the payload.
func (s *sqlite) row(cell []byte, r *rows) (bool, error) {
	size, n := varint(cell)
	id, m := varint(cell[n:])
	if n == 0 || m == 0 || size > maxData {
		return false, errSQLite
	}
	payload, err := s.payload(cell[n+m:], int(size), r)
	if err != nil {
		return false, err
	}
	if r.columns, err = record(payload, r.columns[:0]); err != nil {
		return false, err
	}
	return r.call(int64(id), r.columns), nil
}

// payload is what is in the cell and, where it doesn't fit, in a chain of other pages.
func (s *sqlite) payload(cell []byte, size int, r *rows) ([]byte, error) {
	most := s.usable - 35
	here := size
	if size > most {
		least := (s.usable-12)*32/255 - 23
		if here = least + (size-least)%(s.usable-4); here > most {
			here = least
		}
	}
	if here > len(cell) {
		return nil, errSQLite
	}
	if here == size {
		return cell[:size], nil
	}
	if len(cell) < here+4 {
		return nil, errSQLite
	}
	r.payload = append(r.payload[:0], cell[:here]...)
	for next := binary.BigEndian.Uint32(cell[here:]); len(r.payload) < size; next = binary.BigEndian.Uint32(r.over) {
		var err error
		if r.over, err = s.page(next, r.over); err != nil {
			return nil, err
		}
		r.payload = append(r.payload, r.over[4:min(s.usable, 4+size-len(r.payload))]...)
	}
	return r.payload, nil
}

// record reads a row: the kinds of its columns, then their values.
func record(b []byte, columns []value) ([]value, error) {
	size, n := varint(b)
	if n == 0 || size > uint64(len(b)) || size < uint64(n) {
		return nil, errSQLite
	}
	kinds, b := b[n:size], b[size:]
	for len(kinds) > 0 {
		kind, n := varint(kinds)
		if n == 0 {
			return nil, errSQLite
		}
		kinds = kinds[n:]
		var v value
		width := uint64(0)
		switch {
		case kind < 5:
			width = kind
		case kind == 5:
			width = 6
		case kind < 8:
			width = 8
		case kind == 9:
			v.number = 1
		case kind >= 12:
			width = (kind - 12) / 2
		}
		if width > uint64(len(b)) {
			return nil, errSQLite
		}
		v.bytes, b = b[:width], b[width:]
		if kind > 0 && kind < 7 {
			v.number = number(v.bytes)
		}
		columns = append(columns, v)
	}
	return columns, nil
}

func number(b []byte) int64 {
	n := int64(int8(b[0]))
	for _, c := range b[1:] {
		n = n<<8 | int64(c)
	}
	return n
}

// varint reads seven bits a byte, and eight of the ninth; n is 0 if b ends too early.
func varint(b []byte) (v uint64, n int) {
	for i := range min(len(b), 9) {
		if i == 8 {
			return v<<8 | uint64(b[i]), 9
		}
		v = v<<7 | uint64(b[i]&0x7f)
		if b[i] < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}
