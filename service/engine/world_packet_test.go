package engine

import (
	"errors"
	"net/netip"
	"sync"

	"sekisho/app/flow"
	"sekisho/service/bpf"
)

// held is a packet in the queue, or one that never got there.
type held struct {
	mu   sync.Mutex
	fate string
}

func (h *held) end(fate string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fate != "held" {
		return errors.New("a second verdict: " + fate)
	}
	h.fate = fate
	return nil
}

func (h *held) Accept() error { return h.end("accepted") }
func (h *held) Refuse() error { return h.end("refused") }
func (h *held) Drop() error   { return h.end("dropped") }

func (h *held) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.fate
}

// send has a packet decided as it is on a real machine: by the kernel if it knows, by the
// engine else.
func (w *world) send(p Packet) *held {
	f := flowOf(p, &flow.Process{})
	h := &held{fate: "held"}
	switch w.kernel.decide(&f, p.Owner) {
	case bpf.Allow:
		w.e.Decided(decidedFlow(p, bpf.Allow))
		h.fate = "passed"
	case bpf.Block:
		w.e.Decided(decidedFlow(p, bpf.Block))
		h.fate = "blocked"
	default:
		if p.Owner.Foreign {
			w.e.Decided(decidedFlow(p, bpf.Ask))
			h.fate = "not held"
			return h
		}
		p.Held = h
		w.e.Judge(p)
	}
	return h
}

func decidedFlow(p Packet, v bpf.Verdict) bpf.Flow {
	return bpf.Flow{
		Owner: p.Owner, Direction: p.Direction, Protocol: p.Protocol, Verdict: v, LocalPort: p.Local.Port,
		Remote: netip.AddrPortFrom(p.Remote.Addr, p.Remote.Port), At: boottime(),
	}
}

// from is a packet from remote that arrives at port.
func from(o bpf.Owner, proto flow.Protocol, remote string, port uint16) Packet {
	r := netip.MustParseAddrPort(remote)
	local := netip.MustParseAddr("192.168.1.2")
	if r.Addr().IsLoopback() {
		local = r.Addr()
	}
	return Packet{
		Owner: o, Direction: flow.In, Protocol: proto,
		Local: flow.Endpoint{Addr: local, Port: port}, Remote: flow.Endpoint{Addr: r.Addr(), Port: r.Port()},
	}
}

// to is a packet that leaves.
func to(o bpf.Owner, proto flow.Protocol, remote string) Packet {
	r := netip.MustParseAddrPort(remote)
	return Packet{
		Owner: o, Direction: flow.Out, Protocol: proto,
		Local: flow.Endpoint{Addr: netip.MustParseAddr("192.168.1.2"), Port: 40000}, Remote: flow.Endpoint{Addr: r.Addr(), Port: r.Port()},
	}
}
