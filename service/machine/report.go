package machine

import (
	"net/netip"

	"sekisho/service/machine/ruleset"
)

// Outcome is what becomes of a connection.
type Outcome = ruleset.Outcome

// Outcomes.
const (
	Passes   = ruleset.Passes
	Dropped  = ruleset.Dropped
	Rejected = ruleset.Rejected
	Perhaps  = ruleset.Perhaps
)

// Code says what a step is about. The command line and the tray have sentences for them.
type Code string

const (
	// Names. Values: name, server, search (the name that was asked for), file, error, answer.
	NameFound    Code = "name-found"
	NameInHosts  Code = "name-in-hosts"
	NameUnknown  Code = "name-unknown"   // the server says that there is no such name
	NameEmpty    Code = "name-empty"     // there is such a name, without an address
	NameNoAnswer Code = "name-no-answer" // the server is silent
	NameRefused  Code = "name-refused"   // the server answers with an error
	NameNoServer Code = "name-no-server" // no name server is set up
	NameInvalid  Code = "name-invalid"
	// A name of the local network (mDNS), which no name server is asked for.
	NameMulticast Code = "name-multicast"
	NameNotAsked  Code = "name-not-asked" // ResolveHere knows no address

	// Ways. Values: to, interface, gateway, source, table, rule, error.
	RouteFound       Code = "route-found"
	RouteMissing     Code = "route-missing"
	RouteUnreachable Code = "route-unreachable"
	RouteProhibited  Code = "route-prohibited"
	RouteBlackhole   Code = "route-blackhole"
	RouteError       Code = "route-error"
	LinkDown         Code = "link-down"
	LinkNoCarrier    Code = "link-no-carrier"
	NeighbourFailed  Code = "neighbour-failed" // the next hop does not answer on the local network
	PortZero         Code = "port-zero"

	// Packet filters: Step.Filter is set. Values: packet.
	FilterRule   Code = "filter-rule"
	FilterPolicy Code = "filter-policy"
	FilterDoubt  Code = "filter-doubt" // it can't be told whether this rule matches: Filter.Unsure

	// An attempt under the kernel's trace. Values: to, source, error, after.
	TryConnected Code = "try-connected"
	TryRefused   Code = "try-refused"
	TryFailed    Code = "try-failed"
	TryNoAnswer  Code = "try-no-answer"
	TrySent      Code = "try-sent"
	TryUntraced  Code = "try-untraced" // the kernel traces nothing, or somebody changed the filter
)

// Which packet of the conversation a step is about.
const (
	FirstPacket = "first"  // the one that begins
	Answer      = "answer" // the other end's
	NextPacket  = "next"   // what follows the answer
	// Neighbour discovery, without which IPv6 finds no next hop. What it found may be
	// remembered for a while, so what stops it may stop the connection.
	Neighbour = "neighbour"
)

// Step is one thing that has to do with the connection. Values are facts, never
// sentences; their names are listed at the codes.
type Step struct {
	Code    Code
	Outcome Outcome // what this step alone does; Passes if it stops nothing
	Values  map[string]string
	Filter  *ruleset.Step // a rule or policy of a packet filter
}

// Path is what becomes of the connection to one address.
type Path struct {
	Remote  netip.AddrPort
	Outcome Outcome
	Steps   []Step
	// Culprit is the step that stops it, or may stop it; nil if none does.
	Culprit *Step
}

// Report is what the machine does to a connection.
type Report struct {
	// Outcome is that of the best path: a program that is given several addresses
	// tries them all.
	Outcome Outcome
	// Names are the steps of finding the name's addresses; none for a bare address.
	Names []Step
	Paths []Path
	// Culprit is what stops the connection: a step of Names, or that of the first path.
	Culprit *Step
}

// conclude works out the outcome of the whole.
func (r *Report) conclude() {
	order := map[Outcome]int{Passes: 3, Perhaps: 2, Rejected: 1, Dropped: 1}
	for i := range r.Paths {
		if p := &r.Paths[i]; order[p.Outcome] > order[r.Outcome] {
			r.Outcome, r.Culprit = p.Outcome, p.Culprit
		}
	}
	if len(r.Paths) > 0 {
		return
	}
	r.Outcome = Dropped
	for i := range r.Names {
		if s := &r.Names[i]; s.Outcome != Passes {
			r.Outcome, r.Culprit = s.Outcome, s
		}
	}
}
