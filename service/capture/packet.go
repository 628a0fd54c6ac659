package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/florianl/go-nfqueue/v2"

	"sekisho/app/flow"
	"sekisho/service/bpf"
)

// Packet is a packet that the kernel holds. Exactly one of Accept, Refuse and Drop is to
// be called, once, from any goroutine.
type Packet struct {
	Owner     bpf.Owner // of one that arrives it isn't known yet
	Direction flow.Direction
	Protocol  flow.Protocol
	Local     flow.Endpoint // of one that is forwarded: where it comes from
	Remote    flow.Endpoint
	Interface uint32 // index of the one through which it came in, of one that leaves of that by which it goes
	Forwarded bool
	GoesOn    bool   // a segment of TCP that begins nothing
	Payload   []byte // from the network header on; valid until Run's function returns

	id uint32
	q  *Queue
}

const tcpSYN = 2

// Netfilter's hooks, of linux/netfilter.h.
const (
	hookIn      = 1 // NF_INET_LOCAL_IN
	hookForward = 2 // NF_INET_FORWARD
)

func (q *Queue) packet(a nfqueue.Attribute) *Packet {
	p := &Packet{id: *a.PacketID, q: q, Payload: *a.Payload}
	p.read(p.Payload)
	if a.InDev != nil {
		p.Interface = *a.InDev
	}
	if a.InDev == nil && a.OutDev != nil {
		p.Interface = *a.OutDev
	}
	switch {
	case a.Hook != nil && *a.Hook == hookIn:
		p.Direction = flow.In
		p.Local, p.Remote = p.Remote, p.Local
	case a.Hook != nil && *a.Hook == hookForward:
		p.Forwarded = true
		p.Owner = bpf.Owner{Forwarded: true, Executable: bpf.ForwardedExecutable}
	default:
		var ok bool
		if p.Owner, ok = q.kernel.OwnerOfPacket(p.Payload); !ok {
			p.Owner = bpf.Owner{Missing: true, Unknown: true}
		}
	}
	return p
}

// read fills the two ends of a packet as one that leaves. What is too short stays zero.
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
	p.GoesOn = p.Protocol == flow.TCP && off > 0 && len(b) >= off+14 && b[off+13]&tcpSYN == 0
}

// Accept lets the packet go on its way.
func (p *Packet) Accept() error {
	if p.Owner.Cookie != 0 {
		// The last word is not here: it hears from us what it may not know by itself.
		if err := p.q.kernel.LetGo(p.Owner.Cookie, p.peer()); err != nil {
			return errors.Join(err, p.Drop())
		}
	}
	return p.verdict(nfqueue.NfAccept)
}

func (p *Packet) peer() bpf.Peer {
	return bpf.Peer{Protocol: p.Protocol, Addr: p.Remote.Addr, Port: p.Remote.Port}
}

// Drop loses the packet; its sender is told nothing.
func (p *Packet) Drop() error { return p.verdict(nfqueue.NfDrop) }

// Refuse loses the packet and tells the program that sent it at once: the packet goes
// through the chain again, marked, and meets the rule that answers it. Who sent a packet
// from elsewhere is told nothing.
func (p *Packet) Refuse() error {
	if p.Direction == flow.In {
		return p.Drop()
	}
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
