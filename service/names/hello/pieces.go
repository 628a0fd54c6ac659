package hello

import (
	"bytes"
	"slices"
)

// pieces puts CRYPTO frames, which come in any order, together.
type pieces struct {
	data   []byte
	have   []span // of data, sorted, apart from each other
	broken bool   // two said different things of one place, or it is too large
}

type span struct{ from, to int }

// maxSpans bounds what lies scattered: browsers cut a hello into a dozen pieces on purpose.
const maxSpans = 256

func (p *pieces) add(at uint64, b []byte) {
	if p.broken || len(b) == 0 {
		return
	}
	if at > MaxHello || at+uint64(len(b)) > MaxHello {
		p.broken = true
		return
	}
	from, to := int(at), int(at)+len(b)
	if to > len(p.data) {
		p.data = slices.Grow(p.data, to-len(p.data))[:to]
	}
	joined := span{from, to}
	var kept []span
	for _, s := range p.have {
		if s.to < from || s.from > to {
			kept = append(kept, s)
			continue
		}
		lo, hi := max(s.from, from), min(s.to, to)
		if lo < hi && !bytes.Equal(p.data[lo:hi], b[lo-from:hi-from]) {
			p.broken = true
			return
		}
		joined = span{min(joined.from, s.from), max(joined.to, s.to)}
	}
	copy(p.data[from:to], b)
	i := slices.IndexFunc(kept, func(s span) bool { return s.from > joined.from })
	if i < 0 {
		i = len(kept)
	}
	p.have = slices.Insert(kept, i, joined)
	p.broken = len(p.have) > maxSpans
}

// head is what came without a gap.
func (p *pieces) head() []byte {
	if len(p.have) == 0 || p.have[0].from > 0 {
		return nil
	}
	return p.data[:p.have[0].to]
}
