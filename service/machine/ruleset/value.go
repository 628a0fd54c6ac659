package ruleset

import (
	"bytes"
	"slices"
)

// truth is what is known of a condition.
type truth int8

const (
	no truth = iota
	yes
	maybe
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

func (t truth) not() truth {
	switch t {
	case yes:
		return no
	case no:
		return yes
	}
	return maybe
}

// value is some bytes of which two bounds are known, both inclusive, in the order in
// which the kernel compares them. Equal bounds are a value that is known. why says what
// it is where it isn't.
type value struct {
	lo, hi []byte
	why    string
}

func known(b ...byte) value { return value{lo: b, hi: b} }

// unknown is n bytes, as far as registers go, of which nothing is known.
func unknown(n int, why string) value {
	n = max(0, min(n, cells*cellLen))
	return value{lo: make([]byte, n), hi: bytes.Repeat([]byte{0xff}, n), why: why}
}

func (v value) isKnown() bool { return bytes.Equal(v.lo, v.hi) }

// compare relates v to b by an operator of nft_cmp_ops.
func (v value) compare(op uint32, b []byte) truth {
	n := min(len(v.lo), len(b))
	lo, hi := bytes.Compare(v.lo[:n], b[:n]), bytes.Compare(v.hi[:n], b[:n])
	switch op {
	case cmpEq:
		return v.equals(b[:n])
	case cmpNeq:
		return v.equals(b[:n]).not()
	case cmpLt:
		return both(lo < 0, hi < 0)
	case cmpLte:
		return both(lo <= 0, hi <= 0)
	case cmpGt:
		return both(lo > 0, hi > 0)
	case cmpGte:
		return both(lo >= 0, hi >= 0)
	}
	return maybe
}

func (v value) equals(b []byte) truth {
	if bytes.Equal(v.lo[:len(b)], v.hi[:len(b)]) {
		return truthOf(bytes.Equal(v.lo[:len(b)], b))
	}
	for i := range b {
		// Past the first byte that differs, the bounds say nothing of a byte by itself.
		if v.lo[i] != v.hi[i] {
			break
		}
		if v.lo[i] != b[i] {
			return no
		}
	}
	if bytes.Compare(v.lo[:len(b)], b) > 0 || bytes.Compare(v.hi[:len(b)], b) < 0 {
		return no
	}
	return maybe
}

// within says whether v is between two bounds, both inclusive.
func (v value) within(from, to []byte) truth {
	a, b := v.compare(cmpGte, from), v.compare(cmpLte, to)
	switch {
	case a == no || b == no:
		return no
	case a == yes && b == yes:
		return yes
	}
	return maybe
}

func both(a, b bool) truth {
	if a == b {
		return truthOf(a)
	}
	return maybe
}

// apply works out a function of known bytes; of others nothing is known but how many.
func (v value) apply(f func([]byte) []byte) value {
	if v.isKnown() {
		return known(f(slices.Clone(v.lo))...)
	}
	return unknown(len(v.lo), v.why)
}

func (v value) slice(from, n int) value {
	return value{lo: v.lo[from : from+n], hi: v.hi[from : from+n], why: v.why}
}

const (
	cellLen = 4
	cells   = 16
)

// registers are those of the kernel's little machine: 16 cells of four bytes. No field of
// which only bounds are known is longer than a cell, so bounds hold cell by cell.
type registers [cells]value

// cellOf is the first cell of a register: there are four long ones and 16 short ones.
func cellOf(register uint32) int {
	switch {
	case register >= 8 && register < 8+cells:
		return int(register) - 8
	case register >= 1 && register <= 4:
		return int(register-1) * 4
	}
	return 0
}

func (r *registers) store(register uint32, v value) {
	for i, c := 0, cellOf(register); i < len(v.lo) && c < cells; i, c = i+cellLen, c+1 {
		n := min(cellLen, len(v.lo)-i)
		piece := v.slice(i, n)
		r[c] = value{lo: pad(piece.lo), hi: pad(piece.hi), why: piece.why}
		if r[c].isKnown() {
			r[c].why = ""
		}
	}
}

func pad(b []byte) []byte { return append(slices.Clone(b), make([]byte, cellLen-len(b))...) }

func (r *registers) load(register uint32, n int) value {
	var v value
	n = max(0, min(n, cells*cellLen))
	for c := cellOf(register); len(v.lo) < n && c < cells; c++ {
		cell := r[c]
		if cell.lo == nil {
			cell = unknown(cellLen, "a register that nothing was put into")
		}
		v.lo, v.hi = append(v.lo, cell.lo...), append(v.hi, cell.hi...)
		if cell.why != "" {
			v.why = cell.why
		}
	}
	if len(v.lo) < n {
		return unknown(n, "a register that is not there")
	}
	return v.slice(0, n)
}
