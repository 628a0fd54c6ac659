package ruleset

import (
	"bytes"
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

// TestBoundsAreTrue compares what is said of a value between bounds with every value there.
func TestBoundsAreTrue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lo := rapid.Uint16().Draw(t, "lo")
		hi := rapid.Uint16Range(lo, uint16(min(0xffff, int(lo)+600))).Draw(t, "hi")
		from := rapid.Uint16Range(lo-min(lo, 5), 0xffff).Draw(t, "from")
		to := rapid.Uint16Range(from, 0xffff).Draw(t, "to")
		mask := rapid.SampledFrom([]uint16{0xffff, 0xff00, 0x00ff, 0, 0x8000, 0x0101}).Draw(t, "mask")
		v := value{lo: be(lo), hi: be(hi)}
		for op := uint32(cmpEq); op <= cmpGte; op++ {
			agree(t, lo, hi, v.compare(op, be(from)), func(n uint16) bool { return relates(op, be(n), be(from)) })
		}
		agree(t, lo, hi, v.within(be(from), be(to)), func(n uint16) bool { return n >= from && n <= to })
		agree(t, lo, hi, v.masked(be(mask), be(0)).compare(cmpEq, be(from&mask)), func(n uint16) bool { return n&mask == from&mask })
	})
}

// A byte that the mask takes away may differ, too: then the bounds of the one behind it are none.
func TestBoundsBehindAMaskedByte(t *testing.T) {
	v := value{lo: be(0), hi: be(256)}
	if got := v.masked(be(0x00ff), be(0)).compare(cmpEq, be(0)); got != maybe {
		t.Errorf("said %d of 0 to 256", got)
	}
}

func be(n uint16) []byte { return binary.BigEndian.AppendUint16(nil, n) }

func relates(op uint32, a, b []byte) bool {
	n := bytes.Compare(a, b)
	return [...]bool{n == 0, n != 0, n < 0, n <= 0, n > 0, n >= 0}[op]
}

func agree(t *rapid.T, lo, hi uint16, got truth, is func(uint16) bool) {
	t.Helper()
	for n := int(lo); n <= int(hi); n++ {
		if b := is(uint16(n)); got != maybe && b != (got == yes) {
			t.Fatalf("of %d to %d: said %d, but for %d it is %v", lo, hi, got, n, b)
		}
	}
	if lo == hi && got == maybe {
		t.Fatalf("of %d alone nothing is said", lo)
	}
}

func TestSpansOfASet(t *testing.T) {
	mark := func(n byte, ends bool) bound {
		return bound{element: element{from: []byte{n}, to: []byte{n}}, ends: ends}
	}
	x := &set{flags: 0x4, keyLen: 1}
	// 10-19, 20-29 that touch, 40 to the end.
	x.elements = x.spans([]bound{mark(30, true), mark(20, false), mark(10, false), mark(20, true), mark(40, false), mark(0, true)})
	for n, want := range map[byte]truth{0: no, 9: no, 10: yes, 19: yes, 20: yes, 29: yes, 30: no, 39: no, 40: yes, 255: yes} {
		got := no
		for i := range x.elements {
			got = got.or(x.holds(&x.elements[i], known(n)))
		}
		if got != want {
			t.Errorf("%d: got %d, want %d", n, got, want)
		}
	}
	if got := x.holds(&x.elements[0], value{lo: []byte{15}, hi: []byte{25}}); got != maybe {
		t.Errorf("15 to 25 in 10-19: got %d, want maybe", got)
	}
}
