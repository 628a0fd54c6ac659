package names

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestDecodeFollowsTheQuestionOnly(t *testing.T) {
	tests := []struct {
		name    string
		ask     string
		kind    uint16
		answers []string
		want    Answer
	}{
		{"address", "example.com.", dns.TypeA, []string{"example.com. 300 A 198.51.100.1"},
			Answer{Question: "example.com", Addrs: addrs("198.51.100.1"), TTL: 300 * time.Second}},
		{"several addresses, shortest time", "example.com.", dns.TypeA,
			[]string{"example.com. 300 A 198.51.100.1", "example.com. 30 A 198.51.100.2"},
			Answer{Question: "example.com", Addrs: addrs("198.51.100.1", "198.51.100.2"), TTL: 30 * time.Second}},
		{"IPv6", "example.com.", dns.TypeAAAA, []string{"example.com. 60 AAAA 2001:db8::1"},
			Answer{Question: "example.com", Addrs: addrs("2001:db8::1"), TTL: time.Minute}},
		{"IPv4 in IPv6 is IPv4", "example.com.", dns.TypeAAAA, []string{"example.com. 60 AAAA ::ffff:198.51.100.1"},
			Answer{Question: "example.com", Addrs: addrs("198.51.100.1"), TTL: time.Minute}},
		{"aliases", "www.example.com.", dns.TypeA,
			[]string{"www.example.com. 300 CNAME cdn.example.net.", "cdn.example.net. 20 CNAME edge.example.org.", "edge.example.org. 60 A 198.51.100.3"},
			Answer{Question: "www.example.com", Chain: []string{"cdn.example.net", "edge.example.org"}, Addrs: addrs("198.51.100.3"), TTL: 20 * time.Second}},
		{"aliases in another order", "www.example.com.", dns.TypeA,
			[]string{"edge.example.org. 60 A 198.51.100.3", "cdn.example.net. 90 CNAME edge.example.org.", "www.example.com. 300 CNAME cdn.example.net."},
			Answer{Question: "www.example.com", Chain: []string{"cdn.example.net", "edge.example.org"}, Addrs: addrs("198.51.100.3"), TTL: time.Minute}},
		{"poison: another owner", "example.com.", dns.TypeA,
			[]string{"example.com. 300 A 198.51.100.1", "bank.example. 300 A 198.51.100.66"},
			Answer{Question: "example.com", Addrs: addrs("198.51.100.1"), TTL: 300 * time.Second}},
		{"poison: only others", "example.com.", dns.TypeA, []string{"bank.example. 300 A 198.51.100.66"},
			Answer{Question: "example.com"}},
		{"poison: another chain", "example.com.", dns.TypeA,
			[]string{"example.com. 300 CNAME a.example.", "bank.example. 300 CNAME b.example.", "b.example. 300 A 198.51.100.66"},
			Answer{Question: "example.com", Chain: []string{"a.example"}}},
		{"alias circle", "a.example.", dns.TypeA, []string{"a.example. 1 CNAME b.example.", "b.example. 1 CNAME a.example."},
			Answer{Question: "a.example", Chain: []string{"b.example"}}},
		{"mixed case", "wWw.ExAmPlE.cOm.", dns.TypeA,
			[]string{"wWw.ExAmPlE.cOm. 300 CNAME CDN.example.net.", "cdn.EXAMPLE.net. 300 A 198.51.100.3"},
			Answer{Question: "www.example.com", Chain: []string{"cdn.example.net"}, Addrs: addrs("198.51.100.3"), TTL: 300 * time.Second}},
		{"records of other types are skipped", "example.com.", dns.TypeA,
			[]string{`example.com. 5 TXT "x"`, "example.com. 5 MX 10 mail.example.com.", "example.com. 300 A 198.51.100.1",
				"example.com. 5 RRSIG A 8 2 300 20300101000000 20200101000000 1 example.com. AAAA"},
			Answer{Question: "example.com", Addrs: addrs("198.51.100.1"), TTL: 300 * time.Second}},
		{"another class", "example.com.", dns.TypeA, []string{"example.com. 300 CH A 198.51.100.1"}, Answer{Question: "example.com"}},
		{"nothing", "example.com.", dns.TypeA, nil, Answer{Question: "example.com"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := reply(t, tt.ask, tt.kind)
			for _, a := range tt.answers {
				if strings.Contains(a, " CH A ") { // the parser knows no A of class CH
					rr := record(t, strings.Replace(a, " CH A ", " A ", 1))
					rr.Header().Class = dns.ClassCHAOS
					m.Answer = append(m.Answer, rr)
					continue
				}
				m.Answer = append(m.Answer, record(t, a))
			}
			// What stands in the other sections must not matter.
			m.Ns = []dns.RR{record(t, "example.com. 300 NS ns.example.com."), record(t, "example.com. 300 A 198.51.100.99")}
			m.Extra = []dns.RR{record(t, "example.com. 300 A 198.51.100.98"), record(t, "cdn.example.net. 300 A 198.51.100.97")}
			m.SetEdns0(1232, true)
			for _, v := range []int{4, 6} {
				c, s := client4, server4
				if v == 6 {
					c, s = client6, server6
				}
				r, err := Decode(udp(t, s, c, packed(t, m)))
				if err != nil {
					t.Fatal(err)
				}
				if r.Client != c || r.Server != s || r.ID != 4711 || r.Type != tt.kind || r.Code != 0 || r.Truncated {
					t.Errorf("IPv%d: reply %+v", v, r)
				}
				if got := fmt.Sprintf("%+v", r.Answer); got != fmt.Sprintf("%+v", tt.want) {
					t.Errorf("IPv%d: answer\n%s, want\n%+v", v, got, tt.want)
				}
			}
		})
	}
}

func TestDecodeHeader(t *testing.T) {
	m := reply(t, "gone.example.", dns.TypeA, "gone.example. 300 A 198.51.100.1")
	m.Rcode = dns.RcodeNameError
	r, err := Decode(udp(t, server4, client4, packed(t, m)))
	if err != nil || r.Code != 3 || len(r.Answer.Addrs) != 0 || r.Answer.Question != "gone.example" {
		t.Errorf("no such name: %+v, %v", r, err)
	}
	m = reply(t, "big.example.", dns.TypeA)
	m.Truncated = true
	if r, err = Decode(udp(t, server4, client4, packed(t, m))); err != nil || !r.Truncated {
		t.Errorf("truncated: %+v, %v", r, err)
	}
}

func TestDecodeQuery(t *testing.T) {
	m := asking("wWw.Example.COM.", dns.TypeAAAA)
	m.SetEdns0(1232, false)
	for _, v := range []int{4, 6} {
		c, s := client4, server4
		if v == 6 {
			c, s = client6, server6
		}
		q, err := DecodeQuery(udp(t, c, s, packed(t, m)))
		if want := (Query{Client: c, Server: s, ID: 4711, Question: "www.example.com", Type: 28}); err != nil || q != want {
			t.Errorf("IPv%d: %+v, %v, want %+v", v, q, err, want)
		}
	}
}

// The port of the client must not choose how its packets are read: gopacket takes
// 4789 for VXLAN.
func TestDecodeWhateverTheClientsPort(t *testing.T) {
	for _, port := range []uint16{1, 53, 68, 123, 1812, 4789, 5353, 6081, 6343, 65535} {
		c := client4
		c = c4(port, c.Addr().String())
		p := udp(t, server4, c, packed(t, reply(t, "example.com.", dns.TypeA, "example.com. 1 A 198.51.100.1")))
		if r, err := Decode(p); err != nil || r.Client != c || len(r.Answer.Addrs) != 1 {
			t.Errorf("port %d: %+v, %v", port, r, err)
		}
	}
}

func TestDecodeExtensionHeaders(t *testing.T) {
	p := udp(t, server6, client6, packed(t, reply(t, "example.com.", dns.TypeAAAA, "example.com. 1 AAAA 2001:db8::1")))
	padded := []byte{0, 0, 1, 4, 0, 0, 0, 0} // an option that pads
	routing := []byte{0, 0, 4, 0, 0, 0, 0, 0}
	fragment := []byte{0, 0, 0, 0, 0, 0, 0, 1}
	later := []byte{0, 0, 0, 8, 0, 0, 0, 1}
	tests := []struct {
		name    string
		kinds   []byte
		headers [][]byte
		err     error
	}{
		{"hop by hop", []byte{0}, [][]byte{padded}, nil},
		{"destination", []byte{60}, [][]byte{padded}, nil},
		{"hop by hop, routing, destination", []byte{0, 43, 60}, [][]byte{padded, routing, padded}, nil},
		{"fragment", []byte{44}, [][]byte{fragment}, ErrNotDNS},
		{"later fragment", []byte{44}, [][]byte{later}, ErrNotDNS},
		{"cut off", []byte{60}, [][]byte{{0, 255, 1, 4, 0, 0, 0, 0}}, ErrMalformed},
	}
	for _, tt := range tests {
		r, err := Decode(extended(p, tt.kinds, tt.headers...))
		if tt.err != nil {
			if !errors.Is(err, tt.err) {
				t.Errorf("%s: %+v, %v, want %v", tt.name, r, err, tt.err)
			}
			continue
		}
		if err != nil || !slices.Equal(r.Answer.Addrs, addrs("2001:db8::1")) || r.Client != client6 {
			t.Errorf("%s: %+v, %v", tt.name, r, err)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := packed(t, reply(t, "example.com.", dns.TypeA, "example.com. 1 A 198.51.100.1"))
	ask := packed(t, asking("example.com.", dns.TypeA))
	edit := func(b []byte, f func(b []byte) []byte) []byte { return f(slices.Clone(b)) }
	two := edit(good, func(b []byte) []byte { b[5] = 2; return b })
	header := []byte{0x12, 0x67, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0}
	raw := func(parts ...string) []byte { return append(slices.Clone(header), strings.Join(parts, "")...) }
	a := "\x00\x01\x00\x01"
	rdata := a + "\x00\x00\x00\x01\x00\x04\xc6\x33\x64\x01"

	payloads := map[string]struct {
		payload []byte
		err     error
	}{
		"empty":                    {nil, ErrMalformed},
		"half a header":            {good[:6], ErrMalformed},
		"a query":                  {ask, ErrNotDNS},
		"two questions":            {two, ErrMalformed},
		"no question":              {edit(good, func(b []byte) []byte { b[5] = 0; return b }), ErrMalformed},
		"more answers than follow": {edit(good, func(b []byte) []byte { b[7] = 9; return b }), ErrMalformed},
		"cut off in the question":  {good[:18], ErrMalformed},
		"cut off in the answer":    {good[:len(good)-2], ErrMalformed},
		"an update":                {edit(good, func(b []byte) []byte { b[2] |= 5 << 3; return b }), ErrNotDNS},
		"class CH":                 {edit(good, func(b []byte) []byte { b[12+13+3] = 3; return b }), ErrNotDNS},
		"pointer to itself":        {raw("\xc0\x0c", a), ErrMalformed},
		"pointers in a circle":     {raw("\xc0\x0e", "\xc0\x0c", a), ErrMalformed},
		"labels and a circle":      {raw("\x01a\xc0\x0c", a), ErrMalformed},
		"pointer forward":          {raw("\xc0\x20", a, rdata, "\x01a\x00"), ErrMalformed},
		"pointer into the header":  {raw("\xc0\x00", a), ErrMalformed},
		"pointer past the end":     {raw("\xff\xff", a), ErrMalformed},
		"label of type 0x40":       {raw("\x41a\x00", a), ErrMalformed},
		"label of type 0x80":       {raw("\x81a\x00", a), ErrMalformed},
		"label past the end":       {raw("\x3fa"), ErrMalformed},
		"name of 256 bytes":        {raw(strings.Repeat("\x3f"+strings.Repeat("x", 63), 4), "\x00", a), ErrMalformed},
		"label with a dot":         {raw("\x0bexample.com\x00", a), ErrMalformed},
		"answer without rdata":     {raw("\x01a\x00", a, "\xc0\x0c", a), ErrMalformed},
		"alias longer than it is":  {raw("\x01a\x00", a, "\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x01\x00\x05\x01b\x00zz"), ErrMalformed},
	}
	for name, tt := range payloads {
		if r, err := Decode(udp(t, server4, client4, tt.payload)); !errors.Is(err, tt.err) {
			t.Errorf("%s: %+v, %v, want %v", name, r, err, tt.err)
		}
	}

	whole := udp(t, server4, client4, good)
	inner := edit(whole, func(b []byte) []byte { return b })
	tunnel := edit(whole[:20], func(b []byte) []byte {
		b[9] = 4
		binary.BigEndian.PutUint16(b[2:], uint16(20+len(inner)))
		return append(b, inner...)
	})
	packets := map[string]struct {
		packet []byte
		err    error
	}{
		"empty":            {nil, ErrNotDNS},
		"IP version 5":     {[]byte{0x50, 0, 0, 0}, ErrNotDNS},
		"half an header":   {whole[:12], ErrMalformed},
		"no UDP header":    {whole[:24], ErrMalformed},
		"cut off":          {whole[:len(whole)-4], ErrMalformed},
		"TCP":              {edit(whole, func(b []byte) []byte { b[9] = 6; return b }), ErrNotDNS},
		"first fragment":   {edit(whole, func(b []byte) []byte { b[6] = 0x20; return b }), ErrNotDNS},
		"later fragment":   {edit(whole, func(b []byte) []byte { b[7] = 8; return b }), ErrNotDNS},
		"in a tunnel":      {tunnel, ErrNotDNS},
		"another port":     {udp(t, c4(5353, "192.0.2.53"), client4, good), ErrNotDNS},
		"the wrong way":    {udp(t, client4, server4, good), ErrNotDNS},
		"options too long": {edit(whole[:40], func(b []byte) []byte { b[0] = 0x4f; return b }), ErrMalformed},
	}
	for name, tt := range packets {
		if r, err := Decode(tt.packet); !errors.Is(err, tt.err) {
			t.Errorf("packet %s: %+v, %v, want %v", name, r, err, tt.err)
		}
	}
	if _, err := DecodeQuery(udp(t, client4, server4, good)); !errors.Is(err, ErrNotDNS) {
		t.Errorf("a reply as a query: %v", err)
	}
	if _, err := DecodeQuery(whole); !errors.Is(err, ErrNotDNS) {
		t.Errorf("a reply from port 53 as a query: %v", err)
	}
}

// A packet of 64 KiB whose names point to one long name must not be unpacked.
func TestDecodeBoundsWork(t *testing.T) {
	m := reply(t, strings.Repeat("a.", 126), dns.TypeNS)
	for range 5000 {
		m.Answer = append(m.Answer, &dns.CNAME{Hdr: dns.RR_Header{Name: m.Question[0].Name, Rrtype: dns.TypeCNAME, Class: 1}, Target: m.Question[0].Name})
	}
	b := packed(t, m)
	if len(b) > 65000 {
		b = b[:65000]
	}
	p := udp(t, server4, client4, b)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := Decode(p); !errors.Is(err, ErrMalformed) {
		t.Errorf("error %v, want %v", err, ErrMalformed)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 64<<10 {
		t.Errorf("%d bytes were allocated for one packet", n)
	}
}

func TestDecodeLooksAtSoManyRecords(t *testing.T) {
	m := reply(t, "many.example.", dns.TypeA)
	for i := range 1000 {
		m.Answer = append(m.Answer, record(t, fmt.Sprintf("many.example. 1 A 10.0.%d.%d", i/256, i%256)))
	}
	r, err := Decode(udp(t, server4, client4, packed(t, m)))
	if err != nil || len(r.Answer.Addrs) != maxRecords {
		t.Errorf("%d addresses, %v, want %d", len(r.Answer.Addrs), err, maxRecords)
	}
}

func BenchmarkDecode(b *testing.B) {
	p := udp(b, server4, client4, packed(b, reply(b, "www.example.com.", dns.TypeA,
		"www.example.com. 300 CNAME cdn.example.net.", "cdn.example.net. 20 A 198.51.100.3", "cdn.example.net. 20 A 198.51.100.4")))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(p); err != nil {
			b.Fatal(err)
		}
	}
}
