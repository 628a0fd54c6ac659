package engine

import (
	"net/netip"
	"slices"

	"sekisho/service/bpf"
)

// nameKey is what a decision that came from a name depends on.
type nameKey struct {
	program string
	addr    netip.Addr
}

// exactRef finds an exact decision in the kernel again.
type exactRef struct {
	subject bpf.Subject
	peer    bpf.Peer
}

// taught is the exact decisions about programs that the kernel was told in this
// generation, by what they depend on and in the order in which it was told. Others decide
// how many there are: who connects from ever new addresses makes one each time. So the
// oldest go first, and those that are needed again are made again.
type taught struct {
	refs  map[nameKey][]exactRef
	order []taughtRef
	next  int // the oldest in order
}

type taughtRef struct {
	key nameKey
	ref exactRef
}

func newTaught() taught { return taught{refs: map[nameKey][]exactRef{}} }

// add notes a decision, and returns the one that must go for it.
func (t *taught) add(k nameKey, r exactRef) (old exactRef, full bool) {
	if slices.Contains(t.refs[k], r) {
		return exactRef{}, false
	}
	t.refs[k] = append(t.refs[k], r)
	if len(t.order) < maxTaught {
		t.order = append(t.order, taughtRef{k, r})
		return exactRef{}, false
	}
	o := t.order[t.next]
	t.order[t.next] = taughtRef{k, r}
	t.next = (t.next + 1) % maxTaught
	return o.ref, t.drop(o.key, o.ref)
}

// drop forgets one decision, and reports whether it was there.
func (t *taught) drop(k nameKey, r exactRef) bool {
	list := t.refs[k]
	i := slices.Index(list, r)
	if i < 0 {
		return false
	}
	if list = slices.Delete(list, i, i+1); len(list) == 0 {
		delete(t.refs, k)
	} else {
		t.refs[k] = list
	}
	return true
}

// take forgets all that depends on k, and returns it.
func (t *taught) take(k nameKey) []exactRef {
	list := t.refs[k]
	delete(t.refs, k)
	return list
}

// takeProgram forgets all that depends on names that a program looked up.
func (t *taught) takeProgram(program string) (all []exactRef) {
	for k := range t.refs {
		if k.program == program {
			all = append(all, t.take(k)...)
		}
	}
	return all
}
