package engine

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/rule"
)

// fakeNetworks are the links of the machine: 1 leads out, 2 to a VPN. Empty profiles stand
// for links that are not there.
type fakeNetworks struct {
	out, vpn string
	known    map[string]string
}

func (n *fakeNetworks) Of(link int, _, remote netip.Addr) string {
	switch {
	case remote.IsLoopback():
		return ""
	case link == 2 && n.vpn != "":
		return n.vpn
	}
	return n.Profile()
}

func (n *fakeNetworks) Profile() string {
	if n.out == "" {
		return rule.NetworkPublic
	}
	return n.out
}

func (n *fakeNetworks) Mixed() bool { return n.vpn != "" && n.vpn != n.out }

func (n *fakeNetworks) Here() (all []api.Network) {
	if n.out != "" {
		all = append(all, api.Network{ID: "gateway:1", Name: "eth0", Profile: n.out, Here: true, Primary: true})
	}
	if n.vpn != "" {
		all = append(all, api.Network{ID: "vpn:2", Name: "tun0", Profile: n.vpn, Here: true})
	}
	return all
}

func (n *fakeNetworks) SetKnown(known map[string]string) { n.known = known }

// on puts the machine on networks.
func (w *world) on(n *fakeNetworks) {
	w.e.mu.Lock()
	w.e.c.Networks, w.e.networks.settled = n, true
	w.e.mu.Unlock()
	w.e.NetworksChanged()
}

// Of two networks at once each flow has its own: what was decided for one says nothing to
// the kernel about the other.
func TestTwoNetworksAtOnce(t *testing.T) {
	w := newWorld(t)
	w.on(&fakeNetworks{out: rule.NetworkPublic, vpn: rule.NetworkWork})
	p := w.program("mail")
	w.rule(rule.Rule{Action: rule.Allow, Program: rule.Program{Path: p.Path}, Network: "work"}, "")
	by := func(link int) Packet {
		q := to(w.socket(p), flow.TCP, "192.0.2.1:25")
		q.Link = link
		return q
	}
	work := by(2)
	w.is(w.send(work), "accepted")
	w.is(w.send(work), "passed") // this very socket
	w.is(w.send(by(2)), "accepted")
	h := w.send(by(1))
	w.asked(1)
	w.is(h, "held")
}

// Where nobody has named a network, and where there is none, what comes in is asked about.
func TestWhenPublicCounts(t *testing.T) {
	for _, c := range []struct {
		name     string
		networks *fakeNetworks
		known    bool
		want     string
	}{
		{"nobody has named any", &fakeNetworks{out: rule.NetworkPublic}, false, "held"},
		{"this one is unknown", &fakeNetworks{out: rule.NetworkPublic}, true, "blocked"},
		{"at home", &fakeNetworks{out: rule.NetworkHome}, true, "held"},
		{"no way out at all", &fakeNetworks{}, true, "held"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			if c.known {
				w.e.networks.known = map[string]knownNetwork{"gateway:9": {Profile: rule.NetworkHome}}
			}
			w.on(c.networks)
			p := w.program("server")
			h := w.send(from(w.socket(p), flow.TCP, "192.0.2.1:5000", 80))
			if c.want == "held" {
				w.asked(1)
				w.is(h, "held")
				return
			}
			w.is(h, "refused")
			w.rule(rule.Rule{Action: rule.Allow, Direction: rule.In, Program: rule.Program{Path: p.Path}}, "")
			w.is(w.send(from(w.socket(p), flow.TCP, "192.0.2.1:5001", 80)), "passed")
		})
	}
}

// Until it is known where the machine is, nothing ends for being on an unknown network.
func TestNothingEndsTooEarly(t *testing.T) {
	w := newWorld(t)
	home := &fakeNetworks{out: rule.NetworkHome}
	w.on(home)
	w.e.networks.settled = false
	p := w.program("mail")
	w.rule(rule.Rule{Action: rule.Allow, Program: rule.Program{Path: p.Path}, Network: "home"}, "")
	q := to(w.socket(p), flow.TCP, "192.0.2.1:25")
	w.is(w.send(q), "accepted")
	home.out = rule.NetworkPublic
	w.e.NetworksChanged()
	w.settled()
	if live := w.live(q.Owner.Cookie); len(live) != 1 || live[0].State != flow.Open {
		t.Fatalf("it ended: %+v", live)
	}
	w.e.since = time.Now().Add(-placeTime)
	w.e.endPlaceTime()
	w.settled()
	if live := w.live(q.Owner.Cookie); slices.ContainsFunc(live, func(f flow.Flow) bool { return f.Decision.Verdict == flow.Allow }) {
		t.Fatalf("it goes on: %+v", live)
	}
}

// What people said of networks is remembered, within bounds.
func TestNameNetwork(t *testing.T) {
	w := newWorld(t)
	here := &fakeNetworks{out: rule.NetworkPublic}
	w.on(here)
	name := func(id, profile string, want api.ErrorCode) {
		t.Helper()
		if err := w.e.NameNetwork(t.Context(), id, profile); (err != nil || want != 0) && api.CodeOf(err) != want {
			t.Errorf("%s as %q: %v", id, profile, err)
		}
	}
	name("gateway:1", " The  Cabin", 0)
	name("gateway:2", "home", api.NotFound)
	name("", "home", api.NotFound)
	name("gateway:1", "a,b", api.BadRequest)
	if here.known["gateway:1"] != "the cabin" {
		t.Errorf("told %v", here.known)
	}
	w.on(&fakeNetworks{})
	if err := w.e.recallNetworks(); err != nil {
		t.Fatal(err)
	}
	if all, err := w.e.Networks(t.Context()); err != nil || len(all) != 1 || all[0].Profile != "the cabin" || all[0].Name != "eth0" || all[0].Here {
		t.Errorf("elsewhere: %+v, %v", all, err)
	}
	name("gateway:1", "", 0)
	if len(w.e.networks.known) != 0 {
		t.Errorf("it is not forgotten: %+v", w.e.networks.known)
	}
}
