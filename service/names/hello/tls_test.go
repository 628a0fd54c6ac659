package hello

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"sekisho/app/flow"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func recorded(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// said is what Go's client says first.
func said(t testing.TB, c *tls.Config) []byte {
	t.Helper()
	here, there := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = tls.Client(here, c).Handshake()
	}()
	head := make([]byte, recordHeader)
	if _, err := io.ReadFull(there, head); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, binary.BigEndian.Uint16(head[3:]))
	if _, err := io.ReadFull(there, body); err != nil {
		t.Fatal(err)
	}
	there.Close()
	<-done
	here.Close()
	return append(head, body...)
}

// echList is a list with one configuration whose front is public.
func echList(t testing.TB, public string) []byte {
	t.Helper()
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	u16 := func(b []byte, v int) []byte { return binary.BigEndian.AppendUint16(b, uint16(v)) }
	c := []byte{1}   // its id
	c = u16(c, 0x20) // X25519
	c = u16(c, 32)   //
	c = append(c, key.PublicKey().Bytes()...)
	c = u16(u16(u16(c, 4), 1), 1) // HKDF-SHA256, AES-128-GCM
	c = append(c, 64, byte(len(public)))
	c = append(c, public...)
	c = u16(c, 0)
	config := append(u16(u16(nil, extECH), len(c)), c...)
	return append(u16(nil, len(config)), config...)
}

func inParts(b []byte, cut int) (*First, State) {
	f := NewFirst(flow.TCP)
	for i := 0; i < len(b); i += cut {
		f.Add(Client, b[i:min(len(b), i+cut)])
	}
	return f, f.State()
}

func TestTLS(t *testing.T) {
	goes := said(t, &tls.Config{ServerName: "www.Example.com"})
	tests := map[string]struct {
		hello []byte
		want  Hello
	}{
		"Go":             {goes, Hello{Kind: TLS, Name: "www.example.com"}},
		"Go, TLS 1.2":    {said(t, &tls.Config{ServerName: "old.example", MaxVersion: tls.VersionTLS12}), Hello{Kind: TLS, Name: "old.example"}},
		"Go, no name":    {said(t, &tls.Config{InsecureSkipVerify: true}), Hello{Kind: TLS}},
		"Go, ECH":        {said(t, &tls.Config{ServerName: "secret.example", EncryptedClientHelloConfigList: echList(t, "front.example"), MinVersion: tls.VersionTLS13}), Hello{Kind: TLS, Name: "front.example", Encrypted: true}},
		"curl":           {recorded(t, "curl.tls"), Hello{Kind: TLS, Name: "www.example.com"}},
		"OpenSSL":        {recorded(t, "openssl.tls"), Hello{Kind: TLS, Name: "mail.example.org"}},
		"OpenSSL, none":  {recorded(t, "openssl-no-name.tls"), Hello{Kind: TLS}},
		"Python":         {recorded(t, "python.tls"), Hello{Kind: TLS, Name: "python.example"}},
		"early data too": {append(slices.Clone(goes), 23, 3, 3, 0, 1, 0), Hello{Kind: TLS, Name: "www.example.com"}},
	}
	for name, tt := range tests {
		for _, cut := range []int{1, 5, 7, 100, len(tt.hello)} {
			f, s := inParts(tt.hello, cut)
			if s != Said || f.Hello() != tt.want {
				t.Errorf("%s, %d at once: %v %+v, want %+v", name, cut, s, f.Hello(), tt.want)
			}
		}
	}
	for n := range len(goes) - 1 {
		if _, s := inParts(goes[:n], n); n > 0 && s != More {
			t.Fatalf("%d bytes of %d: %v", n, len(goes), s)
		}
	}
	for _, size := range []int{1, 10, 1000} { // one hello in many records
		var b []byte
		for part := range slices.Chunk(goes[recordHeader:], size) {
			b = append(b, recordHandshake, 3, 1, byte(len(part)>>8), byte(len(part)))
			b = append(b, part...)
		}
		for _, cut := range []int{1, 3, len(b)} {
			if f, s := inParts(b, cut); s != Said || f.Hello().Name != "www.example.com" {
				t.Errorf("records of %d, %d at once: %v %+v", size, cut, s, f.Hello())
			}
		}
	}
}

// written is a ClientHello with these extensions and nothing else of interest.
func written(extensions ...[]byte) []byte {
	all := bytes.Join(extensions, nil)
	body := append([]byte{3, 3}, make([]byte, 32)...)
	body = append(body, 0, 0, 2, 0x13, 1, 1, 0)
	body = append(binary.BigEndian.AppendUint16(body, uint16(len(all))), all...)
	m := append([]byte{clientHello, 0, byte(len(body) >> 8), byte(len(body))}, body...)
	return append([]byte{recordHandshake, 3, 1, byte(len(m) >> 8), byte(len(m))}, m...)
}

func extension(kind int, b ...byte) []byte {
	return append([]byte{byte(kind >> 8), byte(kind), byte(len(b) >> 8), byte(len(b))}, b...)
}

func sni(names ...string) []byte {
	var list []byte
	for _, n := range names {
		list = append(append(list, 0, byte(len(n)>>8), byte(len(n))), n...)
	}
	return extension(extServerName, append([]byte{byte(len(list) >> 8), byte(len(list))}, list...)...)
}

func TestTLSByHand(t *testing.T) {
	tests := map[string]struct {
		hello []byte
		state State
		want  Hello
	}{
		"a name":              {written(sni("a.example")), Said, Hello{Kind: TLS, Name: "a.example"}},
		"capitals and a dot":  {written(sni("A.Example.")), Said, Hello{Kind: TLS, Name: "a.example"}},
		"an address":          {written(sni("192.0.2.1")), Said, Hello{Kind: TLS}},
		"an IPv6 address":     {written(sni("[2001:db8::1]")), Said, Hello{Kind: TLS}},
		"nothing":             {written(), Said, Hello{Kind: TLS}},
		"ECH":                 {written(sni("a.example"), extension(extECH, 0, 0, 1)), Said, Hello{Kind: TLS, Name: "a.example", Encrypted: true}},
		"two names":           {written(sni("a.example", "b.example")), Nothing, Hello{}},
		"the extension twice": {written(sni("a.example"), sni("b.example")), Nothing, Hello{}},
		"an empty name":       {written(sni("")), Nothing, Hello{}},
		"no name in a list":   {written(sni()), Nothing, Hello{}},
		"a zero in it":        {written(sni("a.example\x00.b.example")), Nothing, Hello{}},
		"a control character": {written(sni("a\nb.example")), Nothing, Hello{}},
		"Unicode":             {written(sni("bücher.example")), Nothing, Hello{}},
		"empty labels":        {written(sni("a..example")), Nothing, Hello{}},
		"too long":            {written(sni(strings.Repeat("a.", 130))), Nothing, Hello{}},
		"an inner hello":      {written(sni("a.example"), extension(extECH, 1)), Nothing, Hello{}},
		"cut off extension":   {written([]byte{0, 0, 0, 9, 0}), Nothing, Hello{}},
		"server hello":        {[]byte{recordHandshake, 3, 3, 0, 4, 2, 0, 0, 0}, Nothing, Hello{}},
		"alert":               {[]byte{21, 3, 3, 0, 2, 1, 0}, Nothing, Hello{}},
		"not TLS":             {[]byte{recordHandshake, 2, 0, 0, 4}, Nothing, Hello{}},
		"empty record":        {[]byte{recordHandshake, 3, 1, 0, 0}, Nothing, Hello{}},
		"huge record":         {[]byte{recordHandshake, 3, 1, 0xff, 0xff}, Nothing, Hello{}},
		"huge hello":          {[]byte{recordHandshake, 3, 1, 0x40, 0, clientHello, 1, 0, 0}, Nothing, Hello{}},
		"SSL 2":               {[]byte{0x80, 0x2e, 1, 0, 2}, Nothing, Hello{}},
	}
	for name, tt := range tests {
		if f, s := inParts(tt.hello, len(tt.hello)); s != tt.state || f.Hello() != tt.want {
			t.Errorf("%s: %v %+v, want %v %+v", name, s, f.Hello(), tt.state, tt.want)
		}
	}
}

// Who says nothing but beginnings is not listened to for ever.
func TestStreamIsBounded(t *testing.T) {
	endless := map[string][]byte{
		"records of one byte": slices.Repeat([]byte{recordHandshake, 3, 1, 0, 1, clientHello}, 1),
		"a long path":         []byte("GET /" + strings.Repeat("a", 100)),
	}
	for name, b := range endless {
		f := NewFirst(flow.TCP)
		n := 0
		for ; f.Add(Client, b) == More && n < 10*MaxHello; n += len(b) {
			b = []byte(strings.Repeat("a", 100))
			if name[0] == 'r' {
				b = []byte{recordHandshake, 3, 1, 0, 1, 0}
			}
		}
		if f.State() != Nothing || n > MaxHello+200 {
			t.Errorf("%s: %v after %d bytes", name, f.State(), n)
		}
	}
}

func TestServerSpeaksFirst(t *testing.T) {
	f := NewFirst(flow.TCP)
	f.Add(Server, []byte("220 mail.example ESMTP\r\n"))
	if f.Add(Client, written(sni("a.example"))); f.State() != Nothing {
		t.Errorf("%v %+v", f.State(), f.Hello())
	}
	if s := NewFirst(flow.ICMP).Add(Client, []byte("GET")); s != Nothing {
		t.Errorf("ICMP: %v", s)
	}
}

func BenchmarkTLS(b *testing.B) {
	hello := recorded(b, "curl.tls")
	b.ReportAllocs()
	for b.Loop() {
		if NewFirst(flow.TCP).Add(Client, hello) != Said {
			b.Fatal("nothing said")
		}
	}
}
