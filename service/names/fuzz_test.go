package names

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// seeds are packets of every kind that the decoders meet, and of some that they refuse.
func seeds(f *testing.F) {
	f.Helper()
	messages := []*dns.Msg{
		asking("example.com.", dns.TypeA), asking("example.com.", dns.TypeHTTPS),
		reply(f, "example.com.", dns.TypeA, "example.com. 300 A 198.51.100.1"),
		reply(f, "example.com.", dns.TypeAAAA, "example.com. 300 AAAA 2001:db8::1"),
		reply(f, "www.example.com.", dns.TypeA, "www.example.com. 300 CNAME cdn.example.net.", "cdn.example.net. 20 A 198.51.100.3"),
		reply(f, "example.com.", dns.TypeTXT, `example.com. 5 TXT "a" "b"`),
		reply(f, "example.com.", dns.TypeMX, "example.com. 5 MX 10 mail.example.com."),
		reply(f, "_x._tcp.example.com.", dns.TypeSRV, "_x._tcp.example.com. 5 SRV 1 2 3 a.example.com."),
		reply(f, "example.com.", dns.TypeSOA, "example.com. 5 SOA a. b. 1 2 3 4 5"),
		reply(f, "_8443._https.example.com.", dns.TypeHTTPS, "_8443._https.example.com. 5 HTTPS 0 pool.example.net.", "pool.example.net. 5 HTTPS 2 . ipv4hint=198.51.100.1,198.51.100.2 ipv6hint=2001:db8::1"),
		reply(f, "a.b.example.com.", dns.TypeA, "b.example.com. 5 DNAME c.example.", "a.b.example.com. 5 CNAME a.c.example.", "a.c.example. 5 A 198.51.100.1"),
		reply(f, "example.com.", dns.TypeHTTPS, "example.com. 5 HTTPS 1 . alpn=h2 ipv4hint=198.51.100.1"),
	}
	for _, m := range messages {
		m.SetEdns0(1232, true)
		b := packed(f, m)
		for _, p := range [][]byte{
			udp(f, server4, client4, b), udp(f, client4, server4, b), udp(f, server6, client6, b), udp(f, client6, server6, b),
			udp(f, server4, client4, b[:len(b)/2]),
			extended(udp(f, server6, client6, b), []byte{0}, []byte{0, 0, 1, 4, 0, 0, 0, 0}),
		} {
			f.Add(p)
		}
	}
	f.Add(udp(f, server4, client4, []byte("\x12\x67\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x01a\xc0\x0c\x00\x01\x00\x01")))
}

func FuzzDecode(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, packet []byte) {
		was := string(packet)
		r, err := Decode(packet)
		if string(packet) != was {
			t.Fatal("the packet was changed")
		}
		if err != nil {
			if !errors.Is(err, ErrNotDNS) && !errors.Is(err, ErrMalformed) {
				t.Fatalf("error %v is of no kind", err)
			}
			return
		}
		if r.Server.Port() != 53 || !r.Client.Addr().IsValid() || len(r.Question) > 255 || !strings.HasSuffix(r.Question, r.Answer.Question) {
			t.Fatalf("reply %+v", r)
		}
		if len(r.Answer.Addrs) > maxRecords || len(r.Answer.Chain) > maxChain || r.Answer.TTL < 0 {
			t.Fatalf("answer %+v", r.Answer)
		}
		for _, a := range r.Answer.Addrs {
			if !a.IsValid() || a.Is4In6() {
				t.Fatalf("address %v", a)
			}
		}
		agrees(t, r, packet)
	})
}

// agrees holds the decoder to another one: where that can read the message, each
// address must be in a record of it.
func agrees(t *testing.T, r Reply, packet []byte) {
	t.Helper()
	_, _, payload, err := datagram(packet)
	if err != nil {
		t.Fatal(err)
	}
	var m dns.Msg
	if m.Unpack(payload) != nil || len(m.Question) != 1 {
		return
	}
	if m.Id != r.ID {
		t.Fatalf("id %d, want %d", r.ID, m.Id)
	}
	there := map[netip.Addr]bool{}
	for _, rr := range m.Answer {
		switch rr := rr.(type) {
		case *dns.A:
			if a, ok := netip.AddrFromSlice(rr.A); ok {
				there[a.Unmap()] = true
			}
		case *dns.AAAA:
			if a, ok := netip.AddrFromSlice(rr.AAAA); ok {
				there[a.Unmap()] = true
			}
		case *dns.HTTPS:
			hints(&rr.SVCB, there)
		case *dns.SVCB:
			hints(rr, there)
		}
	}
	for _, a := range r.Answer.Addrs {
		if !there[a] {
			t.Fatalf("address %v is not in\n%v", a, &m)
		}
	}
}

func hints(rr *dns.SVCB, there map[netip.Addr]bool) {
	for _, v := range rr.Value {
		var ips []net.IP
		switch v := v.(type) {
		case *dns.SVCBIPv4Hint:
			ips = v.Hint
		case *dns.SVCBIPv6Hint:
			ips = v.Hint
		}
		for _, ip := range ips {
			if a, ok := netip.AddrFromSlice(ip); ok {
				there[a.Unmap()] = true
			}
		}
	}
}

func FuzzDecodeQuery(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, packet []byte) {
		q, err := DecodeQuery(packet)
		if err != nil {
			if !errors.Is(err, ErrNotDNS) && !errors.Is(err, ErrMalformed) {
				t.Fatalf("error %v is of no kind", err)
			}
			return
		}
		if q.Server.Port() != 53 || !q.Client.Addr().IsValid() || len(q.Question) > 255 {
			t.Fatalf("query %+v", q)
		}
	})
}
