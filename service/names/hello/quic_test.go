package hello

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"os"
	"slices"
	"strings"
	"testing"

	"sekisho/app/flow"
)

// hexLines reads a recording: a datagram a line.
func hexLines(t testing.TB, name string) (all [][]byte) {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Fields(string(text)) {
		b, err := hex.DecodeString(line)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

// The packets that the RFCs print (9001, A.2 and 9369, A.2).
func TestPublishedInitials(t *testing.T) {
	for _, name := range []string{"rfc9001-a2.hex", "rfc9369-a2.hex"} {
		packet := bytes.Join(hexLines(t, name), nil)
		want := Hello{Kind: QUIC, Name: "example.com"}
		f := NewFirst(flow.UDP)
		if s := f.Add(Client, packet); s != Said || f.Hello() != want {
			t.Errorf("%s: %v %+v", name, s, f.Hello())
		}
		for i := range 60 { // every damage is noticed
			bad := slices.Clone(packet)
			bad[(i*len(bad))/60] ^= 0x10
			f := NewFirst(flow.UDP)
			if s := f.Add(Client, bad); s == Said {
				t.Errorf("%s: damaged at %d: %+v", name, i*len(bad)/60, f.Hello())
			}
		}
	}
}

// What golang.org/x/net/quic sent: a hello with a large key, over two datagrams.
func TestRecordedQUIC(t *testing.T) {
	all := hexLines(t, "go.quic.hex")
	if len(all) < 2 {
		t.Fatalf("%d datagrams", len(all))
	}
	f := NewFirst(flow.UDP)
	if s := f.Add(Client, all[0]); s != More {
		t.Fatalf("the first of two: %v", s)
	}
	f.Add(Server, []byte{0xc0, 0, 0, 0, 1, 0})
	if s := f.Add(Client, all[1]); s != Said || f.Hello() != (Hello{Kind: QUIC, Name: "quic.example.com"}) {
		t.Errorf("%v %+v", s, f.Hello())
	}
	f = NewFirst(flow.UDP)
	f.Add(Client, all[1])
	if s := f.Add(Client, all[0]); s != Said || f.Hello().Name != "quic.example.com" {
		t.Errorf("the other way round: %v %+v", s, f.Hello())
	}
}

// clientHello is the message that Go's client makes for QUIC.
func quicHello(t testing.TB, name string) []byte {
	t.Helper()
	c := tls.QUICClient(&tls.QUICConfig{TLSConfig: &tls.Config{ServerName: name, MinVersion: tls.VersionTLS13, NextProtos: []string{"h3"}}})
	c.SetTransportParameters([]byte{1, 1, 10})
	if err := c.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for {
		switch e := c.NextEvent(); e.Kind {
		case tls.QUICWriteData:
			return slices.Clone(e.Data)
		case tls.QUICNoEvent:
			t.Fatal("no hello")
		}
	}
}

func varint(v int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(v)|0x80000000) }

func crypto(at int, b []byte) []byte {
	return append(append(append([]byte{frameCrypto}, varint(at)...), varint(len(b))...), b...)
}

// seal makes an initial packet, as a client does.
func seal(version uint32, keysOf, dcid []byte, number uint64, size int, frames ...[]byte) []byte {
	k := newInitialKeys(version, keysOf)
	payload := bytes.Join(frames, nil)
	kind := byte(0)
	if version == quic2 {
		kind = 1
	}
	if len(payload) < 16 {
		payload = append(payload, make([]byte, 16-len(payload))...)
	}
	b := []byte{0xc0 | kind<<4 | byte(size-1)}
	b = binary.BigEndian.AppendUint32(b, version)
	b = append(append(b, byte(len(dcid))), dcid...)
	b = append(b, 3, 'm', 'e', '!')                // source
	b = append(b, varint(5)...)                    // token
	b = append(b, "token"...)                      //
	b = append(b, varint(size+len(payload)+16)...) // length
	at := len(b)
	for i := size - 1; i >= 0; i-- {
		b = append(b, byte(number>>(8*i)))
	}
	nonce := k.iv
	for i := range 8 {
		nonce[4+i] ^= byte(number >> (8 * (7 - i)))
	}
	b = k.packet.Seal(b, nonce[:], payload, b)
	var mask [16]byte
	k.header.Encrypt(mask[:], b[at+4:at+20])
	b[0] ^= mask[0] & 0x0f
	for i := range size {
		b[at+i] ^= mask[1+i]
	}
	return b
}

func TestQUICInPieces(t *testing.T) {
	m := quicHello(t, "Pieces.Example.")
	cid, other := []byte("12345678"), []byte("abc")
	ack := []byte{frameAck, 5, 0, 1, 0, 0, 0}
	half := len(m) / 2
	one := seal(quic1, cid, cid, 0, 1, []byte{framePing}, crypto(half, m[half:]), make([]byte, 100), ack)
	two := seal(quic1, cid, cid, 1, 4, crypto(0, m[:half+10])) // ten bytes twice
	var small [][]byte
	for i := 0; i < len(m); i += 200 {
		small = append(small, seal(quic1, cid, cid, uint64(i), 2, crypto(i, m[i:min(len(m), i+200)])))
	}
	slices.Reverse(small)
	handshake := slices.Clone(one) // of a kind that is skipped, in the same datagram
	handshake[0] = handshake[0]&0x0f | 0xe0

	tests := map[string]struct {
		datagrams [][]byte
		state     State
	}{
		"two":                          {[][]byte{one, two}, Said},
		"two, the other way round":     {[][]byte{two, one}, Said},
		"both in one datagram":         {[][]byte{append(slices.Clone(one), two...)}, Said},
		"garbage behind":               {[][]byte{append(slices.Clone(one), 0, 1, 2), append(slices.Clone(two), 0xff, 0xff)}, Said},
		"small ones backwards":         {small, Said},
		"the first twice":              {[][]byte{one, one, two}, Said},
		"version 2":                    {[][]byte{seal(quic2, cid, cid, 7, 3, crypto(0, m))}, Said},
		"after a Retry":                {[][]byte{one, seal(quic1, other, other, 1, 1, crypto(0, m))}, Said},
		"to the server's id":           {[][]byte{one, seal(quic1, cid, other, 1, 1, crypto(0, m[:half]))}, Said},
		"no more than half":            {[][]byte{one}, More},
		"damaged later":                {[][]byte{one, slices.Repeat([]byte{0xc1}, 900)}, More},
		"another version":              {[][]byte{seal(0x1a2a3a4a, cid, cid, 0, 1, crypto(0, m))}, Nothing},
		"keys of another":              {[][]byte{seal(quic1, other, cid, 0, 1, crypto(0, m))}, Nothing},
		"version 1 with the type of 2": {[][]byte{handshake}, Nothing},
		"two say different things":     {[][]byte{one, seal(quic1, cid, cid, 1, 1, crypto(half, bytes.ToUpper(m[half:])))}, Nothing},
		"a frame that may not be":      {[][]byte{seal(quic1, cid, cid, 1, 1, crypto(0, m), []byte{0x08, 0, 0})}, Nothing},
		"frames cut off":               {[][]byte{seal(quic1, cid, cid, 1, 1, crypto(0, m)[:50])}, Nothing},
		"too far":                      {[][]byte{seal(quic1, cid, cid, 1, 1, crypto(MaxHello, m))}, Nothing},
		"acks without end":             {[][]byte{seal(quic1, cid, cid, 1, 1, []byte{frameAck, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})}, Nothing},
		"a server's hello":             {[][]byte{seal(quic1, cid, cid, 1, 1, crypto(0, append([]byte{2}, m[1:]...)))}, Nothing},
		"DNS":                          {[][]byte{[]byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01")}, Nothing},
		"short header":                 {[][]byte{slices.Repeat([]byte{0x41}, 1200)}, Nothing},
		"never whole":                  {slices.Repeat([][]byte{one}, MaxDatagrams), Nothing},
	}
	for name, tt := range tests {
		f := NewFirst(flow.UDP)
		for _, d := range tt.datagrams {
			was := slices.Clone(d)
			f.Add(Client, d)
			if !bytes.Equal(d, was) {
				t.Errorf("%s: the datagram was changed", name)
			}
		}
		if f.State() != tt.state {
			t.Errorf("%s: %v, want %v", name, f.State(), tt.state)
		}
		if want := (Hello{Kind: QUIC, Name: "pieces.example"}); tt.state == Said && f.Hello() != want {
			t.Errorf("%s: %+v", name, f.Hello())
		}
	}
}

func TestPacketNumber(t *testing.T) {
	// RFC 9000, A.3
	if got := packetNumber(0xa82f30ea+1, []byte{0x9b, 0x32}); got != 0xa82f9b32 {
		t.Errorf("%#x", got)
	}
	for _, n := range []uint64{0, 1, 255, 256, 65535, 65536, 1 << 30} {
		if got := packetNumber(n, []byte{byte(n >> 8), byte(n)}); got != n {
			t.Errorf("%d was read as %d", n, got)
		}
	}
}

func BenchmarkQUIC(b *testing.B) {
	packet := bytes.Join(hexLines(b, "rfc9001-a2.hex"), nil)
	b.ReportAllocs()
	for b.Loop() {
		if NewFirst(flow.UDP).Add(Client, packet) != Said {
			b.Fatal("nothing said")
		}
	}
}
