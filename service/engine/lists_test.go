package engine

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/names"
)

// fakeLists are lists of names with all below, and of addresses.
type fakeLists struct {
	hits    map[string]ListHit
	counted []string
}

func (l *fakeLists) Look(q LookUp) (found []ListHit) {
	for _, n := range append([]string{q.Addr.String(), q.Name}, q.Aliases...) {
		for {
			if h, ok := l.hits[n]; ok {
				found = append(found, h)
			}
			_, below, ok := strings.Cut(n, ".")
			if !ok || q.Direction == flow.In {
				break
			}
			n = below
		}
	}
	return found
}

func (l *fakeLists) LookPage(_ LookUp, host, target string) []ListHit {
	if h, ok := l.hits["http://"+host+target]; ok {
		return []ListHit{h}
	}
	return nil
}
func (l *fakeLists) Active() (any, pages bool) { return len(l.hits) > 0, len(l.hits) > 0 }
func (l *fakeLists) Count(list string)         { l.counted = append(l.counted, list) }

// fakeSenders list one, after a while.
type fakeSenders struct {
	listed  netip.Addr
	release chan struct{}
}

func (s *fakeSenders) Active() bool           { return true }
func (s *fakeSenders) Wants(port uint16) bool { return port == 25 }
func (s *fakeSenders) Check(ctx context.Context, a netip.Addr) (Listing, bool) {
	select {
	case <-s.release:
	case <-ctx.Done():
	}
	return Listing{"zone.example", time.Hour}, a == s.listed
}

const listedAddr, cleanAddr = "203.0.113.7", "203.0.113.8"

func (w *world) connect(p *flow.Process, addr string, port uint16) *held {
	return w.send(to(w.socket(p), flow.TCP, fmt.Sprintf("%s:%d", addr, port)))
}

func (w *world) arrive(p *flow.Process, addr string, port uint16) *held {
	return w.send(from(w.socket(p), flow.TCP, addr+":40000", port))
}

// listing is a world with a list of an address and a name.
func listing(t *testing.T, blocks bool) (*world, *fakeLists) {
	w := newWorld(t)
	hit := ListHit{List: "bad", Name: "Bad hosts", Blocks: blocks, Entry: "an entry", Matched: "it"}
	l := &fakeLists{hits: map[string]ListHit{listedAddr: hit, "listed.example": hit, "http://www.example/x": hit}}
	w.e.c.Lists = l
	return w, l
}

// TestListBeforeRule: what comes before a list is only a person's rule that names the very
// destination.
func TestListBeforeRule(t *testing.T) {
	for _, c := range []struct {
		to   string
		want string
	}{
		{"any", "refused"}, {"lan", "refused"}, {"0.0.0.0/0", "refused"}, {"list:bad", "refused"}, {"list:Bad hosts", "refused"},
		{listedAddr, "accepted"}, {"203.0.113.0/24", "accepted"}, {"203.0.113.0-203.0.113.9", "accepted"},
		{"www.listed.example", "accepted"}, {"*.example", "accepted"},
	} {
		t.Run(c.to, func(t *testing.T) {
			w, l := listing(t, true)
			p := w.program("p")
			addr := netip.MustParseAddr(listedAddr)
			w.names.Learn(p.Key(), names.Answer{Question: "www.listed.example", Addrs: []netip.Addr{addr}, TTL: time.Hour}, time.Now())
			w.rule(rule.Rule{Action: rule.Allow, Program: rule.Program{Path: p.Path}}, c.to)
			w.is(w.connect(p, listedAddr, 443), c.want)
			if blocked := c.want == "refused"; blocked != slices.Contains(l.counted, "bad") {
				t.Errorf("counted %v", l.counted)
			}
			x, err := w.e.Explain(t.Context(), api.Question{Program: p.Path, To: "www.listed.example", Port: 443, Asker: api.Asker{Admin: true}})
			if err != nil {
				t.Fatal(err)
			}
			if byList := x.Decision.By == (flow.By{Kind: flow.ByList, ID: "bad", Name: "Bad hosts"}); byList != (c.want == "refused") {
				t.Errorf("explained as %+v", x)
			}
		})
	}
}

// TestListOfAliases: a name is listed when what it leads to is.
func TestListOfAliases(t *testing.T) {
	w, _ := listing(t, true)
	p := w.program("p")
	w.rule(rule.Rule{Action: rule.Allow, Program: rule.Program{Path: p.Path}}, "")
	addr := netip.MustParseAddr(cleanAddr)
	w.names.Learn(p.Key(), names.Answer{Question: "first.example.org", Chain: []string{"t.listed.example"}, Addrs: []netip.Addr{addr}, TTL: time.Hour}, time.Now())
	w.is(w.connect(p, cleanAddr, 443), "refused")
	// The same address, by a name that leads there on another way.
	w.e.NamesChanged(p.Key(), w.names.Learn(p.Key(), names.Answer{Question: "other.example.org", Addrs: []netip.Addr{addr}, TTL: time.Hour}, time.Now()))
	w.is(w.connect(p, cleanAddr, 443), "accepted")
}

// TestListChanges: what passed before an address was listed ends, and the kernel asks again.
func TestListChanges(t *testing.T) {
	w, l := listing(t, true)
	p := w.program("p")
	w.rule(rule.Rule{Action: rule.Allow, Program: rule.Program{Path: p.Path}}, "")
	w.is(w.connect(p, cleanAddr, 443), "accepted")
	l.hits[cleanAddr] = l.hits[listedAddr]
	w.e.ListsChanged()
	w.settled()
	w.is(w.connect(p, cleanAddr, 443), "refused")
	clear(l.hits)
	w.e.ListsChanged()
	w.is(w.connect(p, listedAddr, 443), "passed")
}

// TestListWarns: a list that only warns says so in the prompt, and blocks nothing.
func TestListWarns(t *testing.T) {
	w, l := listing(t, false)
	p := w.program("p")
	h := w.connect(p, listedAddr, 443)
	q := w.asked(1)[0]
	i := slices.IndexFunc(q.Warnings, func(x prompt.Warning) bool { return x.Code == prompt.WarnListed })
	if i < 0 || q.Warnings[i].Value != "Bad hosts" || !slices.Equal(l.counted, []string{"bad"}) {
		t.Errorf("%+v, counted %v", q.Warnings, l.counted)
	}
	w.answer(q, rule.Allow, rule.Once, prompt.DefaultScope(q.Flow))
	w.is(h, "accepted")
	w.rule(rule.Rule{Action: rule.Block, Program: rule.Program{Path: p.Path}}, "list:bad")
	w.is(w.connect(p, listedAddr, 444), "refused")
}

// TestPageListed: a list about pages is asked about the page, unless a rule names the host.
func TestPageListed(t *testing.T) {
	w, _ := listing(t, true)
	p := w.program("p")
	f := flow.Flow{Process: p, Protocol: flow.TCP, Remote: flow.Endpoint{Addr: netip.MustParseAddr(cleanAddr), Port: 80, Name: "www.example"}}
	if d, ok := w.e.PageListed(&f, "www.example", "/x"); !ok || d.By.ID != "bad" {
		t.Errorf("%+v, %v", d, ok)
	}
	if d, ok := w.e.PageListed(&f, "www.example", "/y"); ok {
		t.Errorf("another page: %+v", d)
	}
	w.rule(rule.Rule{Action: rule.Allow, Program: rule.Program{Path: p.Path}}, "www.example")
	if d, ok := w.e.PageListed(&f, "www.example", "/x"); ok {
		t.Errorf("a rule names it: %+v", d)
	}
}

// TestSender: mail waits for the zones, and a listed sender is dropped.
func TestSender(t *testing.T) {
	w := newWorld(t)
	s := &fakeSenders{listed: netip.MustParseAddr(listedAddr), release: make(chan struct{})}
	w.e.c.Senders = s
	p := w.program("mail")
	w.rule(rule.Rule{Action: rule.Allow, Direction: rule.In, Program: rule.Program{Path: p.Path}}, "")
	bad, good, other := w.arrive(p, listedAddr, 25), w.arrive(p, cleanAddr, 25), w.arrive(p, listedAddr, 80)
	w.is(other, "accepted")
	w.is(bad, "held")
	w.is(good, "held")
	close(s.release)
	w.is(bad, "refused")
	w.is(good, "accepted")
	w.rule(rule.Rule{Action: rule.Allow, Direction: rule.In, Program: rule.Program{Path: p.Path}}, listedAddr)
	w.is(w.arrive(p, listedAddr, 25), "accepted")
}
