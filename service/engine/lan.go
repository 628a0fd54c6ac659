package engine

import (
	"net"
	"net/netip"
	"slices"
	"time"
)

// lanCache knows the networks that this machine is directly on.
type lanCache struct {
	read time.Time
	nets []netip.Prefix
}

// onLAN reports whether a is on the local network: link-local, multicast on the link, or
// in a private network that one of this machine's interfaces is on.
func (e *Engine) onLAN(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast() || a.IsInterfaceLocalMulticast() {
		return true
	}
	if time.Since(e.lan.read) > 5*time.Second {
		e.lan.read, e.lan.nets = time.Now(), localNetworks()
	}
	return slices.ContainsFunc(e.lan.nets, func(p netip.Prefix) bool { return p.Contains(a) })
}

func localNetworks() []netip.Prefix {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var nets []netip.Prefix
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && !p.Addr().IsLoopback() && p.Addr().IsPrivate() {
			nets = append(nets, p.Masked())
		}
	}
	return nets
}
