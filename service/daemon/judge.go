package daemon

import (
	"net/netip"

	"sekisho/app/flow"
	"sekisho/service/bpf"
	"sekisho/service/capture"
	"sekisho/service/engine"
)

// judge hands a held packet to the engine. One that arrives only our own queue's reader may
// give it.
func (s *service) judge(p *capture.Packet) { s.judgeAt(p, int(p.Interface)) }

// judgeAt is judge for a packet on a link of this network namespace; 0 if it isn't on one.
func (s *service) judgeAt(p *capture.Packet, link int) {
	if p.Direction == flow.In {
		owner, ours := s.receiver(p)
		if !ours {
			s.pass(p)
			return
		}
		p.Owner = owner
	}
	if p.Forwarded {
		link = 0 // it came by one and goes by another
	}
	s.engine.Judge(engine.Packet{
		Owner: p.Owner, Direction: p.Direction, Protocol: p.Protocol, Local: p.Local, Remote: p.Remote, Link: link, GoesOn: p.GoesOn, Held: p,
	})
}

// judgeLeaving is judge for another network namespace, of which we hold only what leaves.
// Anything else somebody who is root there put into our queue: he must not have us ask
// about this machine's programs. It may be called from any goroutine.
func (s *service) judgeLeaving(p *capture.Packet) {
	if p.Direction == flow.In || p.Forwarded {
		s.pass(p)
		return
	}
	s.judgeAt(p, 0)
}

// receiver says whose a packet is that arrives: the owner of the very socket to which it
// will be delivered, whatever other sockets share its port. false: nobody's whom we watch,
// so that the kernel will answer it as if we were not there.
func (s *service) receiver(p *capture.Packet) (bpf.Owner, bool) {
	if !p.Protocol.HasPorts() {
		return bpf.Owner{Kernel: true}, true
	}
	cookie, there, err := s.receivers.Receiver(p.Protocol, end(p.Local), end(p.Remote), p.Interface)
	if err != nil {
		s.Log.Debug("whose an arriving packet is isn't known", "err", err)
		return bpf.Owner{Missing: true, Unknown: true}, true
	}
	if !there {
		return bpf.Owner{}, false
	}
	return s.kernel.OwnerOfSocket(cookie)
}

func end(e flow.Endpoint) netip.AddrPort { return netip.AddrPortFrom(e.Addr, e.Port) }

func (s *service) pass(p *capture.Packet) {
	if err := p.Accept(); err != nil {
		s.Log.Debug("a packet went without its verdict", "err", err)
	}
}
