package lab

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Arrival is a connection that a server accepted or a datagram that it received.
type Arrival struct {
	Time     time.Time
	Protocol string // "tcp" or "udp"
	From, To netip.AddrPort
}

// arrivals is the list that a server keeps. The zero value is ready.
type arrivals struct {
	mu   sync.Mutex
	list []Arrival
}

func (a *arrivals) add(v Arrival) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = append(a.list, v)
}

// Arrivals lists what came, in order. It may be called from any goroutine.
func (a *arrivals) Arrivals() []Arrival {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.list)
}

// Count is how many came by a protocol, "tcp" or "udp". It may be called from any
// goroutine.
func (a *arrivals) Count(protocol string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, v := range a.list {
		if v.Protocol == protocol {
			n++
		}
	}
	return n
}

func addrPort(a net.Addr) netip.AddrPort {
	p, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

// familyOf is "4" or "6", as in "tcp4", for an address with a port.
func familyOf(address string) string {
	if strings.HasPrefix(address, "[") {
		return "6"
	}
	return "4"
}
