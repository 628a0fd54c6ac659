package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// maxOpen bounds how many flows are taken for open: more than there can be.
const maxOpen = 1 << 17

// peek reads from the history at path the records of the flows that were open, and no
// more: without bbolt, like an inspection, but not what they don't depend on. Errors are
// those of inspect.
func peek(path string) ([]entry, error) {
	f, size, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	root, err := readMeta(f, size)
	if err != nil {
		return nil, err
	}
	var keys [][]byte
	w := newWalker(f, root, func(bucket string, key, value []byte) (err error) {
		switch {
		case bucket == metaBucket && string(key) == string(schemaKey):
			_, err = historyFile.parse(value)
		case bucket == openBucket && len(keys) == maxOpen:
			err = fmt.Errorf("%w: too many open flows", errDamaged)
		case bucket == openBucket:
			keys = append(keys, bytes.Clone(key))
		}
		return err
	})
	buckets, err := w.buckets()
	if err != nil {
		return nil, err
	}
	for _, name := range []string{metaBucket, openBucket, historyBucket} {
		if buckets[name] == nil {
			return nil, fmt.Errorf("%w: no bucket %q", errDamaged, name)
		}
		if name == historyBucket {
			break
		}
		if err := w.bucket(name, buckets[name]); err != nil {
			return nil, err
		}
	}
	var left []entry
	for _, key := range keys {
		value, err := w.find(buckets[historyBucket], key)
		if err != nil && !errors.Is(err, errDamaged) {
			return left, err
		}
		if value != nil {
			left = append(left, entry{key, value})
		}
	}
	return left, nil
}

// maxOverflow bounds how many pages find reads as one: a record has at most a megabyte.
const maxOverflow = 2 << 20 / 1024

func atMost(n uint64) func(uint64, uint64) error {
	return func(id, pages uint64) error {
		if pages > n {
			return fmt.Errorf("%w: page %d is too long", errDamaged, id)
		}
		return nil
	}
}

// find looks key up in a bucket: nil if it isn't there.
func (w *walker) find(bucket, key []byte) (found []byte, err error) {
	entry := func(_ uint32, k, value []byte) error {
		if bytes.Equal(k, key) {
			found = bytes.Clone(value)
			return io.EOF // of what is of interest
		}
		return nil
	}
	id := native.Uint64(bucket)
	if id == 0 {
		inline, err := inlineLeaf(bucket)
		if err == nil {
			err = leaf(inline, nil, nil, entry)
		}
		return found, unlessEOF(err)
	}
	var low, high []byte
	for range maxDepth {
		p, err := w.read(id, atMost(maxOverflow))
		if err != nil {
			return nil, err
		}
		switch native.Uint16(p[8:]) {
		case leafPage:
			err := leaf(p, low, high, entry)
			return found, unlessEOF(err)
		case branchPage:
		default:
			return nil, fmt.Errorf("%w: flags of page %d", errDamaged, id)
		}
		keys, pages, err := branches(p, low, high)
		if err != nil {
			return nil, err
		}
		i := 0 // the last child whose first key is not after key
		for i+1 < len(pages) && bytes.Compare(keys[i+1], key) <= 0 {
			i++
		}
		id, low, high = pages[i], keys[i], keys[i+1]
	}
	return nil, fmt.Errorf("%w: too deep", errDamaged)
}

func unlessEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
