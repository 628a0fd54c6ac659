package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

// walk reads a bbolt file without bbolt and calls visit for every value, which may
// not keep its arguments. Every offset is checked before it is followed and every
// page is read at most once, so no file can make it fail otherwise than with an
// error; a file that passes can be given to bbolt, which checks neither.
//
// The only nesting that it accepts is ours: buckets at the top, values in them. The
// bucket called first, if there is one, is visited before the others. It returns the
// buckets' names.
func walk(r io.ReaderAt, m boltMeta, first string, visit func(bucket string, key, value []byte) error) ([]string, error) {
	w := newWalker(r, m, visit)
	buckets, err := w.buckets()
	if err != nil {
		return nil, err
	}
	names := slices.Sorted(maps.Keys(buckets))
	if i := slices.Index(names, first); i >= 0 {
		names = slices.Insert(slices.Delete(names, i, i+1), 0, first)
	}
	for _, name := range names {
		if err := w.bucket(name, buckets[name]); err != nil {
			return nil, err
		}
	}
	return names, w.free()
}

func newWalker(r io.ReaderAt, m boltMeta, visit func(bucket string, key, value []byte) error) *walker {
	return &walker{r: r, boltMeta: m, seen: make([]bool, m.high), visit: visit}
}

type walker struct {
	boltMeta
	r     io.ReaderAt
	seen  []bool
	visit func(bucket string, key, value []byte) error
	// lenient has tree pass over what is damaged instead of ending.
	lenient bool
}

// buckets reads the bucket of buckets: their names and what stands for them.
func (w *walker) buckets() (map[string][]byte, error) {
	buckets := map[string][]byte{}
	err := w.tree(w.root, nil, nil, 0, func(flags uint32, name, value []byte) error {
		if flags != bucketEntry || len(value) < bucketValue {
			return fmt.Errorf("%w: %q is not a bucket", errDamaged, name)
		}
		buckets[string(name)] = bytes.Clone(value)
		return nil
	})
	return buckets, err
}

func (w *walker) bucket(name string, value []byte) error {
	entry := func(flags uint32, key, value []byte) error {
		if flags != 0 {
			return fmt.Errorf("%w: bucket inside %q", errDamaged, name)
		}
		return w.visit(name, key, value)
	}
	if root := native.Uint64(value); root != 0 {
		return w.tree(root, nil, nil, 0, entry)
	}
	inline, err := inlineLeaf(value)
	if err != nil {
		return fmt.Errorf("bucket %q: %w", name, err)
	}
	return leaf(inline, nil, nil, entry)
}

// inlineLeaf is the one leaf of a small bucket, which its parent's value holds.
func inlineLeaf(value []byte) ([]byte, error) {
	inline := value[bucketValue:]
	if len(inline) < pageHeader || native.Uint16(inline[8:]) != leafPage {
		return nil, fmt.Errorf("%w: no leaf", errDamaged)
	}
	return inline, nil
}

// page reads page id with its overflow, once.
func (w *walker) page(id uint64) ([]byte, error) { return w.read(id, w.use) }

// use notes that pages are in use.
func (w *walker) use(first, n uint64) error {
	for i := first; i < first+n; i++ {
		if w.seen[i] {
			return fmt.Errorf("%w: page %d is used twice", errDamaged, i)
		}
		w.seen[i] = true
	}
	return nil
}

// read reads page id with its overflow, once use agreed: damaged, it may seem as long as
// the file.
func (w *walker) read(id uint64, use func(first, n uint64) error) ([]byte, error) {
	if id < 2 || id >= w.high {
		return nil, fmt.Errorf("%w: page %d of %d", errDamaged, id, w.high)
	}
	b := make([]byte, w.pageSize)
	if _, err := w.r.ReadAt(b, int64(id*w.pageSize)); err != nil {
		return nil, fmt.Errorf("%w: read page %d: %w", errDamaged, id, err)
	}
	more := uint64(native.Uint32(b[12:]))
	if native.Uint64(b) != id || more >= w.high-id {
		return nil, fmt.Errorf("%w: header of page %d", errDamaged, id)
	}
	if err := use(id, more+1); err != nil {
		return nil, err
	}
	if more > 0 {
		b = make([]byte, (more+1)*w.pageSize)
		if _, err := w.r.ReadAt(b, int64(id*w.pageSize)); err != nil {
			return nil, fmt.Errorf("%w: read page %d: %w", errDamaged, id, err)
		}
	}
	return b, nil
}

// tree walks the tree at page id, whose keys are from low up to, not including, high;
// nil is no bound.
func (w *walker) tree(id uint64, low, high []byte, depth int, entry func(uint32, []byte, []byte) error) error {
	p, err := w.page(id)
	if err == nil {
		switch flags := native.Uint16(p[8:]); {
		case low != nil && !bytes.Equal(firstKey(p), low):
			// bbolt looks a page up in the one above it by its first key when it changes it.
			err = fmt.Errorf("%w: it begins with another key than expected", errDamaged)
		case flags == leafPage:
			err = leaf(p, low, high, entry)
		case flags == branchPage && depth < maxDepth:
			err = w.branch(p, low, high, depth, entry)
		default:
			err = fmt.Errorf("%w: flags %#x", errDamaged, flags)
		}
		if err != nil {
			err = fmt.Errorf("page %d: %w", id, err)
		}
	}
	if w.lenient && errors.Is(err, errDamaged) && !errors.Is(err, ErrClosed) {
		return nil
	}
	return err
}

// firstKey is the first key of a leaf or a branch page; nil if there is none.
func firstKey(p []byte) []byte {
	if native.Uint16(p[10:]) == 0 || len(p) < pageHeader+pageElement {
		return nil
	}
	e := p[pageHeader:]
	start, size := uint64(native.Uint32(e)), uint64(native.Uint32(e[4:]))
	if native.Uint16(p[8:]) == leafPage {
		start, size = uint64(native.Uint32(e[4:])), uint64(native.Uint32(e[8:]))
	}
	if start += pageHeader; start+size > uint64(len(p)) {
		return nil
	}
	return p[start : start+size]
}

func (w *walker) branch(p, low, high []byte, depth int, entry func(uint32, []byte, []byte) error) error {
	keys, pages, err := branches(p, low, high)
	if err != nil {
		return err
	}
	for i, child := range pages {
		if err := w.tree(child, keys[i], keys[i+1], depth+1, entry); err != nil {
			return err
		}
	}
	return nil
}

// branches reads a branch page: the child at pages[i] has the keys from keys[i] up to,
// not including, keys[i+1].
func branches(p, low, high []byte) (keys [][]byte, pages []uint64, err error) {
	n := int(native.Uint16(p[10:]))
	if n == 0 || pageHeader+n*pageElement > len(p) {
		return nil, nil, fmt.Errorf("%w: %d branches", errDamaged, n)
	}
	keys, pages = make([][]byte, n+1), make([]uint64, n)
	for i := range n {
		at := pageHeader + i*pageElement
		pos, size := uint64(native.Uint32(p[at:])), uint64(native.Uint32(p[at+4:]))
		start := uint64(at) + pos
		if start+size > uint64(len(p)) {
			return nil, nil, fmt.Errorf("%w: branch %d", errDamaged, i)
		}
		keys[i], pages[i] = p[start:start+size], native.Uint64(p[at+8:])
		if !inOrder(keys[:i+1], low, high) {
			return nil, nil, fmt.Errorf("%w: order of branch %d", errDamaged, i)
		}
	}
	keys[n] = high
	return keys, pages, nil
}

// leaf reads the entries of one leaf page.
func leaf(p, low, high []byte, entry func(flags uint32, key, value []byte) error) error {
	n := int(native.Uint16(p[10:]))
	if pageHeader+n*pageElement > len(p) {
		return fmt.Errorf("%w: %d entries", errDamaged, n)
	}
	var keys [2][]byte // the one before, this one
	for i := range n {
		at := pageHeader + i*pageElement
		pos, ksize, vsize := uint64(native.Uint32(p[at+4:])), uint64(native.Uint32(p[at+8:])), uint64(native.Uint32(p[at+12:]))
		start := uint64(at) + pos
		if ksize == 0 || start+ksize+vsize > uint64(len(p)) {
			return fmt.Errorf("%w: entry %d", errDamaged, i)
		}
		keys[0], keys[1] = keys[1], p[start:start+ksize]
		if seen := keys[1-min(i, 1):]; !inOrder(seen, low, high) {
			return fmt.Errorf("%w: order of entry %d", errDamaged, i)
		}
		if err := entry(native.Uint32(p[at:]), keys[1], p[start+ksize:start+ksize+vsize]); err != nil {
			return err
		}
	}
	return nil
}

// inOrder reports whether the last of keys comes after the one before it and lies
// between the bounds.
func inOrder(keys [][]byte, low, high []byte) bool {
	last := len(keys) - 1
	key := keys[last]
	return (low == nil || bytes.Compare(low, key) <= 0) &&
		(high == nil || bytes.Compare(key, high) < 0) &&
		(last == 0 || bytes.Compare(keys[last-1], key) < 0)
}

// free checks the list of free pages: one that is also in use would be overwritten,
// and one that is neither tells of a page that should have led to it.
func (w *walker) free() error {
	p, err := w.page(w.freelist)
	if err != nil {
		return err
	}
	if native.Uint16(p[8:]) != freelistPage {
		return fmt.Errorf("%w: no list of free pages", errDamaged)
	}
	n, at := uint64(native.Uint16(p[10:])), uint64(pageHeader)
	if n == 0xFFFF { // too many for the header: the first element is the number
		n, at = native.Uint64(p[at:]), at+8
	}
	if n > (uint64(len(p))-at)/8 {
		return fmt.Errorf("%w: %d free pages", errDamaged, n)
	}
	for i := range n {
		id := native.Uint64(p[at+8*i:])
		if id < 2 || id >= w.high || w.seen[id] {
			return fmt.Errorf("%w: free page %d", errDamaged, id)
		}
		w.seen[id] = true
	}
	if lost := slices.Index(w.seen[2:], false); lost >= 0 {
		return fmt.Errorf("%w: page %d is neither used nor free", errDamaged, lost+2)
	}
	return nil
}
