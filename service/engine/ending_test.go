package engine

import (
	"net/netip"
	"testing"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/rule"
	"sekisho/service/bpf"
)

// connection makes a connection that lives: to or from remote.
func (w *world) connection(p *flow.Process, d flow.Direction, proto flow.Protocol, remote string, connected bool) bpf.Owner {
	w.Helper()
	o := w.socket(p)
	packet := to(o, proto, remote)
	if d == flow.In {
		packet = from(o, proto, remote, 8000)
	}
	if h := w.send(packet); h.String() != "accepted" && h.String() != "passed" {
		w.Fatalf("the packet was %s", h)
	}
	s := Socket{Cookie: o.Cookie, Protocol: proto, Local: netip.AddrPortFrom(packet.Local.Addr, packet.Local.Port)}
	if d == flow.In && proto == flow.TCP {
		w.sockets.open = append(w.sockets.open, s) // the listener
		w.cookies++
		s.Cookie = w.cookies
	}
	if connected {
		s.Remote = netip.MustParseAddrPort(remote)
	}
	w.sockets.open = append(w.sockets.open, s)
	return o
}

// A new block ends what it forbids, and nothing else: no listener, no socket that talks to
// others as well.
func TestBlockEnds(t *testing.T) {
	for _, c := range []struct {
		name      string
		direction flow.Direction
		proto     flow.Protocol
		connected bool
		accepted  bool
		ended     int
	}{
		{"TCP out", flow.Out, flow.TCP, true, false, 1},
		{"TCP in, not accepted yet", flow.In, flow.TCP, true, false, 1},
		{"TCP in", flow.In, flow.TCP, true, true, 1},
		{"UDP out, connected", flow.Out, flow.UDP, true, false, 1},
		{"UDP out", flow.Out, flow.UDP, false, false, 0},
		{"UDP in", flow.In, flow.UDP, false, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			p, q := w.program("one"), w.program("two")
			for _, x := range []*flow.Process{p, q} {
				w.rule(rule.Rule{Action: rule.Allow, Direction: rule.Both, Program: rule.Program{Path: x.Path}}, "192.168.1.0/24")
			}
			o := w.connection(p, c.direction, c.proto, guest, c.connected)
			w.connection(p, c.direction, c.proto, "192.168.1.21:5000", c.connected)
			w.connection(q, c.direction, c.proto, "192.168.1.20:5009", c.connected)
			if c.accepted {
				a := o
				a.Cookie = o.Cookie + 1
				w.e.Accepted(bpf.Accepted{Owner: a, Listener: o.Cookie, Remote: netip.MustParseAddrPort(guest), LocalPort: 8000, At: boottime()})
				o = a
			}
			before := w.sockets.left()
			direction := rule.Out
			if c.direction == flow.In {
				direction = rule.In
			}
			// The other direction says nothing of this one.
			w.rule(rule.Rule{Action: rule.Block, Direction: rule.In + rule.Out - direction, Program: rule.Program{Path: p.Path}}, "192.168.1.20")
			w.settled()
			if w.sockets.left() != before {
				t.Fatal("ended by a rule for the other direction")
			}
			w.rule(rule.Rule{Action: rule.Block, Direction: direction, Program: rule.Program{Path: p.Path}}, "192.168.1.20")
			w.settled()
			if n := len(w.sockets.ended); n != c.ended || n == 1 && w.sockets.ended[0].Remote != netip.MustParseAddrPort(guest) {
				t.Fatalf("ended %+v", w.sockets.ended)
			}
			if c.ended == 0 { // it can't be cut, and is over all the same
				over := 0
				for _, f := range w.history() {
					if f.State == flow.Closed && f.Decision.Verdict == flow.Block && !f.Ended.IsZero() {
						over++
					}
				}
				if over != 1 {
					t.Errorf("%d flows are over: %+v", over, w.history())
				}
				if len(w.live(o.Cookie)) != 0 {
					t.Error("it is still shown")
				}
			}
		})
	}
}

func TestLockdownEndsAllButPresets(t *testing.T) {
	w := newWorld(t)
	p := w.program("one")
	w.rule(rule.Rule{Action: rule.Allow, Direction: rule.Both, Program: rule.Program{Path: p.Path}}, "")
	w.connection(p, flow.Out, flow.TCP, "192.0.2.1:443", true)
	w.connection(p, flow.In, flow.TCP, guest, true)
	w.connection(p, flow.Out, flow.TCP, "127.0.0.1:80", true)
	if err := w.e.SetMode(t.Context(), api.ModeLockdown, 0); err != nil {
		t.Fatal(err)
	}
	w.settled()
	if len(w.sockets.ended) != 2 || w.sockets.left() != 2 { // the listener, and what it says to itself
		t.Errorf("ended %+v, left %+v", w.sockets.ended, w.sockets.open)
	}
}

// What was there before the service is not cut because nothing says anything about it, but
// a rule about it does.
func TestBeganBefore(t *testing.T) {
	w := newWorld(t)
	p := w.program("sshd")
	o := w.socket(p)
	w.kernel.owners[o.Cookie] = o
	w.kernel.gone[901] = true
	w.sockets.open = []Socket{
		{Cookie: 900, Protocol: flow.TCP, Local: netip.MustParseAddrPort("0.0.0.0:22")},
		{Cookie: o.Cookie, Protocol: flow.TCP, Local: netip.MustParseAddrPort("192.168.1.2:22"), Remote: netip.MustParseAddrPort(guest)},
		{Cookie: 901, Protocol: flow.TCP, Local: netip.MustParseAddrPort("192.168.1.2:23"), Remote: netip.MustParseAddrPort(guest)}, // not ours
	}
	w.e.recallLive()
	l := w.live(o.Cookie)
	if len(l) != 1 || l[0].Direction != flow.In || l[0].Local.Port != 22 || l[0].Decision.By.Name != limitBefore || w.e.live.Len() != 1 {
		t.Fatalf("live: %+v", l)
	}
	if err := w.e.SetMode(t.Context(), api.ModeBlock, 0); err != nil {
		t.Fatal(err)
	}
	w.rule(rule.Rule{Action: rule.Block, Direction: rule.Out, Program: rule.Program{Path: p.Path}}, "")
	w.settled()
	if len(w.sockets.ended) != 0 {
		t.Fatalf("ended %+v", w.sockets.ended)
	}
	w.rule(rule.Rule{Action: rule.Block, Direction: rule.In, Program: rule.Program{Path: p.Path}}, "")
	w.settled()
	if len(w.sockets.ended) != 1 || w.sockets.ended[0].Cookie != o.Cookie {
		t.Errorf("ended %+v", w.sockets.ended)
	}
}

// An end that nobody told of is found when events were lost, and what was measured stays.
func TestLostEnd(t *testing.T) {
	w := newWorld(t)
	p := w.program("one")
	w.rule(rule.Rule{Action: rule.Allow, Program: rule.Program{Path: p.Path}}, "")
	a, b := w.connection(p, flow.Out, flow.UDP, "192.0.2.1:443", true), w.connection(p, flow.Out, flow.UDP, "192.0.2.2:443", true)
	w.is(w.send(to(a, flow.UDP, "192.0.2.3:443")), "passed")
	left := flow.Traffic{Bytes: flow.Bytes{Sent: 7}}
	w.kernel.counted[counted{a.Cookie, netip.MustParseAddrPort("192.0.2.3:443")}] = left // of a conversation that outlives its socket
	w.kernel.gone[a.Cookie] = true
	w.e.compared = time.Now()
	w.e.lookForLost()
	if len(w.live(a.Cookie)) != 2 {
		t.Fatal("looked though nothing was lost")
	}
	w.kernel.lost++
	w.e.lookForLost()
	if len(w.live(a.Cookie)) != 0 || len(w.live(b.Cookie)) != 1 {
		t.Errorf("live: %+v", w.e.live.All())
	}
	found := false
	for _, f := range w.history() {
		found = found || f.State == flow.Closed && f.Bytes == left.Bytes && f.Remote.Addr.String() == "192.0.2.3"
	}
	if !found || w.kernel.peers == 0 {
		t.Errorf("history: %+v; %d peers forgotten", w.history(), w.kernel.peers)
	}
}

// Many flows live: ending what is forbidden takes its time, but nobody waits for long.
func BenchmarkBlockEndsAmong100000(b *testing.B) {
	w := newWorld(b)
	p, q := w.program("many"), w.program("few")
	w.rule(rule.Rule{Action: rule.Allow, Program: rule.Program{Path: p.Path}}, "192.0.2.0/24")
	w.rule(rule.Rule{Action: rule.Allow, Program: rule.Program{Path: q.Path}}, "")
	for i := range 100_000 {
		r := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), uint16(1+i>>8))
		o := w.socket(p)
		w.e.Decided(decidedFlow(to(o, flow.TCP, r.String()), bpf.Allow))
	}
	w.e.mu.Lock()
	w.e.activity.take()
	w.e.mu.Unlock()
	if n := w.e.live.Len(); n != 100_000 {
		b.Fatal(n)
	}
	longest := time.Duration(0)
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		w.connection(q, flow.Out, flow.TCP, "192.0.2.1:443", true)
		b.StartTimer()
		w.e.mu.Lock()
		w.e.endForbidden()
		w.e.mu.Unlock()
		for over := false; !over; {
			began := time.Now()
			w.e.mu.Lock()
			over = !w.e.end.runs
			w.e.mu.Unlock()
			longest = max(longest, time.Since(began))
			time.Sleep(100 * time.Microsecond)
		}
	}
	b.ReportMetric(float64(longest.Microseconds()), "µs-longest-wait")
}
