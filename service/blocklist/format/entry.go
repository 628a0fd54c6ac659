package format

import "net/netip"

// Entry is one thing that a list names: a name, a network or the address of a page.
// Exactly one of Name, Network and URL is set.
type Entry struct {
	Name  string // ASCII, lower case, no dot at either end
	Exact bool   // Name itself
	Below bool   // every name under Name

	Network netip.Prefix // masked; a range is several networks

	URL string // what URLKey gives

	// Exception takes back what the same list blocks, never what another does. The more
	// specific of an exception and an entry decides, and the exception if they are equal;
	// one that Overrides wins over any.
	Exception bool
	Overrides bool
}

// Line is a line that gave no entry.
type Line struct {
	Number int    `json:"line"` // from 1
	Text   string `json:"text"` // cut, and without control characters
	Why    string `json:"why"`
}

// Report says what a list held.
type Report struct {
	Format     Format `json:"format"`
	Names      int    `json:"names"`
	Networks   int    `json:"networks"`
	URLs       int    `json:"urls"`
	Exceptions int    `json:"exceptions,omitempty"` // counted in the three above as well
	Left       int    `json:"left,omitempty"`       // lines that were understood and mean nothing to a firewall
	Broken     int    `json:"broken,omitempty"`     // lines that couldn't be understood
	First      []Line `json:"first,omitempty"`      // the first few of both
}

// Entries counts all that may block.
func (r *Report) Entries() int { return r.Names + r.Networks + r.URLs - r.Exceptions }

// Refusal says why a list isn't taken and what can be done. It is no fault of the
// connection: fetching the same text again won't help.
type Refusal struct {
	Line int    // 0: the whole
	Why  string // one plain sentence without a dot
	Do   string // what to do, likewise
}

func (r *Refusal) Error() string {
	s := r.Why
	if r.Line > 0 {
		s = "line " + itoa(r.Line) + ": " + s
	}
	if r.Do != "" {
		s += "; " + r.Do
	}
	return s
}
