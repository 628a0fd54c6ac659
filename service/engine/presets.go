package engine

import (
	"net/netip"
	"slices"

	"sekisho/app/flow"
	"sekisho/service/traffic"
)

// The presets: what every machine needs, each with a name under which it is shown and
// switched off.
const (
	presetLoopback = "loopback" // programs of this machine among themselves
	presetResolver = "resolver" // looking up names at the name servers that the system uses
	presetDHCP     = "dhcp"     // the system's DHCP client
	presetKernel   = "kernel"   // the kernel's own control messages, answers to ping among them
)

// Presets lists their names.
var Presets = []string{presetLoopback, presetResolver, presetDHCP, presetKernel}

// preset names the preset that lets f through, "" if none does.
func (e *Engine) preset(f *flow.Flow) string {
	a := f.Remote.Addr.Unmap()
	switch {
	case a.IsLoopback() && e.presetOn(presetLoopback):
		return presetLoopback
	case f.Process.Path == flow.ForwardedPath: // others' affair, not what this machine needs
		return ""
	case f.Process.Path == flow.KernelPath && control(f.Protocol) && e.presetOn(presetKernel):
		return presetKernel
	case f.Protocol == flow.UDP && f.Process.UID == 0 && (f.Remote.Port == 67 && f.Local.Port == 68 || f.Remote.Port == 547 && f.Local.Port == 546) && e.presetOn(presetDHCP):
		return presetDHCP
	case f.Direction == flow.Out && f.Remote.Port == 53 && (f.Protocol == flow.UDP || f.Protocol == flow.TCP) && e.isResolver(a) && e.presetOn(presetResolver):
		return presetResolver
	}
	return ""
}

// control reports whether machines keep a network running by p: neighbour discovery, errors,
// ping, and who listens to which group.
func control(p flow.Protocol) bool {
	return p == flow.ICMP || p == flow.ICMPv6 || p == flow.IGMP
}

func (e *Engine) presetOn(name string) bool {
	return !slices.Contains(e.settings.DisabledPresets, name)
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
