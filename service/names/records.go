package names

import (
	"errors"
	"fmt"
	"slices"
)

// FromRecords is what follows from records (RFC 1035, 4.1.3, without compression) for who
// asked for the first of asked and was led on to the others, in order. Records that can't
// be read are left out; errors wrap ErrMalformed.
func FromRecords(asked []string, raw [][]byte) (Answer, error) {
	var records []resource
	if len(asked) == 0 {
		return Answer{}, fmt.Errorf("%w: no question", ErrMalformed)
	}
	for i := range asked {
		name, ok := HostName(asked[i])
		if !ok {
			return Answer{}, fmt.Errorf("%w: %q is no host's name", ErrMalformed, asked[i])
		}
		asked[i] = name
	}
	var broken error
	left := maxNames
	for _, b := range raw[:min(len(raw), maxRecords)] {
		w := walker{msg: b, left: left}
		r, end, counts, err := w.record(0)
		left = w.left
		if err == nil && end != len(b) {
			err = fmt.Errorf("%w: a record of another length", ErrMalformed)
		}
		if err != nil {
			broken = errors.Join(broken, err)
		} else if counts {
			records = append(records, r)
		}
	}
	// Each name that it was led to is looked for anew: what is found may be of any of them.
	a := Answer{Question: asked[0]}
	for i, name := range slices.Backward(asked) {
		from := follow(Query{Question: name}, records)
		if len(from.Addrs) > 0 || i == 0 {
			a.Addrs, a.TTL = from.Addrs, from.TTL
			for _, alias := range append(slices.Clone(asked[1:i+1]), from.Chain...) {
				if alias != a.Question && !slices.Contains(a.Chain, alias) && len(a.Chain) < maxChain {
					a.Chain = append(a.Chain, alias)
				}
			}
			break
		}
	}
	return a, broken
}
