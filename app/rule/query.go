package rule

import (
	"net/netip"
	"strings"
	"time"

	"sekisho/app/flow"
)

// Clock is the time by which lifetimes are judged. Whoever asks reads it.
type Clock struct {
	Boot  string        // boot id
	Since time.Duration // CLOCK_BOOTTIME
	Wall  time.Time
}

// Query is one flow that wants a decision. Facts that are unknown are zero and match
// no operand; the Process may be nil when nothing is known of it.
type Query struct {
	Process   *flow.Process
	Direction flow.Direction
	Protocol  flow.Protocol
	Remote    flow.Endpoint // the address may be absent when only a name is asked about
	LocalPort uint16
	LAN       bool // Remote.Addr is on the local network; the caller works it out
	// Lists are the ids and names of the blocklists that Remote is on; the caller looks
	// them up if the Set's NeedsLists says so.
	Lists []string
	// Network is the profile of the network that the flow goes by, in the form that
	// NormalNetwork gives; the caller works it out.
	Network string
	// Named: only rules that name a remote end count. It is so for what a machine says to
	// itself, which rules about anything leave alone.
	Named bool
}

// QueryOf asks about f.
func QueryOf(f *flow.Flow, lan bool) Query {
	return Query{
		Process: f.Process, Direction: f.Direction, Protocol: f.Protocol,
		Remote: f.Remote, LocalPort: f.Local.Port, LAN: lan,
	}
}

// port is the one that rules look at: the service's, whoever began.
func (q *Query) port() uint16 {
	if q.Direction == flow.In {
		return q.LocalPort
	}
	return q.Remote.Port
}

var nobody = new(flow.Process)

// normal makes q comparable with normal rules. It allocates only for names that are
// in another form than they should be.
func (q *Query) normal() {
	if q.Process == nil {
		q.Process = nobody
	}
	q.Remote.Addr = plainAddr(q.Remote.Addr)
	if !isNormalName(q.Remote.Name) {
		q.Remote.Name = NormalName(q.Remote.Name)
	}
}

// plainAddr is a without its zone, and as IPv4 if it is IPv4 in IPv6.
func plainAddr(a netip.Addr) netip.Addr {
	if a.Is4() || !a.IsValid() {
		return a
	}
	return a.Unmap().WithZone("")
}

func isNormalName(s string) bool {
	for i := range len(s) {
		if c := s[i]; 'A' <= c && c <= 'Z' || c >= 0x80 || c == ' ' {
			return false
		}
	}
	return !strings.HasSuffix(s, ".")
}
