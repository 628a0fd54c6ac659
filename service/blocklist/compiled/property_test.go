package compiled

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
	"sekisho/service/blocklist/format"
)

// TestEqualsNaive: on random lists of few labels and few bits, so that they nest and
// collide, the compiled file finds what going through all entries finds.
func TestEqualsNaive(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(0, 4).Draw(r, "lists")
		var ids []string
		var lists [][]format.Entry
		for i := range n {
			ids = append(ids, fmt.Sprint("l", i))
			lists = append(lists, rapid.SliceOfN(anEntry(), 0, 60).Draw(r, "entries"))
		}
		path := dir + "/compiled"
		buildAt(t, path, ids, lists)
		f, err := Open(path)
		if err != nil {
			r.Fatal(err)
		}
		defer f.Release()
		for range 20 {
			name := aName().Draw(r, "name")
			if got, want := sorted(f, f.AppendName(nil, name)), naiveName(ids, lists, name); got != want {
				r.Fatalf("name %s: %q, want %q", name, got, want)
			}
			addr := anAddr().Draw(r, "addr")
			if got, want := sorted(f, f.AppendAddr(nil, addr)), naiveAddr(ids, lists, addr); got != want {
				r.Fatalf("address %s: %q, want %q", addr, got, want)
			}
		}
	})
}

func aName() *rapid.Generator[string] {
	label := rapid.SampledFrom([]string{"a", "b", "ab", "c"})
	return rapid.Custom(func(r *rapid.T) string {
		return strings.Join(rapid.SliceOfN(label, 1, 5).Draw(r, "labels"), ".")
	})
}

// anAddr gives addresses that differ in a few bits at the top and at the bottom.
func anAddr() *rapid.Generator[netip.Addr] {
	return rapid.Custom(func(r *rapid.T) netip.Addr {
		few := rapid.SampledFrom([]byte{0, 1, 2, 127, 128, 255})
		if rapid.Bool().Draw(r, "four") {
			return netip.AddrFrom4([4]byte{few.Draw(r, "1"), few.Draw(r, "2"), 0, few.Draw(r, "4")})
		}
		return netip.AddrFrom16([16]byte{0: few.Draw(r, "1"), 1: few.Draw(r, "2"), 15: few.Draw(r, "16")})
	})
}

func anEntry() *rapid.Generator[format.Entry] {
	return rapid.Custom(func(r *rapid.T) format.Entry {
		var e format.Entry
		e.Exception = rapid.IntRange(0, 3).Draw(r, "exception") == 0
		e.Overrides = e.Exception && rapid.Bool().Draw(r, "overrides")
		if rapid.Bool().Draw(r, "name?") {
			e.Name = aName().Draw(r, "name")
			e.Exact = rapid.Bool().Draw(r, "exact")
			e.Below = !e.Exact || rapid.Bool().Draw(r, "below")
			return e
		}
		a := anAddr().Draw(r, "addr")
		e.Network, _ = a.Prefix(rapid.IntRange(0, a.BitLen()).Draw(r, "bits"))
		return e
	})
}

func sorted(f *File, ms []Match) string {
	var s []string
	for _, m := range ms {
		s = append(s, f.Lists()[m.List]+":"+m.Entry())
	}
	slices.Sort(s)
	return strings.Join(s, " ")
}

// candidate is an entry that matches, and how specifically.
type candidate struct {
	entry    format.Entry
	specific int
	match    Match
}

// decide picks of one list's candidates: an exception that overrides, else the most
// specific, and of those an exception.
func decide(id string, cs []candidate) []string {
	if len(cs) == 0 || slices.ContainsFunc(cs, func(c candidate) bool { return c.entry.Overrides }) {
		return nil
	}
	best := slices.MaxFunc(cs, func(a, b candidate) int {
		if c := cmp.Compare(a.specific, b.specific); c != 0 {
			return c
		}
		switch {
		case a.entry.Exception == b.entry.Exception:
			return 0
		case a.entry.Exception:
			return 1
		}
		return -1
	})
	if best.entry.Exception {
		return nil
	}
	return []string{id + ":" + best.match.Entry()}
}

func naiveName(ids []string, lists [][]format.Entry, name string) string {
	var found []string
	for i, list := range lists {
		var cs []candidate
		for _, e := range list {
			if e.Name == "" {
				continue
			}
			below := strings.HasSuffix(name, "."+e.Name)
			if e.Exact && e.Name == name || e.Below && below {
				cs = append(cs, candidate{e, len(e.Name), Match{Name: e.Name, Below: below}})
			}
		}
		found = append(found, decide(ids[i], cs)...)
	}
	slices.Sort(found)
	return strings.Join(found, " ")
}

func naiveAddr(ids []string, lists [][]format.Entry, a netip.Addr) string {
	var found []string
	for i, list := range lists {
		var cs []candidate
		for _, e := range list {
			if e.Network.IsValid() && e.Network.Contains(a) {
				cs = append(cs, candidate{e, e.Network.Bits(), Match{Network: e.Network}})
			}
		}
		found = append(found, decide(ids[i], cs)...)
	}
	slices.Sort(found)
	return strings.Join(found, " ")
}

// TestSorterSpills: what doesn't fit into memory comes out in order all the same.
func TestSorterSpills(t *testing.T) {
	s := &sorter{dir: t.TempDir()}
	defer s.close()
	const n = 2*arenaFew + 1000
	for i := range n {
		k := uint32(i) * 2654435761 % (n / 2) // each about twice
		if err := s.add([]byte{byte(k >> 24), byte(k >> 16), byte(k >> 8), byte(k)}); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.runs) == 0 {
		t.Fatal("nothing was spilled")
	}
	var last []byte
	seen := 0
	if err := s.each(func(b []byte) error {
		if seen > 0 && string(last) >= string(b) {
			t.Fatalf("%x after %x", b, last)
		}
		last = append(last[:0], b...)
		seen++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if want := distinct(n); seen != want {
		t.Errorf("%d came out of %d", seen, want)
	}
}

func distinct(n int) int {
	m := map[uint32]bool{}
	for i := range n {
		m[uint32(i)*2654435761%uint32(n/2)] = true
	}
	return len(m)
}
