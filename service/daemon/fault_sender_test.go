package daemon_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"sekisho/app/flow"
	"sekisho/app/rule"
	"sekisho/service/lab"
)

// everyMillisecond sends what nobody decided in all three ways, a thousand times a second,
// until it is ended.
const everyMillisecond = `
import collections
u = socket.socket(type=socket.SOCK_DGRAM); u.setblocking(False)
r = socket.socket(type=socket.SOCK_RAW, proto=socket.IPPROTO_ICMP); r.setblocking(False)
last = collections.deque(maxlen=50)
echo = bytes([8, 0, 0xf7, 0xff, 0, 0, 0, 0])
next = time.monotonic()
while True:
    for send in (lambda: u.sendto(b'x', TARGET), lambda: r.sendto(echo, (TARGET[0], 0))):
        try: send()
        except OSError: pass
    try:
        c = socket.socket(); c.setblocking(False)
        last.append(c)
        c.connect(TARGET)
    except OSError: pass
    next += 0.001
    time.sleep(max(0, next - time.monotonic()))
`

// leaks watches what leaves for one address of its own, to which only one undecided
// program sends.
type leaks struct {
	s    *scene
	wire *lab.Wire
	to   lab.Match
}

// undecidedSender starts a program that nobody decided anything about, and sends all the time.
func (s *scene) undecidedSender() (*leaks, *lab.Command) {
	s.t.Helper()
	was := s.target
	// An address of its own, so that others may send meanwhile.
	s.target = netip.AddrPortFrom(s.Remote.AddAddress("198.51.100.99"), 7)
	file := s.script("sender.py", everyMillisecond)
	l := &leaks{s, s.Remote.Wire(), lab.To(s.target.Addr())}
	s.target = was
	return l, s.start(python(s.t), file)
}

// none wants that nothing has left since a moment.
func (l *leaks) none(since time.Time, when string) {
	l.s.t.Helper()
	n := map[string]int{}
	for _, p := range l.wire.Packets(l.to) {
		if p.Time.After(since) && (p.Protocol != flow.TCP || p.SYN) { // of TCP what begins: older connections go on
			n[p.Protocol.String()]++
		}
	}
	if len(n) > 0 {
		l.s.t.Errorf("%s: undecided packets left: %v", when, n)
	}
	if lost := l.wire.Lost(); lost > 0 {
		l.s.t.Errorf("%s: %d packets were not seen: the test shows nothing", when, lost)
	}
	l.wire.Forget()
}

// From the moment that the service is ready, whatever becomes of it, nothing undecided
// leaves: UDP, raw or the first packet of TCP.
func TestNothingLeavesFromStartToStop(t *testing.T) {
	s := newScene(t)
	set := func(whenStopped string) {
		t.Helper()
		settings, err := s.api.Settings(t.Context())
		if err == nil {
			settings.WhenStopped = whenStopped
			err = s.api.SetSettings(t.Context(), settings)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	set("open")
	s.service.Stop()
	l, _ := s.undecidedSender()
	for _, protocol := range []string{"UDP", "ICMP", "TCP"} {
		s.eventually(protocol+" without a firewall", func() bool {
			for _, p := range l.wire.Packets(l.to) {
				if strings.EqualFold(p.Protocol.String(), protocol) {
					return true
				}
			}
			return false
		})
	}
	s.service.Start()
	since := time.Now()
	set("closed")
	wait := func(when string) {
		t.Helper()
		time.Sleep(400 * time.Millisecond)
		l.none(since, when)
	}
	wait("started")
	s.nft(flush)
	wait("flushed")
	s.service.Restart()
	wait("restarted")
	s.service.Kill()
	wait("killed")
	s.nft(flush)
	wait("flushed while it was dead")
	s.service.Start()
	wait("started again")
	s.service.Stop()
	wait("stopped, to stay closed")
	s.service.Start()
	if err := s.api.SetMode(t.Context(), "lockdown", 0); err != nil {
		t.Fatal(err)
	}
	wait("lockdown")
	if err := s.api.SetMode(t.Context(), "ask", 0); err != nil {
		t.Fatal(err)
	}
	wait("ask")
}

// A change of the rules never opens a gap for those whom it is not about.
func TestNothingLeavesWhileRulesChange(t *testing.T) {
	s := newScene(t)
	program := s.Home.Program("other")
	since := time.Now()
	l, _ := s.undecidedSender()
	for range 100 {
		r := s.rule(program, rule.Allow, rule.Remote{})
		if err := s.api.RemoveRule(t.Context(), r.ID); err != nil {
			t.Fatal(err)
		}
	}
	l.none(since, "while rules changed")
}
