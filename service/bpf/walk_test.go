package bpf

import (
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
)

// A walk from key to key begins anew when the key that it is at goes, and gives up.
func TestWalkWhileEntriesGo(t *testing.T) {
	if err := rlimit.RemoveMemlock(); err != nil {
		t.Fatal(err)
	}
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Hash, KeySize: 8, ValueSize: 4, MaxEntries: 1 << 14})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	const n = 5000
	keys, values := make([]uint64, n), make([]uint32, n)
	for i := range keys {
		keys[i], values[i] = uint64(i), uint32(i)
	}
	if _, err := m.BatchUpdate(keys, values, nil); err != nil {
		t.Fatal(err)
	}
	seen := map[uint64]int{}
	err = walk(m, func(k *uint64, v *uint32) {
		if uint64(*v) != *k {
			t.Fatalf("%d has %d", *k, *v)
		}
		seen[*k]++
		if *k%2 == 0 {
			if err := m.Delete(k); err != nil {
				t.Fatal(err)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range keys {
		if seen[keys[i]] != 1 {
			t.Fatalf("%d was seen %d times", i, seen[keys[i]])
		}
	}
	if err := walk(m, func(k *uint64, _ *uint32) { seen[*k]++ }); err != nil || seen[1] != 2 || seen[2] != 1 {
		t.Errorf("the second time: %d and %d, %v", seen[1], seen[2], err)
	}
}
