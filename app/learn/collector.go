package learn

import (
	"net/netip"
	"slices"
	"sync"

	"sekisho/app/flow"
	"sekisho/app/rule"
)

// Bounds of a Collector.
const (
	MaxPrograms = 256
	maxNotes    = 300 // of one program, with all that they tell
	maxFolded   = 100 // of one program, without the remote end
)

// Skip is why a flow was not noted.
type Skip string

const (
	SkipDecided  Skip = "decided"  // a rule, a list, a preset or a person decided it, or it was blocked
	SkipOdd      Skip = "odd"      // a warning speaks against it
	SkipLoopback Skip = "loopback" // the machine with itself
	SkipUnknown  Skip = "unknown"  // no program was found
	SkipFull     Skip = "full"     // there are MaxPrograms
)

// Collector notes flows. Its memory is bounded, however many there are: what a program
// does beyond the bounds is noted by port only, and then by protocol only. Any goroutine
// may use it.
type Collector struct {
	mu       sync.Mutex // guards what is below
	programs map[rule.Program]*noted
	skipped  map[Skip]uint64
}

// noted is the notes of one program. They share the text of its name.
type noted struct {
	program rule.Program
	notes   map[Key]*Note
}

// NewCollector makes an empty one, or one that goes on from notes that Notes gave.
func NewCollector(notes []Note) *Collector {
	c := &Collector{programs: map[rule.Program]*noted{}, skipped: map[Skip]uint64{}}
	for _, n := range notes {
		if of := c.of(&n.Key); of != nil {
			n.Users = slices.Clone(n.Users)
			of.notes[n.Key] = &n
		}
	}
	return c
}

// Observe notes f, which has its decision, and says why not if it doesn't.
func (c *Collector) Observe(f *flow.Flow, facts Facts) Skip {
	skip := skipOf(f, facts.Odd)
	c.mu.Lock()
	defer c.mu.Unlock()
	if skip == "" {
		skip = c.note(f, keyOf(f, facts))
	}
	if skip != "" {
		c.skipped[skip]++
	}
	return skip
}

func skipOf(f *flow.Flow, odd bool) Skip {
	switch {
	case f.Decision.Verdict != flow.Allow || f.Decision.By.Kind != flow.ByMode:
		return SkipDecided
	case f.Remote.Addr.Unmap().IsLoopback():
		return SkipLoopback
	case f.Process == nil || f.Process.Path == "" || f.Process.Replaced:
		return SkipUnknown
	case odd:
		return SkipOdd
	}
	return ""
}

// of is what was noted of k's program; nil if there is no room for another one.
func (c *Collector) of(k *Key) *noted {
	p := k.program()
	of, ok := c.programs[p]
	if !ok && len(c.programs) < MaxPrograms {
		of = &noted{p, map[Key]*Note{}}
		c.programs[p] = of
	}
	switch {
	case of == nil:
	case k.App != "":
		k.App = of.program.App
	default:
		k.Path, k.Script = of.program.Path, of.program.Script
	}
	return of
}

func (c *Collector) note(f *flow.Flow, k Key) Skip {
	of := c.of(&k)
	if of == nil {
		return SkipFull
	}
	n := of.notes[k]
	if n == nil && len(of.notes) >= maxNotes {
		k.Name, k.Addr, k.LAN, k.Network = "", netip.Addr{}, false, ""
		if n = of.notes[k]; n == nil && len(of.notes) >= maxNotes+maxFolded {
			k.Port = 0
			n = of.notes[k]
		}
	}
	if n == nil {
		n = &Note{Key: k}
		of.notes[k] = n
	}
	n.add(f.Process.UID, f.Time)
	return ""
}

// Notes returns all that was noted, in a fixed order.
func (c *Collector) Notes() []Note {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []Note
	for _, of := range c.programs {
		for _, n := range of.notes {
			m := *n
			m.Users = slices.Clone(n.Users)
			all = append(all, m)
		}
	}
	sortNotes(all)
	return all
}

func sortNotes(all []Note) {
	slices.SortFunc(all, func(a, b Note) int { return a.Key.compare(&b.Key) })
}

// Skipped returns how many flows were not noted, by why.
func (c *Collector) Skipped() map[Skip]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := make(map[Skip]uint64, len(c.skipped))
	for k, n := range c.skipped {
		m[k] = n
	}
	return m
}
