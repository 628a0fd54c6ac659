package bpf

import (
	"errors"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// walkAtOnce is how many entries are read at once, as long as no bucket has more.
const walkAtOnce = 512

// walk calls f for every entry of a hash map that is there from beginning to end, once.
// Entries may come and go meanwhile, which ends the walk from key to key that Iterate is. f
// may not keep its arguments.
func walk[K, V any](m *ebpf.Map, f func(*K, *V)) error {
	var at ebpf.MapBatchCursor
	for size := walkAtOnce; ; {
		keys, values := make([]K, size), make([]V, size)
		for {
			n, err := m.BatchLookup(&at, keys, values, nil)
			if errors.Is(err, unix.ENOSPC) { // a bucket has more
				size *= 2
				break
			}
			if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
				return err
			}
			for i := range n {
				f(&keys[i], &values[i])
			}
			if err != nil { // that was all
				return nil
			}
		}
	}
}
