package ruleset

import (
	"bytes"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// shownMost is how many elements of a set without a name are written out.
const shownMost = 16

func (w *writer) lookup(a attrs) {
	x := w.rule.chain.table.sets[a.text(unix.NFTA_LOOKUP_SET)]
	if x == nil {
		w.say("lookup @%s", a.text(unix.NFTA_LOOKUP_SET))
		return
	}
	terms := w.concatenation(cellOf(a.u32(unix.NFTA_LOOKUP_SREG)), x.keyLen)
	var names []string
	for _, t := range terms {
		names = append(names, t.text+t.mask)
	}
	key := strings.Join(names, " . ")
	sign := ""
	if a.u32(unix.NFTA_LOOKUP_FLAGS)&unix.NFT_LOOKUP_F_INV != 0 {
		sign = "!= "
	}
	what := "@" + x.name
	if x.flags&unix.NFT_SET_ANONYMOUS != 0 {
		what = w.elements(x, terms)
	}
	switch isMap := a.has(unix.NFTA_LOOKUP_DREG); {
	case isMap && a.u32(unix.NFTA_LOOKUP_DREG) == 0: // NFT_REG_VERDICT
		w.say("%s vmap %s", key, what)
	case isMap:
		w.put(a.u32(unix.NFTA_LOOKUP_DREG), term{text: key + " map " + what, kind: hexadecimal})
	default:
		w.say("%s %s%s", key, sign, what)
	}
}

// concatenation are the terms that fill so many bytes from a cell on.
func (w *writer) concatenation(cell, n int) []term {
	var all []term
	for at := 0; at < n && cell < cells; {
		t := w.terms[cell]
		if t == nil {
			t = &term{text: "?", kind: hexadecimal}
		}
		all = append(all, *t)
		size := max(t.len, cellLen)
		if t.kind == interfaceName || t.kind == address6 || t.kind == address && n-at >= 16 {
			size = 16
		}
		step := (size + cellLen - 1) / cellLen
		cell, at = cell+step, at+step*cellLen
	}
	return all
}

func (w *writer) elements(x *set, terms []term) string {
	elements, err := w.set.list(x)
	if err != nil {
		return "{ ? }"
	}
	var all []string
	for i, e := range elements {
		if i == shownMost {
			all = append(all, fmt.Sprintf("… %d more", len(elements)-i))
			break
		}
		s := "*"
		if !e.catchAll {
			s = keyText(e, terms, x)
		}
		if v, ok := verdictOf(e.data); ok {
			s += " : " + v.text()
		} else if e.data != nil {
			s += " : " + literal(e.data[unix.NFTA_DATA_VALUE])
		}
		all = append(all, s)
	}
	return "{ " + strings.Join(all, ", ") + " }"
}

// keyText writes an element, part by part.
func keyText(e element, terms []term, x *set) string {
	var parts []string
	at := 0
	for i, t := range terms {
		n := x.keyLen - at
		if len(terms) > 1 {
			n = min(n, max(t.len, cellLen))
			if i < len(x.fields) {
				n = x.fields[i]
			}
		}
		if at+n > len(e.from) || at+n > len(e.to) {
			break
		}
		from, to := e.from[at:at+n], e.to[at:at+n]
		if t.len > 0 && t.len < n {
			from, to = from[:t.len], to[:t.len]
		}
		parts = append(parts, spanText(t.kind, from, to))
		at += (n + cellLen - 1) &^ (cellLen - 1)
	}
	return strings.Join(parts, " . ")
}

func spanText(k kind, from, to []byte) string {
	if bytes.Equal(from, to) {
		return k.format(from)
	}
	if k.isAddress() {
		diff := make([]byte, len(from))
		for i := range from {
			diff[i] = ^(from[i] ^ to[i])
		}
		host := bytes.Clone(from)
		for i := range host {
			host[i] &^= diff[i]
		}
		if n, ok := prefixLen(diff); ok && isZero(host) {
			return fmt.Sprintf("%s/%d", k.format(from), n)
		}
	}
	return k.format(from) + "-" + k.format(to)
}
