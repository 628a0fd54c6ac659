package flow

import (
	"net/netip"
	"strconv"
)

// Endpoint is one end of a flow. Name is the host name that the flow's own program
// looked up to find Addr; it is empty when it looked up none.
type Endpoint struct {
	Addr netip.Addr `json:"address"`
	Port uint16     `json:"port,omitempty"`
	Name string     `json:"name,omitempty"`
}

// Host is the name if it is known, else the address.
func (e Endpoint) Host() string {
	if e.Name != "" {
		return e.Name
	}
	return e.Addr.String()
}

func (e Endpoint) String() string {
	if e.Port == 0 {
		return e.Host()
	}
	if e.Name == "" {
		return netip.AddrPortFrom(e.Addr, e.Port).String()
	}
	return e.Name + ":" + strconv.Itoa(int(e.Port))
}
