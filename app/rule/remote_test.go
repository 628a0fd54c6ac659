package rule

import (
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var remoteCases = []struct {
	in   string
	want Remote
	text string // how it is written; "": as it came in
	err  string
}{
	{in: "any"},
	{in: "example.com", want: Remote{Name: "example.com"}},
	{in: " WWW.Example.COM. ", want: Remote{Name: "www.example.com"}, text: "www.example.com"},
	{in: "localhost", want: Remote{Name: "localhost"}},
	{in: "r3---sn-4g5e.googlevideo.com", want: Remote{Name: "r3---sn-4g5e.googlevideo.com"}},
	{in: "_dmarc.example.com", want: Remote{Name: "_dmarc.example.com"}},
	{in: "xn--r8jz45g.jp", want: Remote{Name: "xn--r8jz45g.jp"}},
	{in: "1.2.3.4.example", want: Remote{Name: "1.2.3.4.example"}},
	{in: "10.0.0.1-a.example", want: Remote{Name: "10.0.0.1-a.example"}},
	{in: "*.Example.com", want: Remote{Domain: "example.com"}, text: "*.example.com"},
	{in: "*.local", want: Remote{Domain: "local"}},
	{in: "192.0.2.1", want: Remote{Address: netip.MustParseAddr("192.0.2.1")}},
	{in: "::ffff:192.0.2.1", want: Remote{Address: netip.MustParseAddr("192.0.2.1")}, text: "192.0.2.1"},
	{in: "[2001:DB8::1]", want: Remote{Address: netip.MustParseAddr("2001:db8::1")}, text: "2001:db8::1"},
	{in: "192.168.3.4/16", want: Remote{Network: netip.MustParsePrefix("192.168.0.0/16")}, text: "192.168.0.0/16"},
	{in: "::ffff:10.1.2.3/104", want: Remote{Network: netip.MustParsePrefix("10.0.0.0/8")}, text: "10.0.0.0/8"},
	{in: "0.0.0.0/0", want: Remote{Network: netip.MustParsePrefix("0.0.0.0/0")}},
	{in: "fe80::/10", want: Remote{Network: netip.MustParsePrefix("fe80::/10")}},
	{in: "10.0.0.1 - 10.0.0.9", want: Remote{Range: AddrRange{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.9")}}, text: "10.0.0.1-10.0.0.9"},
	{in: "2001:db8::1-2001:db8::ff", want: Remote{Range: AddrRange{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::ff")}}},
	{in: "LAN", want: Remote{LAN: true}, text: "lan"},
	{in: "list:URLhaus", want: Remote{List: "URLhaus"}},

	{in: "", err: "empty: want a host name"},
	{in: "list:", err: "the list has no name"},
	{in: "*.", err: "the host name is empty"},
	{in: "*", err: `"*" can't be in one`},
	{in: "a.*.example.com", err: `"*" can't be in one`},
	{in: "https://example.com/", err: "is a web address: give its host name alone"},
	{in: "example.com/24", err: "is not a network such as"},
	{in: "10.0.0.0/33", err: "is not a network such as"},
	{in: "example.com:443", err: "give the port by itself (--port)"},
	{in: "192.0.2.1:443", err: "give the port by itself (--port)"},
	{in: "999.1.1.1", err: "is neither an address nor a host name"},
	{in: "10.0.0.1-10.0.0.300", err: "is neither an address nor a host name"},
	{in: "10.0.0.9-10.0.0.1", err: "the wrong way round: write 10.0.0.1-10.0.0.9"},
	{in: "10.0.0.1-2001:db8::1", err: "an IPv4 and an IPv6 address"},
	{in: "fe80::1%eth0", err: "names an interface"},
	{in: "fe80::1%eth0/64", err: "is not a network such as"},
	{in: "a..b", err: "a part between two dots is empty"},
	{in: ".example.com", err: "a part between two dots is empty"},
	{in: "日本.jp", err: "write it in its xn-- form"},
	{in: "exa mple.com", err: `" " can't be in one`},
	{in: "a\x00b", err: `can't be in one`},
	{in: strings.Repeat("a", 64) + ".com", err: "longer than 63"},
	{in: strings.Repeat("ab.", 85), err: "at most 253"},
	{in: "list:" + strings.Repeat("a", 65), err: "at most 64"},
	{in: "list:a\nb", err: "control character U+000A"},
}

func TestParseRemote(t *testing.T) {
	for _, c := range remoteCases {
		t.Run(c.in, func(t *testing.T) {
			got, err := ParseRemote(c.in)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "\n") {
					t.Fatalf("error %v, want one line with %q", err, c.err)
				}
				return
			}
			if err != nil || got != c.want {
				t.Fatalf("%+v, %v; want %+v", got, err, c.want)
			}
			text := c.text
			if text == "" {
				text = c.in
			}
			if got.String() != text {
				t.Errorf("written as %q, want %q", got, text)
			}
		})
	}
}

// The networks of a range are the range: each of its addresses is in one of them, no
// other is, and none could be joined with its neighbour.
func TestRangePrefixes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := genRange(t)
		if rapid.Bool().Draw(t, "small") {
			a := rapid.Byte().Draw(t, "a")
			b := rapid.ByteMin(a).Draw(t, "b")
			r = AddrRange{netip.AddrFrom4([4]byte{10, 0, 0, a}), netip.AddrFrom4([4]byte{10, 0, 0, b})}
		}
		nets := r.prefixes()
		next := r.From
		for i, n := range nets {
			if n != n.Masked() || n.Addr() != next {
				t.Fatalf("%v: %v begins elsewhere than %v", r, n, next)
			}
			next = lastOf(n).Next()
			if i > 0 && n.Bits() == nets[i-1].Bits() {
				if up, _ := n.Addr().Prefix(n.Bits() - 1); up.Contains(nets[i-1].Addr()) {
					t.Fatalf("%v: %v and %v are one", r, nets[i-1], n)
				}
			}
		}
		if last := lastOf(nets[len(nets)-1]); last != r.To {
			t.Fatalf("%v ends at %v", r, last)
		}
	})
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
