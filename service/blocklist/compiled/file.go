package compiled

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// File is a compiled file, mapped for reading. The one who opened it holds it; others
// Acquire it before they look anything up, and all Release it.
type File struct {
	b        []byte
	mapped   bool
	holders  atomic.Int64
	header   *header
	lists    []string
	names    textTable
	pages    textTable
	networks [2]networkTable
}

// Open maps the file path and checks all of it. Errors about its content wrap
// ErrDamaged.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open compiled lists: %w", err)
	}
	defer f.Close()
	b, err := load(f)
	if err != nil {
		return nil, fmt.Errorf("open compiled lists: %w", err)
	}
	c, err := read(b)
	if err != nil {
		return nil, errors.Join(err, unix.Munmap(b))
	}
	c.mapped = true
	return c, nil
}

// load checks the sum by reading, not through the mapping, so that a page counts as
// the service's memory only once something was looked up in it.
func load(f *os.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size := info.Size()
	if !info.Mode().IsRegular() || size < int64(headerSize) || size > 1<<32 {
		return nil, fmt.Errorf("%w: %d bytes long", ErrDamaged, size)
	}
	head := make([]byte, headerSize)
	if _, err := io.ReadFull(f, head); err != nil {
		return nil, err
	}
	h, err := decodeHeader(head)
	if err != nil {
		return nil, err
	}
	digest := sha256.New()
	n, err := io.Copy(digest, f)
	if err != nil {
		return nil, err
	}
	if h.Sum != h.sum(digest.Sum(nil)) || n != size-int64(headerSize) {
		return nil, fmt.Errorf("%w: the checksum is wrong", ErrDamaged)
	}
	b, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	// Without this a look-up that faults brings in pages around it that nobody asked for.
	if err := unix.Madvise(b, unix.MADV_RANDOM); err != nil {
		return nil, errors.Join(err, unix.Munmap(b))
	}
	return b, nil
}

// read takes the file apart; b has the right checksum, which says nothing of who made it.
func read(b []byte) (*File, error) {
	h, err := decodeHeader(b)
	if err != nil {
		return nil, err
	}
	c := &File{b: b, header: h}
	c.holders.Store(1)
	ids, ok := part(b, h.ListIDs)
	for ok && len(ids) > 0 && len(c.lists) < MaxLists {
		n := int(ids[0])
		if ok = n > 0 && n < len(ids); ok {
			c.lists = append(c.lists, string(ids[1:1+n]))
			ids = ids[1+n:]
		}
	}
	ok = ok && len(ids) == 0 && len(c.lists) == int(h.Lists)
	ok = ok && c.names.open(b, h.Names, h.Seed) && c.pages.open(b, h.Pages, h.Seed)
	for i := range c.networks {
		ok = ok && c.networks[i].open(b, h.Networks[i], h.Samples[i], [2]int{4, 16}[i])
	}
	if !ok {
		return nil, fmt.Errorf("%w: a part is missing", ErrDamaged)
	}
	return c, nil
}

// part gives a section, or false if the file hasn't got it.
func part(b []byte, s section) ([]byte, bool) {
	if s.Offset > uint64(len(b)) || s.Size > uint64(len(b))-s.Offset {
		return nil, false
	}
	return b[s.Offset : s.Offset+s.Size : s.Offset+s.Size], true
}

// Acquire is false if the file is unmapped already: then there is a newer one.
func (c *File) Acquire() bool {
	for {
		n := c.holders.Load()
		if n == 0 {
			return false
		}
		if c.holders.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Release gives back what Open or Acquire gave. The last one unmaps the file.
func (c *File) Release() {
	switch n := c.holders.Add(-1); {
	case n < 0:
		panic("compiled lists released twice")
	case n == 0 && c.mapped:
		if err := unix.Munmap(c.b); err != nil {
			panic(err) // only a wrong address can fail
		}
	}
}

// Lists are the ids of the lists; a Match's List is an index into it.
func (c *File) Lists() []string { return c.lists }

// Source is what Build was given.
func (c *File) Source() [sha256.Size]byte { return c.header.Source }

// Count says how many names, pages and networks there are, each counted once.
func (c *File) Count() (names, pages, networks int) {
	return int(c.header.Names.Count), int(c.header.Pages.Count), c.networks[0].count + c.networks[1].count
}

// textTable is an opened table of names or pages.
type textTable struct {
	seed      uint64
	shift     uint64
	records   []byte
	directory []byte
	filter    filter
}

func (t *textTable) open(b []byte, h table, seed uint64) bool {
	if h == (table{}) {
		return true
	}
	records, ok := part(b, h.Records)
	directory, ok2 := part(b, h.Directory)
	f, ok3 := part(b, h.Filter)
	if !ok || !ok2 || !ok3 || h.Shift < 32 || h.Shift > 64 || len(f) == 0 || len(f)%filterBlock != 0 {
		return false
	}
	buckets := uint64(1) << (64 - h.Shift)
	*t = textTable{seed, h.Shift, records, directory, f}
	return uint64(len(directory)) == 4*(buckets+1)
}

// find gives the marks of a text, two bytes each; hash is the text's.
func (t *textTable) find(h uint64, text string) []byte {
	if len(t.filter) == 0 || !t.filter.has(h) {
		return nil
	}
	i := bucketOf(h, t.shift) * 4
	from := binary.LittleEndian.Uint32(t.directory[i:])
	to := binary.LittleEndian.Uint32(t.directory[i+4:])
	if from > to || uint64(to) > uint64(len(t.records)) {
		return nil
	}
	for r := t.records[from:to]; len(r) > 0; {
		size, n := binary.Uvarint(r)
		if n <= 0 {
			return nil
		}
		r = r[n:]
		marks, n := binary.Uvarint(r)
		if n <= 0 || marks > MaxLists*8 || size > uint64(len(r)) || uint64(n)+2*marks+size > uint64(len(r)) {
			return nil
		}
		m := r[n : uint64(n)+2*marks]
		r = r[uint64(n)+2*marks:]
		if uint64(len(text)) == size && string(r[:size]) == text {
			return m
		}
		r = r[size:]
	}
	return nil
}

// networkTable is an opened table of networks.
type networkTable struct {
	width, size int
	count       int
	records     []byte
	samples     []byte
}

func (t *networkTable) open(b []byte, records, samples section, width int) bool {
	r, ok := part(b, records)
	s, ok2 := part(b, samples)
	*t = networkTable{width: width, size: width + networkTail, records: r, samples: s}
	t.count = len(r) / t.size
	return ok && ok2 && len(r)%t.size == 0 && len(s) == (t.count+sampleEvery-1)/sampleEvery*width
}

// last gives the last network that begins at or before addr, or -1.
func (t *networkTable) last(addr []byte) int {
	from, to := 0, len(t.samples)/t.width
	for from < to { // the first sample above addr
		m := int(uint(from+to) / 2)
		if bytes.Compare(t.samples[m*t.width:(m+1)*t.width], addr) <= 0 {
			from = m + 1
		} else {
			to = m
		}
	}
	from, to = max(0, (from-1)*sampleEvery), min(from*sampleEvery, t.count)
	for from < to {
		m := int(uint(from+to) / 2)
		if bytes.Compare(t.records[m*t.size:m*t.size+t.width], addr) <= 0 {
			from = m + 1
		} else {
			to = m
		}
	}
	return from - 1
}
