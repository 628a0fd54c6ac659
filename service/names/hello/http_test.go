package hello

import (
	"strings"
	"testing"
)

func TestHTTP(t *testing.T) {
	const get = "GET / HTTP/1.1\r\n"
	h := func(name string) Hello { return Hello{Kind: HTTP, Method: "GET", Path: "/", Name: name} }
	none := Hello{}
	tests := map[string]struct {
		said  string
		state State
		want  Hello
	}{
		"curl":                 {string(recorded(t, "curl.http")), Said, Hello{Kind: HTTP, Method: "GET", Name: "www.example.com", Port: recordedPort(t, "curl.http"), Path: "/a/b?c=d"}},
		"curl, of a proxy":     {string(recorded(t, "curl-proxy.http")), Said, Hello{Kind: HTTP, Method: "GET", Name: "www.example.com", Port: 8080, Path: "/x", Proxied: true}},
		"curl, through it":     {string(recorded(t, "curl-connect.http")), Said, Hello{Kind: HTTP, Method: "CONNECT", Name: "www.example.com", Port: 443, Proxied: true}},
		"curl, HTTP/2":         {string(recorded(t, "curl-h2.http")), Said, Hello{Kind: HTTP2}},
		"wget, of an address":  {string(recorded(t, "wget.http")), Said, Hello{Kind: HTTP, Method: "GET", Port: recordedPort(t, "wget.http"), Path: "/w"}},
		"plain":                {get + "Host: A.Example\r\nAccept: */*\r\n\r\n", Said, h("a.example")},
		"with a body":          {"POST / HTTP/1.1\r\nHost: a.example\r\n\r\nHost: b.example\r\n\r\n", Said, Hello{Kind: HTTP, Method: "POST", Path: "/", Name: "a.example"}},
		"spaces around":        {get + "Host: \t a.example \r\n\r\n", Said, h("a.example")},
		"no space":             {get + "hOsT:a.example\r\n\r\n", Said, h("a.example")},
		"a last dot":           {get + "Host: a.example.\r\n\r\n", Said, h("a.example")},
		"a port":               {get + "Host: a.example:8080\r\n\r\n", Said, Hello{Kind: HTTP, Method: "GET", Path: "/", Name: "a.example", Port: 8080}},
		"an IPv6 address":      {get + "Host: [::1]:80\r\n\r\n", Said, Hello{Kind: HTTP, Method: "GET", Path: "/", Port: 80}},
		"empty Host":           {get + "Host:\r\n\r\n", Said, h("")},
		"1.0 without":          {"GET /x HTTP/1.0\r\n\r\n", Said, Hello{Kind: HTTP, Method: "GET", Path: "/x"}},
		"options":              {"OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n", Said, Hello{Kind: HTTP, Method: "OPTIONS", Path: "*", Name: "a.example"}},
		"absolute":             {"GET http://a.example:81/p?q HTTP/1.1\r\nHost: a.example\r\n\r\n", Said, Hello{Kind: HTTP, Method: "GET", Path: "/p?q", Name: "a.example", Port: 81, Proxied: true}},
		"absolute, no path":    {"GET HTTP://a.example?q HTTP/1.0\r\n\r\n", Said, Hello{Kind: HTTP, Method: "GET", Path: "/?q", Name: "a.example", Proxied: true}},
		"absolute, another":    {"GET http://a.example/ HTTP/1.1\r\nHost: b.example\r\n\r\n", Nothing, none},
		"absolute, a user":     {"GET http://a.example@b.example/ HTTP/1.1\r\nHost: b.example\r\n\r\n", Nothing, none},
		"1.1 without":          {get + "Accept: */*\r\n\r\n", Nothing, none},
		"two":                  {get + "Host: a.example\r\nhost: b.example\r\n\r\n", Nothing, none},
		"the same twice":       {get + "Host: a.example\r\nHost: a.example\r\n\r\n", Nothing, none},
		"folded":               {get + "Host: a.example\r\n b.example\r\n\r\n", Nothing, none},
		"folded elsewhere":     {get + "X: y\r\n\tHost: b.example\r\nHost: a.example\r\n\r\n", Nothing, none},
		"space before colon":   {get + "Host : a.example\r\n\r\n", Nothing, none},
		"a list":               {get + "Host: a.example, b.example\r\n\r\n", Nothing, none},
		"a path in it":         {get + "Host: a.example/x\r\n\r\n", Nothing, none},
		"a user in it":         {get + "Host: a@b.example\r\n\r\n", Nothing, none},
		"no colon":             {get + "Host a.example\r\n\r\n", Nothing, none},
		"bare line end":        {get + "X: y\nHost: b.example\r\nHost: a.example\r\n\r\n", Nothing, none},
		"bare return":          {get + "X: y\rHost: b.example\r\nHost: a.example\r\n\r\n", Nothing, none},
		"zero":                 {get + "Host: a.example\x00\r\n\r\n", Nothing, none},
		"port out of range":    {get + "Host: a.example:65536\r\n\r\n", Nothing, none},
		"port with a sign":     {get + "Host: a.example:+80\r\n\r\n", Nothing, none},
		"Unicode":              {get + "Host: bücher.example\r\n\r\n", Nothing, none},
		"HTTP/0.9":             {"GET /\r\n", Nothing, none},
		"HTTP/3.0":             {"GET / HTTP/3.0\r\n", Nothing, none},
		"a target with spaces": {"GET /a b HTTP/1.1\r\nHost: a.example\r\n\r\n", Nothing, none},
		"a strange target":     {"GET a.example HTTP/1.1\r\nHost: a.example\r\n\r\n", Nothing, none},
		"mail":                 {"EHLO mail.example\r\n", Nothing, none},
		"chat":                 {"NICK me\r\nUSER me 0 * :me\r\n", Nothing, none},
		"SSH":                  {"SSH-2.0-OpenSSH_9.2p1\r\n", Nothing, none},
		"a line without end":   {strings.Repeat("A", 21), Nothing, none},
		"begun":                {get + "Host: a.example\r\n", More, none},
		"hardly begun":         {"G", More, none},
		"HTTP/2 begun":         {"PRI * HTT", More, none},
		"like HTTP/2":          {"PRI * HTTP/2.0\r\nHost: a.example\r\n\r\n", Nothing, none},
	}
	for name, tt := range tests {
		for _, cut := range []int{1, 2, 9, len(tt.said)} {
			f, s := inParts([]byte(tt.said), cut)
			if s != tt.state || f.Hello() != tt.want {
				t.Errorf("%s, %d at once: %v %+v, want %v %+v", name, cut, s, f.Hello(), tt.state, tt.want)
			}
		}
	}
}

// recordedPort is the one that the recording's server had.
func recordedPort(t *testing.T, name string) uint16 {
	t.Helper()
	_, rest, _ := strings.Cut(string(recorded(t, name)), "\nHost: ")
	host, _, _ := strings.Cut(rest, "\r")
	_, port, ok := authority(host)
	if !ok || port == 0 {
		t.Fatalf("no port in %q", host)
	}
	return port
}

func BenchmarkHTTP(b *testing.B) {
	hello := recorded(b, "curl.http")
	b.ReportAllocs()
	for b.Loop() {
		if f, s := inParts(hello, len(hello)); s != Said {
			b.Fatal(f.State())
		}
	}
}

// A head that comes byte by byte is not read again for each.
func TestHeadIsReadOnce(t *testing.T) {
	r := &httpReader{}
	for _, b := range []byte("GET / HTTP/1.1\r\nX: " + strings.Repeat("a", 1000)) {
		r.add([]byte{b})
		if left := len(r.head) - r.looked; left > 1 {
			t.Fatalf("%d bytes are looked at again", left)
		}
	}
}
