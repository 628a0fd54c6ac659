package engine

import (
	"net/netip"
	"os"
	"slices"

	"sekisho/app/flow"
	"sekisho/app/rule"
	"sekisho/service/traffic"
)

// presets are the Sets of shipped rules that are on, made anew when settings or the system's
// name servers change.
type presets struct {
	normal    *rule.Set
	essential *rule.Set // those that hold in lockdown too
	dhcp      *rule.Set // before every rule: an address comes before anybody who could answer
	resolvers []netip.Addr
	stale     bool // they changed, and the kernel does not know yet
}

func (e *Engine) presetOn(name string) bool {
	return !slices.Contains(e.settings.DisabledPresets, name)
}

// shipped is the presets as they are now.
func (e *Engine) shipped() *presets {
	now := e.c.Resolvers()
	if p := &e.presets; p.normal == nil || !slices.Equal(p.resolvers, now) {
		e.makePresets(now)
	}
	return &e.presets
}

func (e *Engine) makePresets(resolvers []netip.Addr) {
	set := func(of func(rule.Preset) bool) *rule.Set {
		return rule.PresetSet(resolvers, func(p rule.Preset) bool { return e.presetOn(p.Name) && of(p) })
	}
	e.presets = presets{
		normal:    set(func(rule.Preset) bool { return true }),
		essential: set(func(p rule.Preset) bool { return p.Essential }),
		dhcp:      set(func(p rule.Preset) bool { return p.Name == rule.PresetDHCP }),
		resolvers: slices.Clone(resolvers), stale: e.presets.normal != nil,
	}
}

// newResolvers makes a change of the name servers hold everywhere.
func (e *Engine) newResolvers() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.shipped().stale {
		e.presets.stale = false
		e.reconsider()
	}
}

// preset is what a Set of presets decides about f.
func (e *Engine) preset(of *rule.Set, f *flow.Flow) (flow.Decision, bool) {
	r, ok := of.Decide(e.presetQuery(f), e.c.Clock())
	if !ok {
		return flow.Decision{}, false
	}
	name, _ := rule.PresetOf(r.ID)
	if name == rule.PresetDHCP && !clientPort(f) {
		return flow.Decision{}, false
	}
	d := flow.Decision{Verdict: flow.Block, By: flow.By{Kind: flow.ByPreset, ID: r.ID, Name: name}}
	if r.Action == rule.Allow {
		d.Verdict = flow.Allow
	}
	return d, true
}

// presetQuery asks presets about f. A program that was replaced is none that they name.
func (e *Engine) presetQuery(f *flow.Flow) rule.Query {
	q := e.query(f)
	if !e.armed() {
		q.Network = ""
	}
	switch {
	case e.itself(f.Process):
		own := *f.Process
		own.Path = rule.OwnPath
		q.Process = &own
	case f.Process.Replaced:
		nameless := *f.Process
		nameless.Path, nameless.Script = "", ""
		q.Process = &nameless
	case f.Process.Path == flow.ForwardedPath && f.Remote.Addr.Unmap().IsLoopback():
		q.Process = nil // as the kernel does, which doesn't ask who talks to itself
	}
	return q
}

// itself reports whether p is this very service.
func (e *Engine) itself(p *flow.Process) bool {
	return int(p.PID) == os.Getpid() && p.UID == 0 && p.IsFile()
}

// forItself reports whether a decision is about one process, and not about whoever executes
// the same file.
func (e *Engine) forItself(d flow.Decision) bool {
	if d.By.Kind != flow.ByPreset {
		return false
	}
	r, ok := e.shipped().normal.Rule(d.By.ID)
	return !ok || d.By.Name == rule.PresetLists || r.User != "" || r.Program != (rule.Program{Path: r.Program.Path})
}

// clientPort reports whether a flow to or from a DHCP server is one by the client's port
// (RFC 2131, section 4.1; RFC 8415, section 7.2), where that is known.
func clientPort(f *flow.Flow) bool {
	switch f.Remote.Port {
	case 67:
		return f.Local.Port == 68 || f.Local.Port == 0
	case 547:
		return f.Local.Port == 546 || f.Local.Port == 0
	}
	return f.Direction == flow.In && f.Remote.Port == 0
}

// presetsBlock reports whether a preset may block a flow of the program at path that no
// rule is about. All that block hold in some networks only.
func (e *Engine) presetsBlock(path string, d flow.Direction) bool {
	return e.armed() && e.shipped().normal.Networked(path, d)
}

// explainPresets says what each preset thinks of f, until one decides.
func (e *Engine) explainPresets(f *flow.Flow, step func(what string, d flow.Decision, decided bool, why string) bool) bool {
	d, ok := e.preset(e.shipped().normal, f)
	for _, n := range rule.PresetNames() {
		switch {
		case !e.presetOn(n):
			step("preset "+n, d, false, "It is switched off.")
		case ok && d.By.Name == n:
			return step("preset "+n, d, true, presetSentence(d))
		case n == rule.PresetPublic && !e.armed():
			step("preset "+n, d, false, "It waits until somebody has said of a network what it is (sekishoctl networks).")
		default:
			step("preset "+n, d, false, presetAbout[n])
		}
	}
	return false
}

// presetAbout says what a preset looks for, where it is something else.
var presetAbout = map[string]string{
	rule.PresetLoopback: "It is about addresses of this machine itself.",
	rule.PresetResolver: "It is about the name servers that the system uses.",
	rule.PresetDHCP:     "It is about the system's own DHCP client.",
	rule.PresetKernel:   "It is about the kernel's own control messages.",
	rule.PresetTime:     "It is about the programs that set the clock.",
	rule.PresetUpdates:  "It is about the programs that update the system.",
	rule.PresetMDNS:     "It is about names and services of the local network.",
	rule.PresetPrinters: "It is about the print service and printers of the local network.",
	rule.PresetLists:    "It is about the firewall itself, which fetches blocklists.",
	rule.PresetPublic:   "It is about what comes in on public networks.",
}

func presetSentence(d flow.Decision) string {
	switch d.By.Name {
	case rule.PresetLoopback:
		return "Programs of this machine may talk among themselves."
	case rule.PresetResolver:
		return "Programs may look up names at the name servers that the system uses."
	case rule.PresetDHCP:
		return "The system may ask the network for its address."
	case rule.PresetKernel:
		return "The kernel may answer pings and keep the network running."
	case rule.PresetTime:
		return "The system may set its clock."
	case rule.PresetUpdates:
		return "The system may fetch its updates."
	case rule.PresetMDNS:
		if d.Verdict == flow.Block {
			return "A public network needn't know this machine's name and what it offers."
		}
		return "The system may find names and services of the local network."
	case rule.PresetLists:
		return "The firewall may fetch the blocklists that you have chosen."
	case rule.PresetPrinters:
		return "The print service may reach printers of the local network."
	}
	return "On a public network nobody comes in, unless a rule says so."
}

// Believes reports whether an answer of a name server names addresses for the program
// that asked there through a socket. Anybody can run a name server that says anything:
// the system's are believed, and one that a rule or a person let this program ask. It may
// be called from any goroutine.
func (e *Engine) Believes(over flow.Protocol, server netip.Addr, cookie uint64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	server = server.Unmap()
	if e.isResolver(server) {
		return true
	}
	f := e.live.Get(traffic.Key{Cookie: cookie, Protocol: over, Remote: netip.AddrPortFrom(server, 53)})
	return f != nil && f.Decision.Verdict == flow.Allow && f.Decision.By.Kind != flow.ByMode
}

func (e *Engine) isResolver(a netip.Addr) bool {
	return slices.Contains(e.c.Resolvers(), a.WithZone(""))
}
