package engine

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/bpf"
	"sekisho/service/names"
)

const guest = "192.168.1.20:5000"

// Who arrives at a program without a rule waits, and every scope settles what it should.
func TestIncomingIsAsked(t *testing.T) {
	for _, c := range []struct {
		scope                        prompt.Scope
		sameHost, samePort, anything string // another port of that host, another host at that port, another of both
	}{
		{prompt.Scope{Kind: prompt.HostAndPort, To: "192.168.1.20", Port: 8000}, "held", "held", "held"},
		{prompt.Scope{Kind: prompt.Host, To: "192.168.1.20"}, "accepted", "held", "held"},
		{prompt.Scope{Kind: prompt.Port, Port: 8000}, "held", "accepted", "held"},
		{prompt.Scope{Kind: prompt.Anything}, "accepted", "accepted", "accepted"},
	} {
		t.Run(string(c.scope.Kind), func(t *testing.T) {
			w := newWorld(t)
			server := w.program("server")
			o, other := w.socket(server), w.socket(server)
			first := w.send(from(o, flow.TCP, guest, 8000))
			again := w.send(from(o, flow.TCP, guest, 8000)) // it sends its SYN again
			p := w.asked(1)[0]
			if f := p.Flow; f.Direction != flow.In || f.Local.Port != 8000 || f.Remote.Addr.String() != "192.168.1.20" || f.Process.Path != server.Path {
				t.Fatalf("asked about %+v", f)
			}
			if len(p.Warnings) != 0 && p.Warnings[0].Code == prompt.WarnNoName {
				t.Errorf("a warning that it has no name: %v", p.Warnings)
			}
			host := w.send(from(other, flow.TCP, "192.168.1.20:6000", 9000))
			port := w.send(from(o, flow.TCP, "192.168.1.21:6000", 8000))
			any := w.send(from(other, flow.TCP, "192.168.1.21:6000", 9000))
			out := w.send(to(w.socket(server), flow.TCP, "192.168.1.20:8000"))
			w.asked(5)
			w.is(first, "held")
			w.answer(p, rule.Allow, rule.Always, c.scope)
			w.is(first, "accepted")
			w.is(again, "accepted")
			w.is(host, c.sameHost)
			w.is(port, c.samePort)
			w.is(any, c.anything)
			w.is(out, "held") // an answer about who comes in says nothing of who goes out
			if next := w.send(from(o, flow.TCP, "192.168.1.20:5001", 8000)); next.String() == "held" {
				t.Error("the next connection is held though there is a rule")
			}
		})
	}
}

// Once is for one connection: the next one from the same host is asked about.
func TestIncomingOnce(t *testing.T) {
	for _, proto := range []flow.Protocol{flow.TCP, flow.UDP} {
		w := newWorld(t)
		o := w.socket(w.program("server"))
		first := w.send(from(o, proto, guest, 8000))
		p := w.asked(1)[0]
		w.answer(p, rule.Allow, rule.Once, prompt.DefaultScope(p.Flow))
		w.is(first, "accepted")
		w.is(w.send(from(o, proto, guest, 8000)), "passed")
		next := w.send(from(o, proto, "192.168.1.20:5001", 8000))
		w.asked(1)
		w.is(next, "held")
	}
}

func TestIncomingBlockedAndMissed(t *testing.T) {
	w := newWorld(t)
	o := w.socket(w.program("server"))
	h := w.send(from(o, flow.TCP, guest, 8000))
	p := w.asked(1)[0]
	w.answer(p, rule.Block, rule.Always, prompt.Scope{Kind: prompt.Anything})
	w.is(h, "refused")
	w.is(w.send(from(o, flow.UDP, guest, 8001)), "blocked")
	last := w.history()
	if f := last[len(last)-1]; f.Direction != flow.In || f.Decision.Verdict != flow.Block || f.Decision.By.Kind != flow.ByRule || f.Local.Port != 8001 {
		t.Errorf("history: %+v", f)
	}
}

// A rule with a name is about who comes in only if the program itself looked that name up.
func TestIncomingByName(t *testing.T) {
	w := newWorld(t)
	server := w.program("server")
	w.rule(rule.Rule{Action: rule.Allow, Direction: rule.In, Program: rule.Program{Path: server.Path}}, "friend.example")
	o := w.socket(server)
	h := w.send(from(o, flow.TCP, guest, 8000))
	w.asked(1)
	w.is(h, "held")
	addr := netip.MustParseAddr("192.168.1.20")
	changed := w.names.Learn(server.Key(), names.Answer{Question: "friend.example", Addrs: []netip.Addr{addr}, TTL: time.Hour}, time.Now())
	w.e.NamesChanged(server.Key(), changed)
	w.is(w.send(from(o, flow.TCP, "192.168.1.20:5001", 8000)), "accepted")
	// Another program that didn't look is not meant.
	stranger := w.send(from(w.socket(w.program("other")), flow.TCP, guest, 8000))
	w.asked(2)
	w.is(stranger, "held")
}

func TestModesForIncoming(t *testing.T) {
	for _, c := range []struct {
		mode api.Mode
		want string
		by   string
	}{
		{api.ModeAllow, "passed", "allow"},
		{api.ModeLearn, "passed", "learn"},
		{api.ModeBlock, "refused", "block"},
		{api.ModeLockdown, "refused", "lockdown"},
		{api.ModeOff, "passed", "off"},
	} {
		t.Run(string(c.mode), func(t *testing.T) {
			w := newWorld(t)
			server := w.program("server")
			w.rule(rule.Rule{Action: rule.Allow, Direction: rule.In, Program: rule.Program{Path: "/other"}}, "")
			w.e.mu.Lock()
			w.e.proofs.seen[server.Executable] = server.Path
			w.e.mu.Unlock()
			w.is(w.send(to(w.socket(server), flow.TCP, "127.0.0.1:1")), "passed") // the program becomes known
			if err := w.e.SetMode(t.Context(), c.mode, 0); err != nil {
				t.Fatal(err)
			}
			o := w.socket(server)
			h := w.send(from(o, flow.TCP, guest, 8000))
			w.until("a verdict", func() bool { return h.String() != "held" })
			if h.String() != c.want && (c.want != "passed" || h.String() != "accepted") {
				t.Errorf("the packet was %s, want %s", h, c.want)
			}
			all := w.history()
			if f := all[len(all)-1]; f.Decision.By != (flow.By{Kind: flow.ByMode, Name: c.by}) {
				t.Errorf("decided by %+v", f.Decision)
			}
			// The second one from there visits nobody.
			if h := w.send(from(o, flow.TCP, guest, 8000)); h.String() != "passed" && h.String() != "blocked" {
				t.Errorf("the next packet was %s", h)
			}
		})
	}
}

func TestPresetsForIncoming(t *testing.T) {
	kernel := bpf.Owner{Kernel: true}
	dhcp := func(w *world) bpf.Owner {
		p := w.program("dhclient")
		p.UID = 0
		return w.socket(p)
	}
	for _, c := range []struct {
		name string
		send func(w *world) Packet
		want string
	}{
		{"ping", func(*world) Packet { return from(kernel, flow.ICMP, "192.168.1.20:0", 0) }, "accepted"},
		{"ping of IPv6", func(*world) Packet { return from(kernel, flow.ICMPv6, "[2001:db8::1]:0", 0) }, "accepted"},
		{"the kernel's TCP", func(*world) Packet { return to(kernel, flow.TCP, "192.168.1.20:2049") }, "held"},
		{"DHCP", func(w *world) Packet { return from(dhcp(w), flow.UDP, "192.168.1.1:67", 68) }, "accepted"},
		{"DHCP of a user", func(w *world) Packet { return from(w.socket(w.program("x")), flow.UDP, "192.168.1.1:67", 68) }, "held"},
		{"from the port of a name server", func(w *world) Packet { return from(w.socket(w.program("x")), flow.UDP, "192.0.2.53:53", 4000) }, "held"},
		{"to a name server", func(w *world) Packet { return to(w.socket(w.program("x")), flow.UDP, "192.0.2.53:53") }, "accepted"},
		{"forwarded to a name server", func(*world) Packet {
			return to(bpf.Owner{Forwarded: true, Executable: bpf.ForwardedExecutable}, flow.UDP, "192.0.2.53:53")
		}, "held"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			h := w.send(c.send(w))
			if c.want == "held" {
				w.asked(1)
			}
			w.is(h, c.want)
		})
	}
}

// The kernel and what is forwarded are programs with rules, prompts and answers.
func TestKernelAndForwarded(t *testing.T) {
	for path, o := range map[string]bpf.Owner{
		flow.KernelPath:    {Kernel: true},
		flow.ForwardedPath: {Forwarded: true, Executable: bpf.ForwardedExecutable},
	} {
		t.Run(path, func(t *testing.T) {
			w := newWorld(t)
			h := w.send(to(o, flow.TCP, "192.0.2.1:443"))
			p := w.asked(1)[0]
			if f := p.Flow; f.Process.Path != path || f.Process.UID != 0 || f.Process.Kernel != (path == flow.KernelPath) || len(p.Warnings) != 0 {
				t.Fatalf("asked about %+v, with %v", f.Process, p.Warnings)
			}
			w.answer(p, rule.Allow, rule.Always, prompt.DefaultScope(p.Flow))
			w.is(h, "accepted")
			if next := w.send(to(o, flow.TCP, "192.0.2.1:443")); next.String() != "accepted" && next.String() != "passed" {
				t.Errorf("the next packet was %s", next)
			}
			w.is(w.send(to(o, flow.TCP, "192.0.2.1:443")), "passed")
			w.rule(rule.Rule{Action: rule.Block, Program: rule.Program{Path: path}}, "192.0.2.0/24")
			w.rule(rule.Rule{Action: rule.Block, Direction: rule.Both, Program: rule.Program{Path: path}}, "")
			w.is(w.send(to(o, flow.UDP, "198.51.100.1:53")), "refused")
			w.is(w.send(to(o, flow.UDP, "198.51.100.1:53")), "blocked")
		})
	}
}

// What has no socket has no end: an answer for once holds for a while, not for good.
func TestOnceForTheKernel(t *testing.T) {
	w := newWorld(t)
	o := bpf.Owner{Kernel: true}
	h := w.send(to(o, flow.TCP, "192.0.2.1:443"))
	p := w.asked(1)[0]
	w.answer(p, rule.Allow, rule.Once, prompt.DefaultScope(p.Flow))
	w.is(h, "accepted")
	for range 2 {
		w.is(w.send(to(o, flow.TCP, "192.0.2.1:443")), "passed")
	}
	other := w.send(to(bpf.Owner{Forwarded: true, Executable: bpf.ForwardedExecutable}, flow.TCP, "192.0.2.1:443"))
	w.asked(1)
	w.is(other, "held")
	w.e.mu.Lock()
	for _, r := range w.e.retries {
		r.until = time.Now().Add(-time.Second)
	}
	w.e.mu.Unlock()
	w.e.endRetries()
	later := w.send(to(o, flow.TCP, "192.0.2.1:443"))
	w.asked(2)
	w.is(later, "held")
}

// Whom nobody knows gets only what is for everybody, and by the socket alone.
func TestUnknownOwner(t *testing.T) {
	w := newWorld(t)
	o := bpf.Owner{Process: flow.ProcessID{PID: 999, Start: 9}, Unknown: true, Cookie: 77}
	w.is(w.send(from(o, flow.TCP, guest, 8000)), "refused")
	w.rule(rule.Rule{Action: rule.Allow, Direction: rule.In}, "192.168.1.20")
	w.is(w.send(from(o, flow.TCP, guest, 8000)), "accepted")
	w.is(w.send(from(o, flow.TCP, guest, 8000)), "passed")
	o.Cookie = 78
	w.is(w.send(from(o, flow.TCP, guest, 8000)), "accepted")
	w.e.Closed(bpf.Closed{Cookie: 78})
	if n := len(w.kernel.exacts); n != 1 {
		t.Errorf("%d decisions are left in the kernel", n)
	}
}

func TestAccepted(t *testing.T) {
	w := newWorld(t)
	server := w.program("server")
	w.rule(rule.Rule{Action: rule.Allow, Direction: rule.In, Program: rule.Program{Path: server.Path}}, "192.168.1.0/24")
	o := w.socket(server)
	w.is(w.send(from(o, flow.TCP, guest, 8000)), "accepted")
	was := w.live(o.Cookie)
	if len(was) != 1 {
		t.Fatalf("live: %+v", was)
	}
	a := o
	a.Cookie = 500
	accepted := bpf.Accepted{Owner: a, Listener: o.Cookie, Remote: netip.MustParseAddrPort(guest), LocalPort: 8000, At: boottime()}
	w.e.Accepted(accepted)
	w.e.Accepted(accepted)
	is := w.live(500)
	if len(is) != 1 || is[0].ID != was[0].ID || is[0].Decision != was[0].Decision || len(w.live(o.Cookie)) != 0 {
		t.Fatalf("live: %+v, was %+v", is, was)
	}
	w.e.Closed(bpf.Closed{Cookie: o.Cookie, At: boottime()}) // it stops listening
	w.kernel.counted[counted{500, netip.MustParseAddrPort(guest)}] = flow.Traffic{Bytes: flow.Bytes{Sent: 1, Received: 2}, Packets: flow.Packets{Sent: 3, Received: 4}}
	if is := w.live(500); len(is) != 1 || is[0].Bytes != (flow.Bytes{Sent: 1, Received: 2}) || is[0].Packets != (flow.Packets{Sent: 3, Received: 4}) {
		t.Fatalf("live: %+v", is)
	}
	w.e.Closed(bpf.Closed{Cookie: 500, At: boottime(), Bytes: flow.Bytes{Sent: 10, Received: 20}, Packets: flow.Packets{Sent: 5, Received: 6}})
	all := w.history()
	f := all[len(all)-1]
	if f.ID != was[0].ID || f.State != flow.Closed || f.Bytes.Sent != 10 || f.Packets.Received != 6 || f.Ended.IsZero() || f.Decision.By.Kind != flow.ByRule {
		t.Errorf("history: %+v", f)
	}
	if w.e.live.Len() != 0 {
		t.Errorf("%d flows are left", w.e.live.Len())
	}
}

// A connection whose arrival was never seen is shown all the same.
func TestAcceptedOutOfNowhere(t *testing.T) {
	w := newWorld(t)
	o := w.socket(w.program("server"))
	w.e.Accepted(bpf.Accepted{Owner: o, Listener: 9, Remote: netip.MustParseAddrPort(guest), LocalPort: 8000, At: boottime()})
	if l := w.live(o.Cookie); len(l) != 1 || l[0].Decision.Verdict != flow.Allow || l[0].Decision.By.Name != limitBefore {
		t.Errorf("live: %+v", l)
	}
}

func TestExplainIncoming(t *testing.T) {
	w := newWorld(t)
	server := w.program("server")
	r := w.rule(rule.Rule{Action: rule.Block, Direction: rule.In, Program: rule.Program{Path: server.Path}, Ports: []rule.PortRange{{From: 8000, To: 8000}}}, "")
	ask := func(program, from string, port uint16) api.Explanation {
		x, err := w.e.Explain(t.Context(), api.Question{Asker: api.Asker{Admin: true}, Program: program, To: from, Port: port, Direction: flow.In})
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	if x := ask(server.Path, "192.168.1.20", 8000); x.Decision.Verdict != flow.Block || x.Decision.By.ID != r.ID {
		t.Errorf("%+v", x)
	}
	if x := ask(server.Path, "192.168.1.20", 8001); x.Decision.Verdict != flow.Waiting {
		t.Errorf("%+v", x)
	}
	if x := ask(server.Path, "localhost", 8000); x.Decision.By.Name != rule.PresetLoopback || !strings.Contains(x.Steps[1].Why, "names no destination") {
		t.Errorf("%+v", x)
	}
	if x := ask(flow.KernelPath, "192.168.1.20", 8000); x.Decision.Verdict != flow.Waiting {
		t.Errorf("%+v", x)
	}
}

// Who waits for one connection closes the listener when it has come: the connection lives on.
func TestListenerClosedFirst(t *testing.T) {
	w := newWorld(t)
	p := w.program("server")
	w.rule(rule.Rule{Action: rule.Allow, Direction: rule.In, Program: rule.Program{Path: p.Path}}, "")
	o := w.socket(p)
	w.is(w.send(from(o, flow.TCP, "192.168.1.20:5000", 8000)), "passed")
	w.is(w.send(from(o, flow.TCP, "192.168.1.20:5001", 8000)), "passed")
	w.e.Closed(bpf.Closed{Cookie: o.Cookie})
	child := o
	child.Cookie = 900
	w.e.Accepted(bpf.Accepted{
		Owner: child, Listener: o.Cookie, Remote: netip.MustParseAddrPort("192.168.1.20:5000"), LocalPort: 8000,
	})
	w.e.endLeft(time.Now().Add(5 * time.Second))
	w.e.Closed(bpf.Closed{Cookie: 900, Bytes: flow.Bytes{Sent: 1, Received: 2}, Packets: flow.Packets{Sent: 3, Received: 4}})
	ended := map[uint16]flow.Flow{}
	for _, f := range w.history() {
		if f.State == flow.Closed {
			if _, twice := ended[f.Remote.Port]; twice {
				t.Errorf("%v ended twice", f.Remote)
			}
			ended[f.Remote.Port] = f
		}
	}
	if len(ended) != 2 || ended[5000].Bytes != (flow.Bytes{Sent: 1, Received: 2}) {
		t.Errorf("%+v", ended)
	}
	if n := w.e.live.Len(); n != 0 {
		t.Errorf("%d flows live", n)
	}
}
