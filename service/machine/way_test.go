package machine

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sekisho/app/flow"
)

// culprit writes what a report blames, with chosen values.
func culprit(r Report, values ...string) string {
	if r.Culprit == nil {
		return string(r.Outcome)
	}
	s := fmt.Sprintf("%s by %s", r.Outcome, r.Culprit.Code)
	for _, v := range values {
		s += " " + r.Culprit.Values[v]
	}
	return s
}

// TestWayIsMissing takes the way to the mail server away in every manner that there is.
func TestWayIsMissing(t *testing.T) {
	s := newScene(t)
	far := netip.MustParseAddr("192.0.2.25")
	far6 := netip.MustParseAddr("2001:db8::25")
	near := netip.AddrFrom4([4]byte{10, 99, s.Home.Addr4.As4()[2], 200})
	for _, c := range []struct {
		name, do, undo string
		to             netip.Addr
		want           string
	}{
		{"nothing is wrong", "ip route show", "", far, "passes"},
		{"unreachable", "ip route add unreachable 192.0.2.0/24", "ip route del unreachable 192.0.2.0/24", far, "dropped by route-unreachable unreachable 192.0.2.0/24"},
		{"prohibited", "ip route add prohibit 192.0.2.25", "ip route del prohibit 192.0.2.25", far, "dropped by route-prohibited prohibit 192.0.2.25/32"},
		{"a black hole", "ip route add blackhole 192.0.0.0/16", "ip route del blackhole 192.0.0.0/16", far, "dropped by route-blackhole blackhole 192.0.0.0/16"},
		{"IPv6, unreachable", "ip -6 route add unreachable 2001:db8::/32", "ip -6 route del unreachable 2001:db8::/32", far6, "dropped by route-unreachable unreachable 2001:db8::/32"},
		{"no default", "ip route del default", fmt.Sprintf("ip route add default via %s", s.Remote.Addr4), far, "dropped by route-missing "},
		{"IPv6, no default", "ip -6 route del default", fmt.Sprintf("ip -6 route add default via %s", s.Remote.Addr6), far6, "dropped by route-missing "},
		{"a rule for one user", "ip rule add uidrange 1000-1000 prohibit", "ip rule del uidrange 1000-1000 prohibit", far, "dropped by route-prohibited "},
		{"no next hop", fmt.Sprintf("ip neigh add %s dev eth0 nud failed", near), fmt.Sprintf("ip neigh del %s dev eth0", near), near, "may be dropped by neighbour-failed "},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.t = t
			s.run("", "sh", "-c", c.do)
			if c.undo != "" {
				defer s.run("", "sh", "-c", c.undo)
			}
			f := s.mail()
			f.Remote.Addr = c.to
			if got := culprit(s.look(f), "route"); c.want == "passes" && got != c.want || c.want != "passes" && got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestNameIsMissing looks for a mail server whose name nobody knows, nobody says, or that
// is in the hosts file.
func TestNameIsMissing(t *testing.T) {
	s := newScene(t)
	s.DNS.Set("mail.example.com", s.Remote.Addr4, s.Remote.Addr6)
	s.DNS.Set("empty.example.com")
	s.DNS.Set("slow.example.com", s.Remote.Addr4)
	s.DNS.Delay("slow.example.com", time.Minute)
	nobody := s.Home.Addr4 // where no server listens
	for _, c := range []struct {
		name   string
		server netip.Addr
		want   string
	}{
		{"mail.example.com", s.Remote.Addr4, "passes"},
		{"nosuch.example.com", s.Remote.Addr4, fmt.Sprintf("dropped by name-unknown %s nosuch.example.com", s.Remote.Addr4)},
		{"empty.example.com", s.Remote.Addr4, fmt.Sprintf("dropped by name-empty %s empty.example.com", s.Remote.Addr4)},
		{"slow.example.com", s.Remote.Addr4, fmt.Sprintf("dropped by name-no-answer %s slow.example.com", s.Remote.Addr4)},
		{"mail.example.com", nobody, fmt.Sprintf("dropped by name-no-answer %s mail.example.com", nobody)},
		{"a..b", s.Remote.Addr4, "dropped by name-invalid  "},
	} {
		s.resolveWith(c.server)
		s.machine.NameDeadline = 10 * time.Second
		if strings.Contains(c.want, string(NameNoAnswer)) {
			s.machine.NameDeadline = 300 * time.Millisecond // for what never comes
		}
		f := s.mail()
		f.Remote = flow.Endpoint{Name: c.name, Port: 25}
		began := time.Now()
		if got := culprit(s.look(f), "server", "search"); got != c.want {
			t.Errorf("%s at %s:\ngot  %s\nwant %s", c.name, c.server, got, c.want)
		}
		if d := time.Since(began); d > s.machine.NameDeadline+5*time.Second {
			t.Errorf("%s: it took %v", c.name, d)
		}
	}
}

// TestOneAddressOfTwo: a program that is given two addresses gets through by the other.
func TestOneAddressOfTwo(t *testing.T) {
	s := newScene(t)
	s.DNS.Set("mail.example.com", s.Remote.Addr4, s.Remote.Addr6)
	s.nft("table ip f { chain out { type filter hook output priority 0; tcp dport 25 drop |}|}")
	f := s.mail()
	f.Remote = flow.Endpoint{Name: "mail.example.com", Port: 25}
	r := s.look(f)
	if len(r.Paths) != 2 || r.Paths[0].Outcome != Dropped || r.Paths[1].Outcome != Passes || r.Outcome != Passes || r.Culprit != nil {
		t.Errorf("got %+v", r)
	}
}
