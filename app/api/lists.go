package api

import (
	"context"
	"io"
	"time"
)

// List is a blocklist and the choices that were made for it. Its id is made of a-z, 0-9
// and -, and never changes.
type List struct {
	ID         string          `json:"id"`
	Name       string          `json:"name"`
	URL        string          `json:"url,omitempty"` // empty: it is given its text by ImportList
	Format     string          `json:"format"`        // "auto": found by content
	Category   string          `json:"category"`      // malware, ads, tracking or own
	Action     string          `json:"action"`        // block, or warn
	On         bool            `json:"on"`
	Every      Seconds         `json:"every_seconds,omitempty"` // between fetches; 0: a day
	Insecure   bool            `json:"insecure,omitempty"`      // may come over plain HTTP
	Exceptions []ListException `json:"exceptions,omitempty"`
}

// ListException makes a list silent for a program (flow.Program.Key), for an entry (a
// name with all below, an address or a network), or for both together.
type ListException struct {
	Program string `json:"program,omitempty"`
	Entry   string `json:"entry,omitempty"`
}

// ListState is a list and how it is.
type ListState struct {
	List
	Found     string        `json:"found_format,omitempty"` // how the copy is written
	Names     int           `json:"names"`
	Networks  int           `json:"networks"`
	Pages     int           `json:"pages"`
	TakesBack int           `json:"takes_back,omitempty"` // its own exceptions, counted in the three above
	Left      int           `json:"left,omitempty"`       // lines that mean nothing to a firewall
	Broken    int           `json:"broken,omitempty"`     // lines that could not be understood
	First     []SkippedLine `json:"first,omitempty"`      // the first few of both
	Fetched   time.Time     `json:"fetched,omitzero"`     // when the copy in use came
	Checked   time.Time     `json:"checked,omitzero"`     // when it was last known to be the newest
	Due       time.Time     `json:"due,omitzero"`         // when it is fetched next
	Error     string        `json:"error,omitempty"`      // of the last attempt; the last good copy stays
	Do        string        `json:"do,omitempty"`
	Hits      uint64        `json:"hits"` // since the service started
	Busy      bool          `json:"busy"` // on, and not in use yet
}

// Entries counts what may block or warn.
func (s *ListState) Entries() int { return s.Names + s.Networks + s.Pages - s.TakesBack }

// SkippedLine is a line of a list that gave no entry.
type SkippedLine struct {
	Line int    `json:"line"` // from 1
	Text string `json:"text"`
	Why  string `json:"why"`
}

// KnownList is one of the catalogue, which is off until somebody adds it. About is the key
// of a sentence in the translations. A Zone is a DNS-based list of mail senders, for
// SetSenderLists: its name is List.Name.
type KnownList struct {
	List
	About   string `json:"about"`
	Home    string `json:"home"`
	Licence string `json:"licence,omitempty"`
	Zone    bool   `json:"zone,omitempty"`
}

// ListProgress tells how far long work is; Total is 0 while it isn't known.
type ListProgress struct {
	List  string `json:"list,omitempty"` // its id; empty: all of them
	Stage string `json:"stage"`          // fetching, checking, compiling, ready or failed
	Done  int64  `json:"done"`
	Total int64  `json:"total,omitempty"`
}

// ListHit is an entry that a name or an address matched.
type ListHit struct {
	List     string `json:"list"` // its id
	Name     string `json:"name"`
	Category string `json:"category"`
	Action   string `json:"action"`
	Entry    string `json:"entry"`
	Matched  string `json:"matched"`
}

// SenderLists are the DNS-based lists that are asked about who sends mail to this machine.
type SenderLists struct {
	Zones    []string     `json:"zones"`                      // none: nobody is asked
	Ports    []uint16     `json:"ports"`                      // none: 25, 465 and 587
	Deadline Seconds      `json:"deadline_seconds,omitempty"` // for which a sender waits; 0: 300 ms
	Counters SenderCounts `json:"counters"`                   // not to be set
}

// SenderCounts count senders since the service started; Failed counts questions.
type SenderCounts struct {
	Checked uint64 `json:"checked"`
	Listed  uint64 `json:"listed"`
	Late    uint64 `json:"late"` // who had to be let go on before the answer
	Failed  uint64 `json:"failed"`
}

// Blocklists is what can be asked about lists. Administrators change them, everybody may
// see and try them.
type Blocklists interface {
	Lists(ctx context.Context) ([]ListState, error)
	KnownLists(ctx context.Context) ([]KnownList, error)
	// SaveList adds a list, or replaces the choices for the one with its id. A new one with
	// an address is fetched by itself soon, and at once by UpdateLists.
	SaveList(ctx context.Context, l List, add bool) error
	RemoveList(ctx context.Context, id string) error
	// UpdateLists fetches a list now, or all that are on for "", and returns once it is in use.
	UpdateLists(ctx context.Context, id string, f func(ListProgress)) error
	// ImportList gives a list its text.
	ImportList(ctx context.Context, id string, r io.Reader) error
	// TestLists says on which lists that are on a host name or an address is.
	TestLists(ctx context.Context, what string) ([]ListHit, error)
	SenderLists(ctx context.Context) (SenderLists, error)
	SetSenderLists(ctx context.Context, s SenderLists) error
}
