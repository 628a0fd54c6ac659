package rule

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"sekisho/app/flow"
)

func TestLoopback(t *testing.T) {
	for _, c := range []struct {
		to   string
		want Touch
	}{
		{"any", Touch{}},
		{"lan", Touch{}},
		{"10.0.0.0/8", Touch{}},
		{"192.0.2.1", Touch{}},
		{"2001:db8::/32", Touch{}},
		{"127.0.0.1", Touch{Addrs: true}},
		{"127.255.255.255", Touch{Addrs: true}},
		{"::1", Touch{Addrs: true}},
		{"::ffff:127.0.0.1", Touch{Addrs: true}},
		{"127.4.0.0/16", Touch{Addrs: true}},
		{"0.0.0.0/0", Touch{Addrs: true}},
		{"::/0", Touch{Addrs: true}},
		{"126.0.0.0-127.0.0.0", Touch{Addrs: true}},
		{"127.0.0.9-127.0.0.10", Touch{Addrs: true}},
		{"128.0.0.0-128.0.0.9", Touch{}},
		{"::-::9", Touch{Addrs: true}},
		{"localhost", Touch{Addrs: true}},
		{"a.localhost", Touch{Addrs: true}},
		{"*.localhost", Touch{Addrs: true}},
		{"example.com", Touch{Names: true}},
		{"*.example.com", Touch{Names: true}},
		{"notlocalhost", Touch{Names: true}},
	} {
		r, err := ParseRemote(c.to)
		if err != nil {
			t.Fatal(err)
		}
		for _, on := range []bool{true, false} {
			want := c.want
			if !on {
				want = Touch{}
			}
			if got := NewSet([]Rule{{Enabled: on, Action: Block, Remote: r}}).Loopback(); got != want {
				t.Errorf("%s, enabled %v: %+v, want %+v", c.to, on, got, want)
			}
		}
	}
}

// Where Loopback finds nothing, no rule decides what a machine says to itself: it may pass
// without anybody looking at it.
func TestLoopbackPassesOnlyWhereNoRuleDecides(t *testing.T) {
	here := []string{"127.0.0.0/8", "127.0.0.1", "::1", "localhost", "example.com", "*.example.com", "0.0.0.0/0", "127.0.0.0-128.0.0.0"}
	none, decided := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		rules, now := genWideRules(t), genClock(t)
		for i := range rules {
			if to := rarely(t, "to this machine", 3, here); to != "" {
				rules[i] = Rule{ID: rules[i].ID, Enabled: rules[i].Enabled, Action: rules[i].Action, Direction: Both}
				rules[i].Remote, _ = ParseRemote(to)
			}
		}
		s := NewSet(rules)
		touch := s.Loopback()
		q := genQuery(t, genProcess(t))
		q.Named, q.LAN, q.Lists = true, false, nil
		q.Remote.Addr = netip.MustParseAddr(rapid.SampledFrom([]string{"127.0.0.1", "127.9.9.9", "::1"}).Draw(t, "loopback"))
		q.Remote.Name = rapid.SampledFrom([]string{localhost, "www.example.com"}).Draw(t, "by name")
		r, ok := s.Decide(q, now)
		if want := naiveDecide(rules, q, now); ok != (want != nil) || ok && r.ID != want.ID {
			t.Fatalf("%+v decides, want %+v", r, want)
		}
		if ok {
			decided++
			if r.Remote.IsAny() {
				t.Fatalf("a rule about anything decides: %+v", r)
			}
			if !touch.Addrs && (q.Remote.Name == localhost || !touch.Names) {
				t.Fatalf("%+v decides, but Loopback found nothing", r)
			}
		}
		if touch == (Touch{}) {
			none++
		}
	})
	if none == 0 || decided == 0 {
		t.Errorf("%d sets without, %d decisions: the test proves nothing", none, decided)
	}
}

func TestForwardedHasRulesOfItsOwn(t *testing.T) {
	anything := Rule{ID: "1", Enabled: true, Action: Allow}
	own := Rule{ID: "2", Enabled: true, Action: Block, Program: Program{Path: flow.ForwardedPath}}
	p := &flow.Process{Program: flow.Program{Path: flow.ForwardedPath}}
	q := Query{Process: p, Protocol: flow.TCP, Remote: flow.Endpoint{Addr: netip.MustParseAddr("192.0.2.1"), Port: 80}}
	if r, ok := NewSet([]Rule{anything}).Decide(q, Clock{}); ok {
		t.Errorf("decided by %+v", r)
	}
	if w := NewSet([]Rule{anything}).Wide(p, flow.Out, Clock{}); w.Verdict != NoRule {
		t.Errorf("wide: %v", w.Verdict)
	}
	s := NewSet([]Rule{anything, own})
	if r, ok := s.Decide(q, Clock{}); !ok || r.ID != "2" {
		t.Errorf("decided by %+v", r)
	}
	if w := s.Wide(p, flow.Out, Clock{}); w.Verdict != BlockAll {
		t.Errorf("wide: %v", w.Verdict)
	}
	for _, c := range s.Explain(q, Clock{}) {
		if c.Matched != (c.Rule.ID == "2") {
			t.Errorf("%s matched: %v", c.Rule.ID, c.Matched)
		}
	}
}
