package dnsbl

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// resolver is a DNS server on loopback that the checker takes for the system's.
type resolver struct {
	addr  netip.AddrPort
	mu    sync.Mutex
	codes map[string]string        // by name, in lower case: an address
	fail  map[string]int           // by zone: the rcode
	delay map[string]time.Duration // by zone; below zero: no answer at all
	short bool                     // UDP answers are cut
	asked map[string]int
}

func serve(t *testing.T) *resolver {
	t.Helper()
	r := &resolver{codes: map[string]string{}, fail: map[string]int{}, delay: map[string]time.Duration{}, asked: map[string]int{}}
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = u.LocalAddr().(*net.UDPAddr).AddrPort()
	l, err := net.Listen("tcp", r.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*dns.Server{{PacketConn: u, Handler: r}, {Listener: l, Handler: r}} {
		up := make(chan struct{})
		s.NotifyStartedFunc = func() { close(up) }
		done := make(chan error, 1)
		go func() { done <- s.ActivateAndServe() }()
		<-up
		t.Cleanup(func() {
			if err := errors.Join(s.Shutdown(), <-done); err != nil {
				t.Error(err)
			}
		})
	}
	return r
}

// list puts an address into a zone.
func (r *resolver) list(name, code string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.codes[name] = code
}

func (r *resolver) behave(zone string, rcode int, delay time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail[zone], r.delay[zone] = rcode, delay
}

func (r *resolver) times(name string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked[name]
}

func (r *resolver) total(zone string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for name, k := range r.asked {
		if strings.HasSuffix(name, "."+zone) {
			n += k
		}
	}
	return n
}

func (r *resolver) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	name := strings.TrimSuffix(strings.ToLower(q.Question[0].Name), ".")
	_, udp := w.RemoteAddr().(*net.UDPAddr)
	r.mu.Lock()
	r.asked[name]++
	code, listed := r.codes[name]
	var delay time.Duration
	m := new(dns.Msg).SetReply(q)
	for z := range r.fail {
		if strings.HasSuffix(name, "."+z) {
			delay, m.Rcode = r.delay[z], r.fail[z]
		}
	}
	short := r.short && udp
	r.mu.Unlock()
	if delay < 0 {
		return
	}
	time.Sleep(delay)
	switch {
	case m.Rcode != dns.RcodeSuccess:
	case short:
		m.Truncated = true
	case listed:
		m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 120}, A: net.ParseIP(code)}}
	default:
		m.Rcode = dns.RcodeNameError
		m.Ns = []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: "example.", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 900}, Ns: "n.", Mbox: "m.", Minttl: 60}}
	}
	w.WriteMsg(m) // whoever went away needs no answer
}

// clock is moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }
func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	c.mu.Unlock()
}

// check makes a running checker that asks r.
func check(t *testing.T, r *resolver, s Settings) (*Checker, *clock) {
	t.Helper()
	k := &clock{now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	c := New(Options{Now: k.Now, Servers: func() ([]netip.AddrPort, error) { return []netip.AddrPort{r.addr}, nil }})
	if err := c.Set(s); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run ended with %v", err)
		}
	})
	return c, k
}

const generous = 5 * time.Second // nothing here takes as long unless it is broken

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestListedSender(t *testing.T) {
	r := serve(t)
	r.list("9.113.0.203.one.example.org", "127.0.0.2")
	r.list("7.113.0.203.two.example.org", "127.0.0.10")
	r.list("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.a.b.0.0.0.a.2.one.example.org", "127.0.0.4")
	c, _ := check(t, r, Settings{Zones: []string{"one.example.org", "Two.Example.org."}, Deadline: generous})
	for _, w := range []struct{ sender, zone, code string }{
		{"203.0.113.9", "one.example.org", "127.0.0.2"},
		{"::ffff:203.0.113.9", "one.example.org", "127.0.0.2"},
		{"203.0.113.7", "two.example.org", "127.0.0.10"},
		{"2a00:bad::1", "one.example.org", "127.0.0.4"},
		{"203.0.113.8", "", ""},
		{"2a00:bad::2", "", ""},
	} {
		l := c.Check(t.Context(), addr(w.sender))
		switch {
		case (l != nil) != (w.zone != ""):
			t.Errorf("%s: %+v", w.sender, l)
		case l != nil && (l.Zone != w.zone || len(l.Codes) != 1 || l.Codes[0] != addr(w.code) || l.TTL != 2*time.Minute):
			t.Errorf("%s: %+v, want %s %s", w.sender, l, w.zone, w.code)
		}
	}
	if !c.Wants(25) || !c.Wants(465) || !c.Wants(587) || c.Wants(443) {
		t.Error("the wrong ports are wanted")
	}
}

// TestLocalSendersAreToldNobody: a neighbour's address is nobody else's business.
func TestLocalSendersAreToldNobody(t *testing.T) {
	r := serve(t)
	c, _ := check(t, r, Settings{Zones: []string{"one.example.org"}, Deadline: generous})
	for _, a := range []string{"192.168.1.5", "10.0.0.1", "127.0.0.1", "fe80::1%eth0", "::1", "fd00::1"} {
		r.list(reversed(addr(a).WithZone(""))+"one.example.org", "127.0.0.2")
		if l := c.Check(t.Context(), addr(a)); l != nil {
			t.Errorf("%s: %+v", a, l)
		}
	}
	if l := c.Check(t.Context(), netip.Addr{}); l != nil {
		t.Errorf("no address: %+v", l)
	}
	if n := r.total("one.example.org"); n != 0 {
		t.Errorf("%d questions", n)
	}
}

func TestCache(t *testing.T) {
	r := serve(t)
	r.list("9.113.0.203.one.example.org", "127.0.0.2")
	c, k := check(t, r, Settings{Zones: []string{"one.example.org"}, Deadline: generous})
	ask := func(wantListed bool, wantBad, wantGood int) {
		t.Helper()
		if got := c.Check(t.Context(), addr("203.0.113.9")) != nil; got != wantListed {
			t.Errorf("listed %v", got)
		}
		if c.Check(t.Context(), addr("203.0.113.8")) != nil {
			t.Error("an unlisted one is listed")
		}
		if b, g := r.times("9.113.0.203.one.example.org"), r.times("8.113.0.203.one.example.org"); b != wantBad || g != wantGood {
			t.Errorf("asked %d and %d times, want %d and %d", b, g, wantBad, wantGood)
		}
	}
	ask(true, 1, 1)
	ask(true, 1, 1)
	k.advance(61 * time.Second) // the negative answer has ended
	ask(true, 1, 2)
	k.advance(60 * time.Second) // and the positive one, and the second negative one not yet
	ask(true, 2, 3)
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache(3)
	now := time.Now()
	at := func(i byte) question { return question{"z", netip.AddrFrom4([4]byte{9, 9, 9, i})} }
	for i := range byte(5) {
		c.put(at(i), nil, now.Add(time.Hour))
		c.get(at(0), now) // in use all the time
	}
	if len(c.at) != 3 || c.used.Len() != 3 {
		t.Errorf("%d kept", len(c.at))
	}
	for i, want := range []bool{true, false, false, true, true} {
		if _, ok := c.get(at(byte(i)), now); ok != want {
			t.Errorf("%d is kept: %v", i, ok)
		}
	}
}

// TestZoneDownDelaysNobodyBeyondTheDeadline, and after a few it isn't asked any more.
func TestZoneDownDelaysNobodyBeyondTheDeadline(t *testing.T) {
	r := serve(t)
	r.behave("down.example.org", dns.RcodeSuccess, -1)
	r.list("9.113.0.203.one.example.org", "127.0.0.2")
	c, k := check(t, r, Settings{Zones: []string{"down.example.org"}, Deadline: 50 * time.Millisecond})
	begin := time.Now()
	if l := c.Check(t.Context(), addr("203.0.113.1")); l != nil {
		t.Errorf("%+v", l)
	}
	// Far less than the time in which a question is given up.
	if d := time.Since(begin); d < 40*time.Millisecond || d > askTimeout/2 {
		t.Errorf("waited %v", d)
	}
	for i := range byte(patience) {
		c.Check(t.Context(), netip.AddrFrom4([4]byte{203, 0, 113, i + 2}))
	}
	for end := time.Now().Add(10 * time.Second); c.Counters().Failed < patience; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the questions weren't given up")
		}
	}
	before := c.Counters()
	for i := range byte(20) {
		c.Check(t.Context(), netip.AddrFrom4([4]byte{203, 0, 113, i + 100}))
	}
	if after := c.Counters(); after.Late != before.Late {
		t.Errorf("%d senders waited for a zone that is down", after.Late-before.Late)
	}
	// Up again: one question tries it, and then all are asked.
	r.behave("down.example.org", dns.RcodeSuccess, 0)
	r.list("9.113.0.203.down.example.org", "127.0.0.2")
	k.advance(firstPause + time.Second)
	if err := c.Set(Settings{Zones: []string{"down.example.org"}, Deadline: generous}); err != nil {
		t.Fatal(err)
	}
	if l := c.Check(t.Context(), addr("203.0.113.9")); l == nil {
		t.Error("not asked again once it is up")
	}
}

// TestLateAnswerCountsNextTime: who was let in because the zone was slow isn't twice.
func TestLateAnswerCountsNextTime(t *testing.T) {
	r := serve(t)
	r.behave("slow.example.org", dns.RcodeSuccess, 150*time.Millisecond)
	r.list("9.113.0.203.slow.example.org", "127.0.0.2")
	c, _ := check(t, r, Settings{Zones: []string{"slow.example.org"}, Deadline: 20 * time.Millisecond})
	if l := c.Check(t.Context(), addr("203.0.113.9")); l != nil {
		t.Errorf("in time: %+v", l)
	}
	for end := time.Now().Add(10 * time.Second); c.Check(t.Context(), addr("203.0.113.9")) == nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the late answer is lost")
		}
	}
	if n := r.times("9.113.0.203.slow.example.org"); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// TestAnswersThatAreNoListing: what a zone or a resolver says when it doesn't work.
func TestAnswersThatAreNoListing(t *testing.T) {
	for _, c := range []struct{ name, code string }{
		{"the resolver isn't welcome", "127.255.255.254"},
		{"too many questions", "127.255.255.255"},
		{"a typing error in the zone", "127.255.255.252"},
		{"refused", "127.0.0.1"},
		{"a resolver that sends unknown names to its advertisements", "198.51.100.80"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := serve(t)
			r.list("9.113.0.203.one.example.org", c.code)
			r.list("7.113.0.203.two.example.org", "127.0.0.2")
			k, _ := check(t, r, Settings{Zones: []string{"one.example.org", "two.example.org"}, Deadline: generous})
			if l := k.Check(t.Context(), addr("203.0.113.9")); l != nil {
				t.Errorf("listed: %+v", l)
			}
			if l := k.Check(t.Context(), addr("203.0.113.7")); l == nil || l.Zone != "two.example.org" {
				t.Errorf("the other zone says %+v", l)
			}
		})
	}
}

// TestZoneThatListsEverybody: a zone that was given up and has a wildcard now.
func TestZoneThatListsEverybody(t *testing.T) {
	r := serve(t)
	r.list("9.113.0.203.dead.example.org", "127.0.0.2")
	r.list("1.0.0.127.dead.example.org", "127.0.0.2")
	c, _ := check(t, r, Settings{Zones: []string{"dead.example.org"}, Deadline: generous})
	if l := c.Check(t.Context(), addr("203.0.113.9")); l != nil {
		t.Errorf("listed: %+v", l)
	}
	if l := c.Check(t.Context(), addr("203.0.113.10")); l != nil || r.times("10.113.0.203.dead.example.org") != 0 {
		t.Error("it is asked again at once")
	}
}

func TestResolverFails(t *testing.T) {
	r := serve(t)
	r.behave("one.example.org", dns.RcodeServerFailure, 0)
	r.list("9.113.0.203.one.example.org", "127.0.0.2")
	c, _ := check(t, r, Settings{Zones: []string{"one.example.org"}, Deadline: generous})
	if l := c.Check(t.Context(), addr("203.0.113.9")); l != nil {
		t.Errorf("listed: %+v", l)
	}
	r.behave("one.example.org", dns.RcodeSuccess, 0)
	if l := c.Check(t.Context(), addr("203.0.113.9")); l == nil {
		t.Error("one failure was kept as an answer")
	}
}

// TestSecondServer is asked when the first doesn't answer.
func TestSecondServer(t *testing.T) {
	r, mute := serve(t), serve(t)
	mute.behave("one.example.org", dns.RcodeServerFailure, 0)
	r.list("9.113.0.203.one.example.org", "127.0.0.2")
	c, _ := check(t, r, Settings{Zones: []string{"one.example.org"}, Deadline: generous})
	c.o.Servers = func() ([]netip.AddrPort, error) { return []netip.AddrPort{mute.addr, r.addr}, nil }
	if l := c.Check(t.Context(), addr("203.0.113.9")); l == nil {
		t.Error("not asked")
	}
}

func TestTruncatedAnswer(t *testing.T) {
	r := serve(t)
	r.short = true
	r.list("9.113.0.203.one.example.org", "127.0.0.2")
	c, _ := check(t, r, Settings{Zones: []string{"one.example.org"}, Deadline: generous})
	if l := c.Check(t.Context(), addr("203.0.113.9")); l == nil {
		t.Error("not asked again over TCP")
	}
}

// TestSameSenderAskedOnce: many connections at once are one question.
func TestSameSenderAskedOnce(t *testing.T) {
	r := serve(t)
	r.behave("one.example.org", dns.RcodeSuccess, 100*time.Millisecond)
	r.list("9.113.0.203.one.example.org", "127.0.0.2")
	c, _ := check(t, r, Settings{Zones: []string{"one.example.org"}, Deadline: generous})
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if c.Check(t.Context(), addr("203.0.113.9")) == nil {
				t.Error("not listed")
			}
		})
	}
	all.Wait()
	if n := r.times("9.113.0.203.one.example.org"); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// TestFloodIsBounded: more senders than can be asked about are let in, counted, and
// take neither memory nor time.
func TestFloodIsBounded(t *testing.T) {
	c := New(Options{Servers: func() ([]netip.AddrPort, error) { return nil, errors.New("no server") }})
	if err := c.Set(Settings{Zones: []string{"one.example.org"}, Deadline: time.Nanosecond}); err != nil {
		t.Fatal(err)
	}
	for i := range 4 * queueLength {
		c.Check(t.Context(), netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}))
	}
	if n := c.Counters(); len(c.calls) > queueLength || n.OverFull != 3*queueLength {
		t.Errorf("%d on their way, %+v", len(c.calls), n)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	c := New(Options{})
	for name, s := range map[string]Settings{
		"zone":     {Zones: []string{"not a zone"}},
		"TLD":      {Zones: []string{"com"}},
		"deadline": {Zones: []string{"one.example.org"}, Deadline: time.Minute},
		"many":     {Zones: make([]string, MaxZones+1)},
	} {
		if err := c.Set(s); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if c.Wants(25) || c.Check(t.Context(), addr("203.0.113.9")) != nil {
		t.Error("something is asked without a zone")
	}
}
