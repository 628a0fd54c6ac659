package names

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var (
	start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ip1   = netip.MustParseAddr("198.51.100.1")
	ip2   = netip.MustParseAddr("198.51.100.2")
)

func lookup(t *testing.T, c *Cache, program string, a netip.Addr, now time.Time, want string) {
	t.Helper()
	if got, ok := c.Lookup(program, a, now); got != want || ok != (want != "") {
		t.Errorf("%s calls %v %q (%v), want %q", program, a, got, ok, want)
	}
}

func TestLearn(t *testing.T) {
	c := NewCache()
	changed := c.Learn("/bin/a", Answer{Question: "WWW.example.com.", Chain: []string{"cdn.example.net", "bad name"}, Addrs: []netip.Addr{ip1, ip2}}, start)
	if !slices.Equal(changed, []netip.Addr{ip1, ip2}) {
		t.Errorf("changed %v", changed)
	}
	lookup(t, c, "/bin/a", ip1, start, "www.example.com")
	lookup(t, c, "/bin/b", ip1, start, "")
	lookup(t, c, "/bin/a\x00/x.py", ip1, start, "")
	lookup(t, c, "/bin/a", netip.MustParseAddr("::ffff:198.51.100.1"), start, "www.example.com")

	if changed = c.Learn("/bin/a", Answer{Question: "www.example.com", Chain: []string{"cdn.example.net"}, Addrs: []netip.Addr{ip1}}, start); changed != nil {
		t.Errorf("the same again changed %v", changed)
	}
	if got := c.Chain("/bin/a", ip1, "www.example.com"); !slices.Equal(got, []string{"cdn.example.net"}) {
		t.Errorf("chain %q", got)
	}
	changed = c.Learn("/bin/a", Answer{Question: "www.example.com", Addrs: []netip.Addr{ip1}}, start)
	if got := c.Chain("/bin/a", ip1, "www.example.com"); got != nil || !slices.Equal(changed, []netip.Addr{ip1}) {
		t.Errorf("by another chain, %q, changed %v", got, changed)
	}
	changed = c.Learn("/bin/a", Answer{Question: "other.example.com", Addrs: []netip.Addr{ip1}}, start.Add(time.Second))
	if !slices.Equal(changed, []netip.Addr{ip1}) {
		t.Errorf("a newer question changed %v", changed)
	}
	lookup(t, c, "/bin/a", ip1, start, "other.example.com")
	lookup(t, c, "/bin/a", ip2, start, "www.example.com")
	if got := c.Aliases("/bin/a", ip1); !slices.Equal(got, []string{"www.example.com"}) {
		t.Errorf("aliases %q", got)
	}
	if got := c.Aliases("/bin/a", ip2); !slices.Equal(got, []string{"cdn.example.net"}) {
		t.Errorf("aliases %q", got)
	}
	if got := c.Aliases("/bin/b", ip1); got != nil {
		t.Errorf("aliases of another program: %q", got)
	}
}

func TestLearnRefusesWhatIsNoName(t *testing.T) {
	long := strings.Repeat("a.", 127)
	for _, name := range []string{"", ".", "a b", "bücher.example", "a..b", ".a", "a\x00b", "a/b", "<b>", "e\u202excom",
		strings.Repeat("a", 64) + ".com", long + "a"} {
		c := NewCache()
		if got := c.Learn("p", Answer{Question: name, Addrs: []netip.Addr{ip1}}, start); got != nil {
			t.Errorf("%q changed %v", name, got)
		}
		lookup(t, c, "p", ip1, start, "")
	}
	for _, name := range []string{"a", "_dns.example", "xn--bcher-kva.example", "1.2.3", long[:253]} {
		c := NewCache()
		c.Learn("p", Answer{Question: name, Addrs: []netip.Addr{ip1}}, start)
		lookup(t, c, "p", ip1, start, name)
	}
}

func TestNamesRunOut(t *testing.T) {
	for _, tt := range []struct{ ttl, kept time.Duration }{
		{0, MinTTL}, {time.Second, MinTTL}, {time.Hour, time.Hour}, {30 * 24 * time.Hour, MaxTTL}, {-time.Hour, MinTTL},
	} {
		c := NewCache()
		c.Learn("p", Answer{Question: "a.example", Addrs: []netip.Addr{ip1}, TTL: tt.ttl}, start)
		lookup(t, c, "p", ip1, start.Add(tt.kept-1), "a.example")
		lookup(t, c, "p", ip1, start.Add(tt.kept), "")
		if got := c.Expire(start.Add(tt.kept - 1)); len(got) != 0 {
			t.Errorf("TTL %v: expired %v too early", tt.ttl, got)
		}
		if got := c.Expire(start.Add(tt.kept)); !slices.Equal(got["p"], []netip.Addr{ip1}) {
			t.Errorf("TTL %v: expired %v", tt.ttl, got)
		}
		if len(c.programs) != 0 || c.used.Len() != 0 {
			t.Error("the program is still there")
		}
	}
}

func TestOlderNameComesBackWhenTheNewerRunsOut(t *testing.T) {
	c := NewCache()
	c.Learn("p", Answer{Question: "long.example", Addrs: []netip.Addr{ip1}, TTL: time.Hour}, start)
	c.Learn("p", Answer{Question: "short.example", Addrs: []netip.Addr{ip1}}, start)
	lookup(t, c, "p", ip1, start.Add(MinTTL-1), "short.example")
	lookup(t, c, "p", ip1, start.Add(MinTTL), "long.example")
	if got := c.Expire(start.Add(MinTTL)); !slices.Equal(got["p"], []netip.Addr{ip1}) {
		t.Errorf("changed %v", got)
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := NewCache()
	at := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) }
	var dropped []netip.Addr
	for i := range MaxAddrs {
		c.Learn("p", Answer{Question: "a.example", Addrs: []netip.Addr{at(i)}}, start)
	}
	lookup(t, c, "p", at(0), start, "a.example") // used: at(1) is the oldest now
	dropped = c.Learn("p", Answer{Question: "a.example", Addrs: []netip.Addr{at(MaxAddrs)}}, start)
	if !slices.Equal(dropped, []netip.Addr{at(MaxAddrs), at(1)}) {
		t.Errorf("changed %v, want the new one and %v", dropped, at(1))
	}
	lookup(t, c, "p", at(1), start, "")
	lookup(t, c, "p", at(0), start, "a.example")

	for i := range MaxPrograms {
		c.Learn(fmt.Sprint("q", i), Answer{Question: "a.example", Addrs: []netip.Addr{ip1}}, start)
	}
	if len(c.programs) != MaxPrograms || c.used.Len() != MaxPrograms {
		t.Errorf("%d programs", len(c.programs))
	}
	lookup(t, c, "p", at(0), start, "")
	lost, there := c.Expire(start)["p"]
	if !there || lost != nil {
		t.Errorf("the lost program is told as %v, %v", lost, there)
	}

	for i := range 100 {
		c.Learn("r", Answer{Question: fmt.Sprintf("n%d.example", i), Addrs: []netip.Addr{ip1}}, start)
	}
	if got := c.Aliases("r", ip1); len(got) != maxQuestions-1 || got[0] != "n98.example" {
		t.Errorf("aliases %v", got)
	}
}

// Whatever is learnt, an address has the name of its program's newest unexpired
// question, and Learn and Expire tell of every change of it.
func TestCacheAgainstModel(t *testing.T) {
	type key struct {
		program string
		addr    netip.Addr
	}
	type entry struct {
		name  string
		until time.Time
	}
	rapid.Check(t, func(t *rapid.T) {
		c, model, shown, now := NewCache(), map[key][]entry{}, map[key]string{}, start
		programs, ips := []string{"a", "b", "c"}, []netip.Addr{ip1, ip2}
		newest := func(k key) string {
			for _, e := range slices.Backward(model[k]) {
				if now.Before(e.until) {
					return e.name
				}
			}
			return ""
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 900).Draw(t, "wait")) * time.Second)
			told := map[key]bool{}
			if rapid.Bool().Draw(t, "learn") {
				p, ip := rapid.SampledFrom(programs).Draw(t, "program"), rapid.SampledFrom(ips).Draw(t, "addr")
				name := rapid.SampledFrom([]string{"x.example", "y.example", "z.example"}).Draw(t, "name")
				ttl := time.Duration(rapid.IntRange(0, 3000).Draw(t, "ttl")) * time.Second
				before := newest(key{p, ip})
				for _, a := range c.Learn(p, Answer{Question: name, Addrs: []netip.Addr{ip}, TTL: ttl}, now) {
					told[key{p, a}] = true
				}
				k := key{p, ip}
				model[k] = slices.DeleteFunc(model[k], func(e entry) bool { return e.name == name })
				model[k] = append(model[k], entry{name, now.Add(max(ttl, MinTTL))})
				if told[k] != (before != name) {
					t.Fatalf("%v was called %q and is %q: told %v", k, before, name, told[k])
				}
				shown[k] = name
			} else {
				for p, as := range c.Expire(now) {
					for _, a := range as {
						told[key{p, a}] = true
					}
				}
				for k, was := range shown {
					if is := newest(k); is != was && !told[k] {
						t.Fatalf("%v was called %q and is %q, and nobody was told", k, was, is)
					}
					shown[k] = newest(k)
				}
			}
			for _, p := range programs {
				for _, ip := range ips {
					got, _ := c.Lookup(p, ip, now)
					if want := newest(key{p, ip}); got != want {
						t.Fatalf("%s calls %v %q, want %q", p, ip, got, want)
					}
				}
			}
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	c := NewCache()
	c.Learn("p", Answer{Question: "a.example", Addrs: []netip.Addr{ip1}}, start)
	b.ReportAllocs()
	for b.Loop() {
		c.Lookup("p", ip1, start)
	}
}
