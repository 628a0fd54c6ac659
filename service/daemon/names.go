package daemon

import (
	"context"
	"net/netip"
	"time"

	"sekisho/app/flow"
	"sekisho/service/bpf"
	"sekisho/service/capture"
	"sekisho/service/names"
	"sekisho/service/names/resolved"
)

// learn keeps the names in an answer for the program that asked, and takes back decisions
// that came from other names, before that program gets to see it.
func (s *service) learn(p *capture.Packet) {
	defer func() {
		if err := p.Accept(); err != nil {
			s.Log.Debug("a name's answer went without its verdict", "err", err)
		}
	}()
	if p.Protocol == flow.TCP {
		replies, err := s.streams.Add(p.Payload)
		if err != nil {
			s.Log.Debug("an answer over TCP is not read whole", "err", err)
		}
		for _, r := range replies {
			if a, ok := s.kernel.AskerBehind(r.Client, r.Server); ok {
				s.learnt(flow.TCP, a.Owner, r)
			}
		}
		return
	}
	r, err := names.Decode(p.Payload)
	if err != nil {
		return
	}
	if a, ok := s.kernel.AskerOver(r.Client, r.Server, r.ID); ok { // else nobody whom we watch asked that
		s.learnt(flow.UDP, a.Owner, r)
	}
}

func (s *service) learnt(over flow.Protocol, o bpf.Owner, r names.Reply) {
	if len(r.Answer.Addrs) == 0 {
		return
	}
	if err := s.kernel.Drain(events{s}); err != nil {
		s.Log.Error("kernel events are not read", "err", err)
	}
	if !s.engine.Believes(over, r.Server.Addr(), o.Cookie) {
		return
	}
	if who := s.engine.Who(o); who.Path != "" {
		s.called(who.Key(), r.Answer)
	}
}

// called keeps what program, or names.Machine, calls addresses from now on.
func (s *service) called(program string, a names.Answer) {
	if changed := s.names.Learn(program, a, time.Now()); len(changed) > 0 {
		s.engine.NamesChanged(program, changed)
	}
}

// began says with which sequence number a connection to a name server began.
func (s *service) began(client, server netip.AddrPort) (uint32, bool) {
	a, ok := s.kernel.AskerBehind(client, server)
	return a.Seq, ok
}

// hearResolved hears what systemd-resolved answers to those who ask it in other ways than by
// packets: guesses, as it doesn't say to whom.
func (s *service) hearResolved(ctx context.Context) error {
	return resolved.NewMonitor(resolved.Socket, s.Log).Run(ctx, func(a names.Answer) { s.called(names.Machine, a) })
}

// forgetNames takes back what was decided by names that are out of date.
func (s *service) forgetNames(ctx context.Context) error {
	t := time.NewTicker(time.Minute)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-t.C:
			for program, addrs := range s.names.Expire(now) {
				s.engine.NamesChanged(program, addrs)
			}
		}
	}
}
