package lab

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// The ways to look a name up that real programs have.
func TestWaysToLookUp(t *testing.T) {
	l := New(t)
	web := l.Remote.ServeWeb(80)
	l.Remote.ServeSecure(443, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.TLS.ServerName)) }))
	l.DNS.ServeSecure(8443)
	l.DNS.Set("example.lab", l.Remote.Addr4)
	l.DNS.Set("large.lab", l.Remote.Addr4)
	l.DNS.Truncate("large.lab")
	doh := "https://" + netip.AddrPortFrom(l.DNS.host.Addr4, 8443).String() + SecurePath
	tests := []struct {
		how, name string
		tcp       bool
		args      []string
	}{
		{"UDP", "example.lab", false, []string{"curl", "-sS", "http://example.lab/"}},
		{"TCP at once", "example.lab", true, []string{"env", "RES_OPTIONS=use-vc", "curl", "-sS", "http://example.lab/"}},
		{"TCP after UDP", "large.lab", true, []string{"curl", "-sS", "http://large.lab/"}},
		{"HTTPS", "example.lab", true, []string{"curl", "-sS", "--doh-insecure", "--doh-url", doh, "http://example.lab/"}},
	}
	asked := 0
	for _, c := range tests {
		out, err := l.Home.Command(t.Context(), c.args...).Filtered().Output()
		if err != nil || string(out) != web.Page {
			t.Errorf("%s: %q, %v", c.how, out, err)
		}
		q := l.DNS.Queries("")
		if !slices.ContainsFunc(q[asked:], func(q Query) bool { return q.Name == c.name && q.TCP == c.tcp }) {
			t.Errorf("%s: asked %v", c.how, q[asked:])
		}
		asked = len(q)
	}
	out, err := l.Home.Command(t.Context(), "curl", "-sSk", "https://example.lab/").Output()
	if err != nil || string(out) != "example.lab" {
		t.Errorf("the name in the hello: %q, %v", out, err)
	}
}

func TestOtherRecords(t *testing.T) {
	l := New(t)
	const record = `www.example.lab.	60	IN	HTTPS	1 . alpn="h2" ipv4hint="203.0.113.7"`
	l.DNS.Records("www.example.lab", record)
	var answer *dns.Msg
	if err := l.Home.Do(func() (err error) {
		q := new(dns.Msg).SetQuestion("www.example.lab.", dns.TypeHTTPS)
		answer, err = dns.Exchange(q, netip.AddrPortFrom(l.DNS.host.Addr4, 53).String())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if len(answer.Answer) != 1 || !strings.EqualFold(answer.Answer[0].String(), record) {
		t.Errorf("answer %v", answer.Answer)
	}
}
