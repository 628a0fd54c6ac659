package capture

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/florianl/go-nfqueue/v2"

	"sekisho/app/flow"
	"sekisho/service/bpf"
)

// Packet is a packet that the kernel holds. Exactly one of Accept, Refuse and Drop is to
// be called, once, from any goroutine.
type Packet struct {
	Owner    bpf.Owner
	Protocol flow.Protocol
	Local    flow.Endpoint
	Remote   flow.Endpoint
	Payload  []byte // from the network header on; valid until Run's function returns

	id uint32
	q  *Queue
}

func (q *Queue) packet(id uint32, b []byte) *Packet {
	p := &Packet{id: id, q: q, Payload: b}
	p.read(b)
	var ok bool
	if p.Owner, ok = q.kernel.OwnerOfPacket(b); !ok {
		p.Owner = bpf.Owner{Missing: true, Unknown: true}
	}
	return p
}

// read fills the two ends of a packet that leaves this machine. What is too short stays zero.
func (p *Packet) read(b []byte) {
	var off int
	p.Protocol, off = bpf.Transport(b)
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		p.Local.Addr = netip.AddrFrom4([4]byte(b[12:16]))
		p.Remote.Addr = netip.AddrFrom4([4]byte(b[16:20]))
	case len(b) >= 40 && b[0]>>4 == 6:
		p.Local.Addr = netip.AddrFrom16([16]byte(b[8:24]))
		p.Remote.Addr = netip.AddrFrom16([16]byte(b[24:40]))
	}
	if p.Protocol.HasPorts() && off > 0 && len(b) >= off+4 {
		p.Local.Port = binary.BigEndian.Uint16(b[off:])
		p.Remote.Port = binary.BigEndian.Uint16(b[off+2:])
	}
}

// Accept lets the packet go on its way.
func (p *Packet) Accept() error { return p.verdict(nfqueue.NfAccept) }

// Drop loses the packet; its sender is told nothing.
func (p *Packet) Drop() error { return p.verdict(nfqueue.NfDrop) }

// Refuse loses the packet and tells its sender at once: the packet goes through the chain
// again, marked, and meets the rule that answers it.
func (p *Packet) Refuse() error {
	err := p.q.q.SetVerdictWithOption(p.id, nfqueue.NfRepeat, nfqueue.WithMark(bpf.RejectMark))
	if err != nil {
		return fmt.Errorf("refuse a packet: %w", err)
	}
	return nil
}

func (p *Packet) verdict(v int) error {
	if err := p.q.q.SetVerdict(p.id, v); err != nil {
		return fmt.Errorf("give a packet's verdict: %w", err)
	}
	return nil
}
