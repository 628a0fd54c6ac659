package store

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"
)

// What the random damage of other tests seldom hits.
func TestInspectRefuses(t *testing.T) {
	sound := tiny(t, historyFile, 60)
	c, err := inspectReader(bytes.NewReader(sound), int64(len(sound)), historyFile)
	if err != nil || c.history != 60 || c.schema != historyFile.schema || len(c.damaged) != 0 {
		t.Fatalf("%v: %+v", err, c)
	}
	page := func(b []byte, id uint64) []byte { return b[id*1024:][:1024] }
	setMeta := func(b []byte, at int, v uint64) {
		for id := range uint64(2) {
			native.PutUint64(page(b, id)[pageHeader+at:], v)
		}
	}
	var branch uint64 // a page with branches
	for id := range c.root.high {
		if native.Uint16(page(sound, id)[8:]) == branchPage {
			branch = id
		}
	}
	if branch == 0 {
		t.Fatal("no branch in", len(sound), "bytes")
	}
	for name, change := range map[string]func([]byte){
		"free page in use":   func(b []byte) { addFree(page(b, c.root.freelist), c.root.root) },
		"free page beyond":   func(b []byte) { addFree(page(b, c.root.freelist), c.root.high) },
		"free page twice":    func(b []byte) { p := page(b, c.root.freelist); addFree(p, native.Uint64(p[pageHeader:])) },
		"header of meta":     func(b []byte) { native.PutUint64(page(b, 1), 7) },
		"a page lost":        func(b []byte) { p := page(b, c.root.freelist); native.PutUint16(p[10:], native.Uint16(p[10:])-1) },
		"too many free":      func(b []byte) { p := page(b, c.root.freelist); native.PutUint16(p[10:], 0xfffe) },
		"far too many free":  func(b []byte) { p := page(b, c.root.freelist); native.PutUint16(p[10:], 0xffff) },
		"no freelist":        func(b []byte) { setMeta(b, 32, 1<<64-1) },
		"root beyond":        func(b []byte) { setMeta(b, 16, 1<<62) },
		"root is a meta":     func(b []byte) { setMeta(b, 16, 0) },
		"high beyond":        func(b []byte) { setMeta(b, 40, 1<<63) },
		"circle":             func(b []byte) { native.PutUint64(page(b, branch)[pageHeader+8:], branch) },
		"child is a meta":    func(b []byte) { native.PutUint64(page(b, branch)[pageHeader+8:], 1) },
		"no branches":        func(b []byte) { native.PutUint16(page(b, branch)[10:], 0) },
		"too many branches":  func(b []byte) { native.PutUint16(page(b, branch)[10:], 0xffff) },
		"branch key outside": func(b []byte) { native.PutUint32(page(b, branch)[pageHeader:], 0xffffffff) },
		"branch key long":    func(b []byte) { native.PutUint32(page(b, branch)[pageHeader+4:], 0xffffffff) },
		"overflow":           func(b []byte) { native.PutUint32(page(b, branch)[12:], 0xffffffff) },
		"page size 0":        func(b []byte) { setMeta(b, 8, 0) },
		"page size odd":      func(b []byte) { setMeta(b, 8, 1025) },
		"two page sizes":     func(b []byte) { native.PutUint32(page(b, 1)[pageHeader+8:], 2048) },
	} {
		b := bytes.Clone(sound)
		change(b)
		mendMetas(b)
		if _, err := inspectReader(bytes.NewReader(b), int64(len(b)), historyFile); !errors.Is(err, errDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func addFree(freelist []byte, id uint64) {
	n := native.Uint16(freelist[10:])
	native.PutUint64(freelist[pageHeader+8*int(n):], id)
	native.PutUint16(freelist[10:], n+1)
}

// bbolt's own check takes the square of the depth, and a file can be all depth.
func TestInspectRefusesDepth(t *testing.T) {
	for depth, want := range map[uint64]error{3: nil, maxDepth + 1: errDamaged} {
		b := tiny(t, mainFile, 1)
		root, err := readMeta(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		below := root.root
		for id := root.high; id < root.high+depth; id++ {
			page := make([]byte, 1024)
			native.PutUint64(page, id)
			native.PutUint16(page[8:], branchPage)
			native.PutUint16(page[10:], 1)
			native.PutUint32(page[pageHeader:], pageElement)
			native.PutUint32(page[pageHeader+4:], uint32(len("documents"))) // the first bucket
			native.PutUint64(page[pageHeader+8:], below)
			copy(page[pageHeader+pageElement:], "documents")
			b, below = append(b, page...), id
		}
		for id := range 2 {
			native.PutUint64(b[id*1024+pageHeader+16:], below)
			native.PutUint64(b[id*1024+pageHeader+40:], root.high+depth)
		}
		mendMetas(b)
		if _, err := inspectReader(bytes.NewReader(b), int64(len(b)), mainFile); !errors.Is(err, want) {
			t.Errorf("depth %d: %v", depth, err)
		}
	}
}

// Whatever bbolt writes passes: a sound file that is refused would cost rules.
func TestInspectAcceptsWhatBoltWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(path, tiny(t, historyFile, 60), 0o600); err != nil {
		t.Fatal(err)
	}
	db := must[*bbolt.DB](t)(bbolt.Open(path, 0o600, nil))
	defer db.Close()
	db.NoSync = true
	random := rand.New(rand.NewPCG(9, 10))
	for round := range 600 {
		err := db.Update(func(tx *bbolt.Tx) error {
			b := tx.Bucket([]byte(historyBucket))
			lo, n := random.IntN(2000), 1+random.IntN(40)
			for i := range n {
				key := fmt.Appendf(nil, "%05d", lo+i) // runs of neighbours: pages become full and empty
				if random.IntN(3) == 0 {
					key = fmt.Appendf(nil, "%05d", random.IntN(2000))
				}
				var err error
				if round/100%2 == 0 {
					err = b.Put(key, seal(recordVersion, key, make([]byte, random.IntN(300)+random.IntN(2)*random.IntN(3000))))
				} else {
					err = b.Delete(key)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil {
			_, err = inspect(path, historyFile)
		}
		if err != nil {
			t.Fatal(round, err)
		}
	}
}
