package traffic

import (
	"fmt"
	"net/netip"

	"sekisho/app/flow"
	"sekisho/service/bpf"
)

// Key tells flows apart: what one socket says to one remote end, and who began.
type Key struct {
	Cookie    uint64
	Remote    netip.AddrPort
	Protocol  flow.Protocol
	Direction flow.Direction
	rest      string // where there is no socket: process and local end
}

// KeyOf is f's key.
func KeyOf(f *flow.Flow) Key {
	k := Key{
		Cookie: f.Cookie, Remote: netip.AddrPortFrom(f.Remote.Addr, f.Remote.Port),
		Protocol: f.Protocol, Direction: f.Direction,
	}
	if f.Cookie == 0 {
		k.rest = fmt.Sprint(f.Process.Path, f.Process.ProcessID, f.Local.Addr, f.Local.Port)
	}
	return k
}

// Peer is the other end of f, by its own port: as the kernel counts and as it knows what
// was decided for one socket.
func Peer(f *flow.Flow) bpf.Peer {
	return bpf.Peer{Direction: f.Direction, Protocol: f.Protocol, Addr: f.Remote.Addr, Port: f.Remote.Port}
}
