package ruleset

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// set is a set or a map of a table. Its elements are read when they are first needed:
// some have a million.
type set struct {
	table    *table
	name     string
	flags    uint32
	keyLen   int
	keyType  uint32
	dataLen  int
	fields   []int // lengths of a concatenation's parts
	elements []element
	read     bool
	asked    map[string]*element // by key, of those that were asked for alone
	err      error
}

// element holds the keys from..to, both inclusive.
type element struct {
	from, to []byte
	data     attrs // of a map
	doubt    string
	catchAll bool
}

func (s *Ruleset) addSet(f Family, a attrs) {
	t := s.find(f, a.text(unix.NFTA_SET_TABLE))
	if t == nil {
		return
	}
	x := &set{table: t, name: a.text(unix.NFTA_SET_NAME), flags: a.u32(unix.NFTA_SET_FLAGS), keyLen: min(int(a.u32(unix.NFTA_SET_KEY_LEN)), cells*cellLen),
		keyType: a.u32(unix.NFTA_SET_KEY_TYPE), dataLen: int(a.u32(unix.NFTA_SET_DATA_LEN))}
	const concat, fieldLen = 2, 1 // NFTA_SET_DESC_CONCAT, NFTA_SET_FIELD_LEN
	each(a.nested(unix.NFTA_SET_DESC)[concat], func(_ uint16, field []byte) {
		x.fields = append(x.fields, int(parse(field).u32(fieldLen)))
	})
	t.sets[x.name] = x
}

// list reads the elements.
func (s *Ruleset) list(x *set) ([]element, error) {
	if x.read {
		return x.elements, x.err
	}
	x.read = true
	msgs, err := s.ask(unix.NFT_MSG_GETSETELEM, netlink.Dump, byte(x.table.family), x.named()...)
	if err != nil {
		x.err = fmt.Errorf("read the set %s of %s: %w", x.name, x.table.name, err)
		return nil, x.err
	}
	x.elements = x.spans(elementsOf(msgs))
	return x.elements, nil
}

// get asks the kernel for the element that a key is of, nil if there is none.
func (s *Ruleset) get(x *set, key []byte) (*element, error) {
	if e, ok := x.asked[string(key)]; ok {
		return e, nil
	}
	const catchAll = 2
	var found *element
	for _, of := range [][]byte{
		attribute(unix.NFTA_SET_ELEM_KEY, attribute(unix.NFTA_DATA_VALUE, key)),
		attribute(unix.NFTA_SET_ELEM_FLAGS, []byte{0, 0, 0, catchAll}),
	} {
		msgs, err := s.ask(unix.NFT_MSG_GETSETELEM, 0, byte(x.table.family), x.named(netlink.Attribute{
			Type: unix.NLA_F_NESTED | unix.NFTA_SET_ELEM_LIST_ELEMENTS, Data: attribute(unix.NLA_F_NESTED|unix.NFTA_LIST_ELEM, of)})...)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) && found == nil {
			continue // kernels before 5.13 have nothing that catches all
		}
		if err != nil {
			return nil, fmt.Errorf("read the set %s of %s: %w", x.name, x.table.name, err)
		}
		if marks := elementsOf(msgs); len(marks) > 0 {
			found = &marks[0].element
			break
		}
	}
	if x.asked == nil {
		x.asked = map[string]*element{}
	}
	x.asked[string(key)] = found
	return found, nil
}

// named are the attributes that name the set, and more.
func (x *set) named(more ...netlink.Attribute) []netlink.Attribute {
	return append([]netlink.Attribute{
		{Type: unix.NFTA_SET_ELEM_LIST_TABLE, Data: append([]byte(x.table.name), 0)},
		{Type: unix.NFTA_SET_ELEM_LIST_SET, Data: append([]byte(x.name), 0)},
	}, more...)
}

func elementsOf(msgs []netlink.Message) []bound {
	var marks []bound
	for _, m := range msgs {
		if len(m.Data) < 4 {
			continue
		}
		each(parse(m.Data[4:])[unix.NFTA_SET_ELEM_LIST_ELEMENTS], func(_ uint16, b []byte) {
			marks = append(marks, boundOf(parse(b)))
		})
	}
	return marks
}

// bound is an element as the kernel lists it: of some sets of intervals, where one begins
// or where one ends.
type bound struct {
	element
	ends bool
}

func boundOf(a attrs) bound {
	const catchAll, objref, keyEnd, expressions = 2, 9, 10, 11
	key := a.nested(unix.NFTA_SET_ELEM_KEY)[unix.NFTA_DATA_VALUE]
	b := bound{element: element{from: key, to: key}, ends: a.u32(unix.NFTA_SET_ELEM_FLAGS)&unix.NFT_SET_ELEM_INTERVAL_END != 0}
	b.catchAll = a.u32(unix.NFTA_SET_ELEM_FLAGS)&catchAll != 0
	if a.has(keyEnd) {
		b.to = a.nested(keyEnd)[unix.NFTA_DATA_VALUE]
	}
	if a.has(unix.NFTA_SET_ELEM_DATA) {
		b.data = a.nested(unix.NFTA_SET_ELEM_DATA)
	}
	doubt := func(e attrs) {
		if name := e.text(unix.NFTA_EXPR_NAME); stateful[name] != "" {
			b.doubt = stateful[name]
		}
	}
	doubt(a.nested(unix.NFTA_SET_ELEM_EXPR))
	each(a[expressions], func(_ uint16, v []byte) { doubt(parse(v)) })
	return b
}

// spans are the elements; of a set of plain intervals, between where one begins and the
// byte before the next mark.
func (x *set) spans(marks []bound) []element {
	var all []element
	if x.flags&unix.NFT_SET_INTERVAL == 0 || len(x.fields) > 1 {
		for _, m := range marks {
			all = append(all, m.element)
		}
		slices.SortStableFunc(all, func(a, b element) int { return bytes.Compare(a.from, b.from) })
		return all
	}
	slices.SortStableFunc(marks, func(a, b bound) int {
		if n := bytes.Compare(a.from, b.from); n != 0 {
			return n
		}
		return both01(b.ends) - both01(a.ends) // what ends there comes first
	})
	for i, m := range marks {
		switch {
		case m.catchAll:
			all = append(all, m.element)
		case m.ends:
		default:
			m.to = bytes.Repeat([]byte{0xff}, x.keyLen)
			for _, next := range marks[i+1:] {
				if !next.catchAll {
					m.to = before(next.from)
					break
				}
			}
			all = append(all, m.element)
		}
	}
	return all
}

// before is one less.
func before(b []byte) []byte {
	b = slices.Clone(b)
	for i := len(b) - 1; i >= 0; i-- {
		b[i]--
		if b[i] != 0xff {
			break
		}
	}
	return b
}

// holds says whether a key is of an element.
func (x *set) holds(e *element, key value) truth {
	fields := x.fields
	switch {
	case len(fields) > 1:
	case x.flags&unix.NFT_SET_INTERVAL != 0 || x.keyLen <= cellLen:
		fields = []int{x.keyLen}
	default: // single values are equal if all their parts are
		fields = slices.Repeat([]int{cellLen}, x.keyLen/cellLen)
		if rest := x.keyLen % cellLen; rest > 0 {
			fields = append(fields, rest)
		}
	}
	t, at := yes, 0
	for _, n := range fields {
		if at+n > len(key.lo) || at+n > len(e.from) || at+n > len(e.to) {
			break
		}
		switch key.slice(at, n).within(e.from[at:at+n], e.to[at:at+n]) {
		case no:
			return no
		case maybe:
			t = maybe
		}
		at += (n + cellLen - 1) &^ (cellLen - 1)
	}
	return t
}

func (w *world) lookup(a attrs) verdict {
	x := w.chain.table.sets[a.text(unix.NFTA_LOOKUP_SET)]
	if x == nil {
		return w.when(maybe, "a set that is not there any more")
	}
	key := w.regs.load(a.u32(unix.NFTA_LOOKUP_SREG), x.keyLen)
	e, err := w.search(x, key)
	if err != nil {
		return w.when(maybe, err.Error())
	}
	inverted := a.u32(unix.NFTA_LOOKUP_FLAGS)&unix.NFT_LOOKUP_F_INV != 0
	if e == nil || inverted {
		if (e == nil) == inverted {
			return goOn
		}
		return stops
	}
	if !a.has(unix.NFTA_LOOKUP_DREG) {
		return goOn
	}
	if v, ok := verdictOf(e.data); ok {
		return w.decide(v)
	}
	w.regs.store(a.u32(unix.NFTA_LOOKUP_DREG), known(e.data[unix.NFTA_DATA_VALUE]...))
	return goOn
}

// search finds the element that a key is of. In a set with a name the kernel is asked for
// the key alone: it takes seconds to list large ones.
func (w *world) search(x *set, key value) (*element, error) {
	if x.flags&unix.NFT_SET_ANONYMOUS == 0 && key.isKnown() && !x.read {
		e, err := w.set.get(x, key.lo)
		if e == nil || err != nil || e.doubt == "" || w.ask(e.doubt) {
			return e, err
		}
		return nil, nil
	}
	elements, err := w.set.list(x)
	if err != nil {
		return nil, err
	}
	return w.pick(x, elements, key), nil
}

// pick finds the element that a key is of. Of a map, each that it may be of is tried.
func (w *world) pick(x *set, elements []element, key value) *element {
	var rest, perhaps *element
	var why string
	for i := range elements {
		e := &elements[i]
		if e.catchAll {
			rest = e
			continue
		}
		t := x.holds(e, key)
		if t == yes && e.doubt != "" {
			key.why, t = e.doubt, maybe
		}
		if t == maybe && e.data == nil {
			perhaps, why = e, key.why
			continue
		}
		if w.holds(t, key.why) {
			return e
		}
	}
	if perhaps != nil && w.ask(why) {
		return perhaps
	}
	return rest
}

// dynamic adds to a set; it matches if there was room.
func (w *world) dynamic(a attrs) verdict {
	const expressions = 10
	doubt := ""
	note := func(e attrs) {
		if d := stateful[e.text(unix.NFTA_EXPR_NAME)]; d != "" {
			doubt = d
		}
	}
	note(a.nested(unix.NFTA_DYNSET_EXPR))
	each(a[expressions], func(_ uint16, b []byte) { note(parse(b)) })
	if doubt != "" {
		return w.when(maybe, doubt)
	}
	if a.u32(unix.NFTA_DYNSET_FLAGS)&1 != 0 {
		return stops
	}
	return goOn
}
