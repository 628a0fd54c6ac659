package blocklist

import (
	"net/netip"

	"sekisho/app/flow"
	"sekisho/service/blocklist/compiled"
	"sekisho/service/blocklist/format"
)

// Query is what a flow looks like to the lists.
type Query struct {
	Direction flow.Direction // In: only Addr is looked up
	Program   string         // flow.Program.Key, for exceptions
	Name      string         // what the program asked for, empty if unknown
	Aliases   []string       // the names that Name led to, by CNAME
	Addr      netip.Addr
}

// Hit is an entry that a flow matched.
type Hit struct {
	List     string // its id
	Name     string // its name
	Category Category
	Action   Action
	Entry    string // as people write it: a name, *.name, an address, a network, a page
	Matched  string // the name or address of the flow that it matched
}

// Finding is what the lists say of a flow; the zero Finding is nothing. It can't allow.
type Finding struct{ Hits []Hit }

// Block is the first hit of a list that blocks, or nil.
func (f *Finding) Block() *Hit {
	for i := range f.Hits {
		if f.Hits[i].Action == Block {
			return &f.Hits[i]
		}
	}
	return nil
}

// Warnings are the hits of lists that only warn.
func (f *Finding) Warnings() []Hit {
	var w []Hit
	for _, h := range f.Hits {
		if h.Action == Warn {
			w = append(w, h)
		}
	}
	return w
}

// view is a compiled file with the choices for its lists; it is never written to.
type view struct {
	file  *compiled.File // nil: nothing compiled yet
	lists []*choice      // by the file's numbers; nil: off or gone
	any   bool           // some list is on
	pages bool           // some list on may name pages
}

// choice is a list that is on.
type choice struct {
	List
	excepts []except
}

// acquire gives the newest view and holds its file, or nil.
func (b *Book) acquire() *view {
	for {
		v := b.view.Load()
		if v == nil || v.file == nil || !v.any {
			return nil
		}
		if v.file.Acquire() {
			return v
		}
	}
}

// Active says whether any list could match anything: if not, nothing needs to be
// looked up. pages says whether the page of a plain HTTP request could matter.
func (b *Book) Active() (names, pages bool) {
	v := b.view.Load()
	return v != nil && v.file != nil && v.any, v != nil && v.file != nil && v.pages
}

// Look says what the lists know of a flow. It may be called from any goroutine, takes
// no lock, and allocates nothing when there is nothing.
func (b *Book) Look(q Query) Finding {
	v := b.acquire()
	if v == nil {
		return Finding{}
	}
	defer v.file.Release()
	var buf [8]compiled.Match
	var f Finding
	addr := q.Addr.Unmap().WithZone("")
	if q.Direction == flow.Out {
		for i := -1; i < len(q.Aliases); i++ {
			n := q.Name
			if i >= 0 {
				n = q.Aliases[i]
			}
			if n, ok := format.CleanName(n); ok {
				f.add(v, v.file.AppendName(buf[:0], n), &q, n)
			}
		}
	}
	if addr.IsValid() && !format.OfNoHost(addr) {
		if ms := v.file.AppendAddr(buf[:0], addr); len(ms) > 0 {
			f.add(v, ms, &q, addr.String())
		}
	}
	return f
}

// Count adds a finding that a flow was stopped or its person warned for to the hits
// that Status tells. It may be called from any goroutine.
func (b *Book) Count(f Finding) {
	if len(f.Hits) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range f.Hits {
		b.hits[f.Hits[i].List]++
	}
}

// LookPage says what the lists know of a plain HTTP request: host is the Host header or
// the flow's own name or address with its port, target what is asked for.
func (b *Book) LookPage(q Query, host, target string) Finding {
	v := b.acquire()
	if v == nil {
		return Finding{}
	}
	defer v.file.Release()
	var f Finding
	if ms := v.file.AppendURL(nil, host, target); len(ms) > 0 {
		f.add(v, ms, &q, host)
	}
	return f
}

// add takes matches of lists that are on and have no exception for them.
func (f *Finding) add(v *view, ms []compiled.Match, q *Query, matched string) {
	for i := range ms {
		c := v.lists[ms[i].List]
		if c == nil || c.excepted(q, matched) {
			continue
		}
		f.Hits = append(f.Hits, Hit{List: c.ID, Name: c.Name, Category: c.Category, Action: c.Action,
			Entry: ms[i].Entry(), Matched: matched})
	}
}

func (c *choice) excepted(q *Query, matched string) bool {
	if len(c.excepts) == 0 {
		return false
	}
	names := append([]string{q.Name, matched}, q.Aliases...)
	for i, n := range names {
		names[i], _ = format.CleanName(n)
	}
	for i := range c.excepts {
		if c.excepts[i].covers(q.Program, names, q.Addr.Unmap().WithZone("")) {
			return true
		}
	}
	return false
}
