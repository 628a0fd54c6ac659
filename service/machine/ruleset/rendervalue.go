package ruleset

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

var operators = []string{"", "!= ", "< ", "<= ", "> ", ">= "}

func (w *writer) compare(a attrs) {
	t, data := w.get(a.u32(unix.NFTA_CMP_SREG)), a.nested(unix.NFTA_CMP_DATA)[unix.NFTA_DATA_VALUE]
	op := a.u32(unix.NFTA_CMP_OP)
	if t.bits && isZero(data) && op == cmpNeq {
		w.say("%s", t.text)
		return
	}
	if t.kind == twoPorts && len(data) == 4 && op == cmpEq {
		p := w.transportName()
		w.say("%s sport %d %s dport %d", p, binary.BigEndian.Uint16(data), p, binary.BigEndian.Uint16(data[2:]))
		return
	}
	name := t.text + t.mask
	sign := ""
	if int(op) < len(operators) {
		sign = operators[op]
	}
	w.say("%s %s%s", name, sign, t.kind.format(data))
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

func (w *writer) between(a attrs) {
	t := w.get(a.u32(unix.NFTA_RANGE_SREG))
	from, to := a.nested(unix.NFTA_RANGE_FROM_DATA)[unix.NFTA_DATA_VALUE], a.nested(unix.NFTA_RANGE_TO_DATA)[unix.NFTA_DATA_VALUE]
	w.say("%s %s%s-%s", t.text, operators[a.u32(unix.NFTA_RANGE_OP)&1], t.kind.format(from), t.kind.format(to))
}

// bitwise: a mask of an address is its length; of bits with names, they are named.
func (w *writer) bitwise(a attrs) {
	t := w.get(a.u32(unix.NFTA_BITWISE_SREG))
	mask, xor := a.nested(unix.NFTA_BITWISE_MASK)[unix.NFTA_DATA_VALUE], a.nested(unix.NFTA_BITWISE_XOR)[unix.NFTA_DATA_VALUE]
	switch n, ok := prefixLen(mask); {
	case a.u32(6) != 0:
		t.text += " (calculated)"
	case t.kind.isAddress() && ok:
		t.kind = addressOf(n)
	case t.kind.isBits():
		t.bits, t.text = true, t.text+" "+t.kind.format(mask)
	default:
		t.mask = " & " + t.kind.hex(mask)
		if !isZero(xor) {
			t.mask += " ^ " + t.kind.hex(xor)
		}
	}
	w.put(a.u32(unix.NFTA_BITWISE_DREG), t)
}

func prefixLen(mask []byte) (int, bool) {
	n := 0
	for _, b := range mask {
		for i := 7; i >= 0; i-- {
			if b&(1<<i) == 0 {
				return n, isZero(mask[n/8+1:]) && b<<(7-i)&0xff == 0
			}
			n++
		}
	}
	return n, true
}

func (w *writer) immediate(a attrs) {
	d := a.nested(unix.NFTA_IMMEDIATE_DATA)
	if v, ok := verdictOf(d); ok {
		w.say("%s", v.text())
		return
	}
	w.put(a.u32(unix.NFTA_IMMEDIATE_DREG), term{text: literal(d[unix.NFTA_DATA_VALUE])})
}

// literal is a constant whose kind nobody says: by its length.
func literal(b []byte) string {
	switch len(b) {
	case 2:
		return number16.format(b)
	case 16:
		return address.format(b)
	}
	return number32.hex(b)
}

func (v verdict) text() string {
	switch v.code {
	case verdictDrop:
		return "drop"
	case verdictAccept:
		return "accept"
	case verdictContinue:
		return "continue"
	case verdictReturn:
		return "return"
	case verdictJump:
		return "jump " + v.chain
	case verdictGoto:
		return "goto " + v.chain
	}
	if v.code&0xff == 3 {
		return fmt.Sprintf("queue num %d", v.code>>16)
	}
	return fmt.Sprintf("verdict %d", v.code)
}
