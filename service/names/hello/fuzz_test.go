package hello

import (
	"strings"
	"testing"

	"sekisho/app/flow"
)

// check holds what is true of every hello.
func check(t *testing.T, f *First) {
	t.Helper()
	h := f.Hello()
	if f.State() != Said {
		if h != (Hello{}) {
			t.Fatalf("%v, and %+v", f.State(), h)
		}
		return
	}
	if h.Kind == None || int(h.Kind) >= numKinds {
		t.Fatalf("kind %d", h.Kind)
	}
	if name, ok := hostName(h.Name); h.Name != "" && (!ok || name != h.Name) {
		t.Fatalf("name %q", h.Name)
	}
	if h.Path != "" && h.Kind != HTTP || len(h.Path) > MaxHello || strings.ContainsAny(h.Path, " \r\n\t") {
		t.Fatalf("path %q", h.Path)
	}
}

// However a stream is cut, it says the same.
func FuzzStream(f *testing.F) {
	for _, name := range []string{"curl.tls", "openssl.tls", "python.tls", "curl.http", "curl-proxy.http", "curl-connect.http", "curl-h2.http"} {
		f.Add(recorded(f, name), uint16(3))
	}
	f.Add(written(sni("a.example"), extension(extECH, 0)), uint16(1))
	f.Fuzz(func(t *testing.T, b []byte, cut uint16) {
		whole := NewFirst(flow.TCP)
		whole.Add(Client, b)
		check(t, whole)
		parts, s := inParts(b, int(cut)+1)
		check(t, parts)
		if len(b) <= MaxHello && (s != whole.State() || parts.Hello() != whole.Hello()) {
			t.Fatalf("whole %v %+v, in parts %v %+v", whole.State(), whole.Hello(), s, parts.Hello())
		}
	})
}

func FuzzDatagrams(f *testing.F) {
	a, b := hexLines(f, "go.quic.hex"), hexLines(f, "rfc9369-a2.hex")
	f.Add(a[0], a[1])
	var whole []byte
	for _, line := range b {
		whole = append(whole, line...)
	}
	f.Add(whole, []byte{0xc0})
	f.Fuzz(func(t *testing.T, one, two []byte) {
		first := NewFirst(flow.UDP)
		first.Add(Client, one)
		first.Add(Client, two)
		check(t, first)
	})
}

// FuzzFrames goes behind the encryption, which a fuzzer can't write.
func FuzzFrames(f *testing.F) {
	m := quicHello(f, "a.example")
	f.Add(crypto(0, m), crypto(3, m[3:9]))
	f.Add([]byte{frameAck, 5, 0, 1, 0, 0, 0, framePing}, []byte{frameClose, 0, 0, 1, 'x'})
	f.Fuzz(func(t *testing.T, one, two []byte) {
		first := NewFirst(flow.UDP)
		for i, b := range [][]byte{one, two} {
			first.Add(Client, seal(quic1, []byte("12345678"), []byte("12345678"), uint64(i), 1, b))
		}
		check(t, first)
	})
}
