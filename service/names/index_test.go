package names

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func sorted(as []netip.Addr) []netip.Addr {
	slices.SortFunc(as, netip.Addr.Compare)
	return as
}

func TestAddrs(t *testing.T) {
	c := NewCache()
	learn := func(key, name string, as ...netip.Addr) { c.Learn(key, Answer{Question: name, Addrs: as}, start) }
	learn("p", "www.example.com", ip1, ip2)
	learn("p", "example.com", ip2)
	learn("p", "notexample.com", addrs("198.51.100.3")...)
	learn("q", "example.com", addrs("198.51.100.4")...)
	tests := []struct {
		got, want []netip.Addr
	}{
		{c.Addrs("p", "WWW.example.com.", start), []netip.Addr{ip1}},
		{c.Addrs("p", "example.com", start), []netip.Addr{ip2}},
		{c.Addrs("q", "example.com", start), addrs("198.51.100.4")},
		{c.Addrs("q", "www.example.com", start), nil},
		{c.Addrs("r", "example.com", start), nil},
		{c.Addrs("p", "no name", start), nil},
		{c.AddrsIn("p", "example.com", start), []netip.Addr{ip1, ip2}},
		{c.AddrsIn("p", "com", start), addrs("198.51.100.1", "198.51.100.2", "198.51.100.3")},
		{c.AddrsIn("p", "www.example.com", start), []netip.Addr{ip1}},
		{c.AddrsIn("r", "com", start), nil},
		{c.AddrsIn("p", "example.com", start.Add(MinTTL)), nil},
	}
	for i, tt := range tests {
		if !slices.Equal(sorted(tt.got), tt.want) {
			t.Errorf("%d: %v, want %v", i, tt.got, tt.want)
		}
	}
	if !c.Knew("p", "www.example.com", ip2, start) || c.Knew("p", "www.example.com", ip2, start.Add(MinTTL)) || c.Knew("q", "www.example.com", ip2, start) {
		t.Error("what was known before isn't known")
	}
	if c.Learn(Machine, Answer{Question: "m.example", Addrs: []netip.Addr{ip1}}, start); c.Addrs("p", "m.example", start) != nil {
		t.Error("a program knows what the machine knows")
	}
}

// The index says what one finds by asking for every address.
func TestAddrsAgainstLookup(t *testing.T) {
	ask := []string{"a.example", "b.example", "c.b.example", "xb.example"}
	rapid.Check(t, func(t *rapid.T) {
		c, now := NewCache(), start
		var ips []netip.Addr
		for i := range 5 {
			ips = append(ips, netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}))
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "wait")) * time.Second)
			if rapid.IntRange(0, 4).Draw(t, "expire") == 0 {
				c.Expire(now)
			} else {
				some := rapid.SliceOfNDistinct(rapid.SampledFrom(ips), 1, 3, rapid.ID[netip.Addr]).Draw(t, "addrs")
				c.Learn("p", Answer{Question: rapid.SampledFrom(ask).Draw(t, "name"), Addrs: some, TTL: time.Duration(rapid.IntRange(0, 2000).Draw(t, "ttl")) * time.Second}, now)
			}
			for _, name := range ask {
				var want, below []netip.Addr
				for _, ip := range ips {
					is, _ := c.Lookup("p", ip, now)
					if is == name {
						want = append(want, ip)
					}
					if name == "b.example" && (is == name || is == "c.b.example") {
						below = append(below, ip)
					}
				}
				if got := sorted(c.Addrs("p", name, now)); !slices.Equal(got, want) {
					t.Fatalf("%s: %v, want %v", name, got, want)
				}
				if got := sorted(c.AddrsIn("p", "b.example", now)); name == "b.example" && !slices.Equal(got, below) {
					t.Fatalf("below %s: %v, want %v", name, got, below)
				}
			}
		}
		for key, p := range c.programs {
			for name, set := range p.named {
				for a := range set {
					if at := p.addrs[a]; at == nil || !slices.ContainsFunc(at.names, func(l learnt) bool { return l.question == name }) {
						t.Fatalf("%s: %s leads to %v no more", key, name, a)
					}
				}
			}
		}
	})
}

func TestIndexIsBounded(t *testing.T) {
	c := NewCache()
	for i := range 3 * MaxAddrs {
		c.Learn("p", Answer{Question: fmt.Sprintf("n%d.example", i), Addrs: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})}}, start)
	}
	if n := len(c.programs["p"].named); n != MaxAddrs {
		t.Errorf("%d names of %d addresses", n, MaxAddrs)
	}
}
