package names

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestServiceRecords(t *testing.T) {
	const ask = "www.example.com."
	tests := []struct {
		name, ask string
		kind      uint16
		answers   []string
		want      Answer
	}{
		{"hints", ask, dns.TypeHTTPS, []string{"www.example.com. 300 HTTPS 1 . alpn=h2,h3 ipv4hint=198.51.100.1,198.51.100.2 ipv6hint=2001:db8::1"},
			Answer{Question: "www.example.com", Addrs: addrs("198.51.100.1", "198.51.100.2", "2001:db8::1"), TTL: 300 * time.Second}},
		{"another server's", ask, dns.TypeHTTPS, []string{"www.example.com. 60 HTTPS 1 svc.example.net. ipv4hint=198.51.100.1"},
			Answer{Question: "www.example.com", Chain: []string{"svc.example.net"}, Addrs: addrs("198.51.100.1"), TTL: time.Minute}},
		{"nothing but its name", ask, dns.TypeHTTPS, []string{"www.example.com. 60 HTTPS 1 svc.example.net. alpn=h3"},
			Answer{Question: "www.example.com", Chain: []string{"svc.example.net"}}},
		{"alias", ask, dns.TypeHTTPS, []string{"www.example.com. 60 HTTPS 0 pool.example.net.", "pool.example.net. 30 HTTPS 1 . ipv4hint=198.51.100.1"},
			Answer{Question: "www.example.com", Chain: []string{"pool.example.net"}, Addrs: addrs("198.51.100.1"), TTL: 30 * time.Second}},
		{"behind a CNAME", ask, dns.TypeHTTPS, []string{"www.example.com. 60 CNAME cdn.example.net.", "cdn.example.net. 30 HTTPS 1 . ipv6hint=2001:db8::1"},
			Answer{Question: "www.example.com", Chain: []string{"cdn.example.net"}, Addrs: addrs("2001:db8::1"), TTL: 30 * time.Second}},
		{"a port", "_8443._https.www.example.com.", dns.TypeHTTPS, []string{"_8443._https.www.example.com. 60 HTTPS 1 www.example.com. ipv4hint=198.51.100.1"},
			Answer{Question: "www.example.com", Addrs: addrs("198.51.100.1"), TTL: time.Minute}},
		{"SVCB", "_dns.example.com.", dns.TypeSVCB, []string{"_dns.example.com. 60 SVCB 1 dns.example.com. alpn=dot ipv4hint=198.51.100.1"},
			Answer{Question: "example.com", Chain: []string{"dns.example.com"}, Addrs: addrs("198.51.100.1"), TTL: time.Minute}},
		{"poison: another owner", ask, dns.TypeHTTPS, []string{"bank.example. 60 HTTPS 1 . ipv4hint=198.51.100.66"},
			Answer{Question: "www.example.com"}},
		{"two, one another owner's", ask, dns.TypeHTTPS, []string{"www.example.com. 60 HTTPS 1 . ipv4hint=198.51.100.1", "bank.example. 60 HTTPS 1 . ipv4hint=198.51.100.66"},
			Answer{Question: "www.example.com", Addrs: addrs("198.51.100.1"), TTL: time.Minute}},
		{"alias circle", ask, dns.TypeHTTPS, []string{"www.example.com. 60 HTTPS 0 a.example.", "a.example. 60 HTTPS 0 www.example.com."},
			Answer{Question: "www.example.com", Chain: []string{"a.example"}}},
		{"DNAME", "a.b.example.com.", dns.TypeA, []string{"b.example.com. 60 DNAME c.example.net.", "a.c.example.net. 30 A 198.51.100.1"},
			Answer{Question: "a.b.example.com", Chain: []string{"a.c.example.net"}, Addrs: addrs("198.51.100.1"), TTL: 30 * time.Second}},
		{"DNAME and CNAME", "a.b.example.com.", dns.TypeA, []string{"b.example.com. 60 DNAME c.example.net.", "a.b.example.com. 60 CNAME a.c.example.net.", "a.c.example.net. 30 A 198.51.100.1"},
			Answer{Question: "a.b.example.com", Chain: []string{"a.c.example.net"}, Addrs: addrs("198.51.100.1"), TTL: 30 * time.Second}},
		{"DNAME is not about its owner", "b.example.com.", dns.TypeA, []string{"b.example.com. 60 DNAME c.example.net.", "c.example.net. 30 A 198.51.100.1"},
			Answer{Question: "b.example.com"}},
		{"DNAME of another", "a.xb.example.com.", dns.TypeA, []string{"b.example.com. 60 DNAME c.example.net.", "a.xc.example.net. 30 A 198.51.100.1"},
			Answer{Question: "a.xb.example.com"}},
		{"DNAME that grows", strings.Repeat("a.", 60) + "b.example.com.", dns.TypeA, []string{"b.example.com. 60 DNAME " + strings.Repeat("c.", 100) + "example.net."},
			Answer{Question: strings.Repeat("a.", 60) + "b.example.com"}},
	}
	for _, tt := range tests {
		r, err := Decode(udp(t, server4, client4, packed(t, reply(t, tt.ask, tt.kind, tt.answers...))))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got, want := fmt.Sprintf("%+v", r.Answer), fmt.Sprintf("%+v", tt.want); got != want {
			t.Errorf("%s:\n%s, want\n%s", tt.name, got, want)
		}
	}
}

// A record that is broken is refused by itself (RFC 9460, 2.2).
func TestBrokenServiceRecords(t *testing.T) {
	bodies := map[string]string{
		"no priority":             "\x00",
		"no target":               "\x00\x01",
		"a target cut off":        "\x00\x01\x05ab",
		"a parameter cut off":     "\x00\x01\x00\x00\x04",
		"a hint cut off":          "\x00\x01\x00\x00\x04\x00\x08\xc6\x33\x64\x01",
		"a hint of another width": "\x00\x01\x00\x00\x04\x00\x05\xc6\x33\x64\x01\x01",
		"an empty hint":           "\x00\x01\x00\x00\x04\x00\x00",
		"keys out of order":       "\x00\x01\x00\x00\x06\x00\x10aaaabbbbccccdddd\x00\x04\x00\x04\xc6\x33\x64\x02",
		"a key twice":             "\x00\x01\x00\x00\x04\x00\x04\xc6\x33\x64\x02\x00\x04\x00\x04\xc6\x33\x64\x03",
		"an alias with hints":     "\x00\x00\x00\x00\x04\x00\x04\xc6\x33\x64\x02",
	}
	for name, body := range bodies {
		m := reply(t, "a.example.", dns.TypeHTTPS)
		broken := &dns.RFC3597{Hdr: dns.RR_Header{Name: "a.example.", Rrtype: dns.TypeHTTPS, Class: 1, Ttl: 5}, Rdata: fmt.Sprintf("%x", body)}
		m.Answer = []dns.RR{broken, record(t, "a.example. 5 HTTPS 1 . ipv4hint=198.51.100.1")}
		r, err := Decode(udp(t, server4, client4, packed(t, m)))
		if err != nil || fmt.Sprint(r.Answer.Addrs) != "[198.51.100.1]" {
			t.Errorf("%s: %v, %v", name, r.Answer.Addrs, err)
		}
	}
}
