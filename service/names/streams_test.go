package names

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/miekg/dns"

	"sekisho/service/names/stream"
)

const clientSeq, serverSeq = 7_000, 1<<32 - 20

// tcp is a packet of a connection; at counts the bytes that were sent before.
func tcp(t testing.TB, from, to netip.AddrPort, change func(*layers.TCP), at int, payload []byte) []byte {
	t.Helper()
	l := &layers.TCP{SrcPort: layers.TCPPort(from.Port()), DstPort: layers.TCPPort(to.Port()),
		Seq: serverSeq + 1 + uint32(at), Ack: clientSeq + 1 + 30, ACK: true, Window: 1000}
	if change != nil {
		change(l)
	}
	var ip gopacket.SerializableLayer
	if from.Addr().Is4() {
		h := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: net.IP(from.Addr().AsSlice()), DstIP: net.IP(to.Addr().AsSlice())}
		ip = h
		_ = l.SetNetworkLayerForChecksum(h)
	} else {
		h := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolTCP, SrcIP: net.IP(from.Addr().AsSlice()), DstIP: net.IP(to.Addr().AsSlice())}
		ip = h
		_ = l.SetNetworkLayerForChecksum(h)
	}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ip, l, gopacket.Payload(payload)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func synAck(l *layers.TCP) { l.SYN, l.Seq, l.Ack = true, serverSeq, clientSeq+1 }

// framed is messages as they go over TCP.
func framed(t testing.TB, messages ...*dns.Msg) (b []byte) {
	t.Helper()
	for _, m := range messages {
		p := packed(t, m)
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(p))), p...)
	}
	return b
}

func newStreams() *Streams {
	return NewStreams(func(netip.AddrPort, netip.AddrPort) (uint32, bool) { return clientSeq, true })
}

// names tells what replies named.
func asked(replies []Reply) (all []string) {
	for _, r := range replies {
		all = append(all, fmt.Sprint(r.Question, " ", r.Answer.Addrs))
	}
	return all
}

func TestAnswersOverTCP(t *testing.T) {
	b := framed(t, reply(t, "one.example.", dns.TypeA, "one.example. 5 A 198.51.100.1"),
		reply(t, "two.example.", dns.TypeAAAA, "two.example. 5 AAAA 2001:db8::2"),
		reply(t, "three.example.", dns.TypeA, "three.example. 5 CNAME four.example.", "four.example. 5 A 198.51.100.3"))
	want := []string{"one.example [198.51.100.1]", "two.example [2001:db8::2]", "three.example [198.51.100.3]"}
	for _, ends := range [][2]netip.AddrPort{{client4, server4}, {client6, server6}} {
		c, sv := ends[0], ends[1]
		for _, size := range []int{1, 2, 3, 7, 50, len(b)} {
			for _, how := range []string{"in order", "mixed", "twice"} {
				s := newStreams()
				if _, err := s.Add(tcp(t, sv, c, synAck, 0, nil)); err != nil {
					t.Fatal(err)
				}
				var segs [][]byte
				for at := 0; at < len(b); at += size {
					segs = append(segs, tcp(t, sv, c, nil, at, b[at:min(len(b), at+size)]))
				}
				switch how {
				case "twice":
					segs = append(segs, segs...)
				case "mixed": // within what may wait
					for i := 0; i < len(segs); i += 50 {
						part := segs[i:min(len(segs), i+50)]
						rand.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
					}
				}
				var got []Reply
				for _, p := range segs {
					r, err := s.Add(p)
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, r...)
				}
				if !slices.Equal(asked(got), want) {
					t.Errorf("segments of %d, %s: %q, want %q", size, how, asked(got), want)
				}
				if got[0].Client != c || got[0].Server != sv {
					t.Errorf("from %v to %v", got[0].Server, got[0].Client)
				}
				if s.length != 0 {
					t.Errorf("segments of %d, %s: %d bytes are kept", size, how, s.length)
				}
			}
		}
	}
}

// What is broken in one message says nothing about the next.
func TestBrokenMessageInStream(t *testing.T) {
	good := framed(t, reply(t, "a.example.", dns.TypeA, "a.example. 5 A 198.51.100.1"))
	b := slices.Concat([]byte{0, 5}, []byte("wrong"), good, []byte{0, 0}, good)
	s := newStreams()
	s.Add(tcp(t, server4, client4, synAck, 0, nil))
	r, err := s.Add(tcp(t, server4, client4, nil, 0, b))
	if len(r) != 2 || !errors.Is(err, ErrMalformed) {
		t.Errorf("%q, %v", asked(r), err)
	}
}

// Only what belongs to a connection that a program began counts.
func TestForgedSegments(t *testing.T) {
	good := framed(t, reply(t, "a.example.", dns.TypeA, "a.example. 5 A 198.51.100.1"))
	forged := framed(t, reply(t, "a.example.", dns.TypeA, "a.example. 5 A 203.0.113.66"))
	data := func(change func(*layers.TCP), b []byte) []byte { return tcp(t, server4, client4, change, 0, b) }
	open := data(synAck, nil)
	tests := map[string]struct {
		packets [][]byte
		want    []string
	}{
		"as it is":                {[][]byte{open, data(nil, good)}, []string{"a.example [198.51.100.1]"}},
		"no beginning":            {[][]byte{data(nil, forged)}, nil},
		"another's answer":        {[][]byte{data(func(l *layers.TCP) { synAck(l); l.Ack = 4711 }, nil), data(nil, forged)}, nil},
		"SYN without ACK":         {[][]byte{data(func(l *layers.TCP) { synAck(l); l.ACK = false }, nil), data(nil, forged)}, nil},
		"another beginning":       {[][]byte{open, data(func(l *layers.TCP) { synAck(l); l.Seq = 99 }, nil), data(func(l *layers.TCP) { l.Seq = 100 }, forged), data(nil, good)}, []string{"a.example [198.51.100.1]"}},
		"acknowledges too much":   {[][]byte{open, data(func(l *layers.TCP) { l.Ack += 2 << 20 }, forged), data(nil, good)}, []string{"a.example [198.51.100.1]"}},
		"acknowledges too little": {[][]byte{open, data(func(l *layers.TCP) { l.Ack = clientSeq - 5 }, forged)}, nil},
		"no ACK":                  {[][]byte{open, data(func(l *layers.TCP) { l.ACK = false }, forged)}, nil},
		"reset":                   {[][]byte{open, data(func(l *layers.TCP) { l.RST = true }, forged), data(nil, good)}, []string{"a.example [198.51.100.1]"}},
		"from another port":       {[][]byte{open, tcp(t, c4(5353, "192.0.2.53"), client4, nil, 0, forged)}, nil},
		"from another server":     {[][]byte{open, tcp(t, c4(53, "192.0.2.99"), client4, nil, 0, forged)}, nil},
		"cut off on the way":      {[][]byte{open, data(nil, good)[:70], data(nil, good)}, nil},
		"UDP":                     {[][]byte{open, udp(t, server4, client4, forged[2:])}, nil},
		"nothing":                 {[][]byte{nil, {0x45}, {0x60}}, nil},
	}
	for name, tt := range tests {
		s := newStreams()
		var got []Reply
		for _, p := range tt.packets {
			r, err := s.Add(p)
			if err != nil && !errors.Is(err, ErrNotDNS) && !errors.Is(err, ErrMalformed) {
				t.Errorf("%s: error %v is of no kind", name, err)
			}
			got = append(got, r...)
		}
		if !slices.Equal(asked(got), tt.want) {
			t.Errorf("%s: %q, want %q", name, asked(got), tt.want)
		}
	}
	s := NewStreams(func(netip.AddrPort, netip.AddrPort) (uint32, bool) { return 0, false })
	s.Add(open)
	if r, _ := s.Add(data(nil, good)); r != nil {
		t.Errorf("nobody asked, and %q", asked(r))
	}
}

func TestStreamsAreBounded(t *testing.T) {
	s := newStreams()
	huge := append([]byte{0xff, 0xff}, make([]byte, 60_000)...)
	for i := range 3 * MaxStreams {
		c := c4(uint16(10_000+i), "192.0.2.10")
		s.Add(tcp(t, server4, c, synAck, 0, nil))
		s.Add(tcp(t, server4, c, nil, 0, huge[:9000]))
		s.Add(tcp(t, server4, c, nil, 20_000, huge[:40_000]))
		if len(s.conns) > MaxStreams || s.used.Len() != len(s.conns) || s.length > MaxStreamed {
			t.Fatalf("%d connections, %d bytes", len(s.conns), s.length)
		}
	}
	sum := 0
	for _, a := range s.conns {
		sum += a.kept()
	}
	if sum != s.length {
		t.Errorf("%d bytes are kept, %d counted", sum, s.length)
	}
	// One that sends what can't be put together is forgotten, not kept.
	c := c4(9, "192.0.2.10")
	s.Add(tcp(t, server4, c, synAck, 0, nil))
	for i := range 100 {
		s.Add(tcp(t, server4, c, nil, 10+10*i, []byte("x")))
	}
	if a := s.conns[conn{c, server4}]; a == nil || !a.lost || a.kept() != 0 {
		t.Errorf("%+v", a)
	}
}

// A connection that ends makes room for the next with the same ends.
func TestConnectionsFollowEachOther(t *testing.T) {
	seq := uint32(clientSeq)
	s := NewStreams(func(netip.AddrPort, netip.AddrPort) (uint32, bool) { return seq, true })
	for i := range 3 {
		name := fmt.Sprintf("n%d.example.", i)
		b := framed(t, reply(t, name, dns.TypeA, name+" 5 A 198.51.100.1"))
		shift := func(l *layers.TCP) {
			l.Ack = seq + 1
			if l.Seq += uint32(i) * 1000; i == 1 {
				l.FIN = true
			}
		}
		s.Add(tcp(t, server4, client4, func(l *layers.TCP) { synAck(l); shift(l); l.FIN = false }, 0, nil))
		r, err := s.Add(tcp(t, server4, client4, shift, 0, b))
		if err != nil || !slices.Equal(asked(r), []string{strings.TrimSuffix(name, ".") + " [198.51.100.1]"}) {
			t.Errorf("connection %d: %q, %v", i, asked(r), err)
		}
		if i == 1 && len(s.conns) != 0 {
			t.Error("it ended, and is still there")
		}
		seq += 100_000
	}
}

func FuzzStreams(f *testing.F) {
	b := framed(f, reply(f, "a.example.", dns.TypeA, "a.example. 5 A 198.51.100.1"), reply(f, "b.example.", dns.TypeHTTPS, "b.example. 5 HTTPS 1 . ipv4hint=198.51.100.2"))
	f.Add(b, uint8(3), uint16(5))
	f.Add(b[:20], uint8(200), uint16(0))
	f.Fuzz(func(t *testing.T, b []byte, size uint8, jump uint16) {
		if len(b) > 4096 {
			return
		}
		s := newStreams()
		s.Add(tcp(t, server4, client4, synAck, 0, nil))
		n := int(size) + 1
		for at := 0; at < len(b); at += n {
			to := at
			if at == n {
				to += int(jump)
			}
			replies, err := s.Add(tcp(t, server4, client4, nil, to, b[at:min(len(b), at+n)]))
			if err != nil && !errors.Is(err, ErrNotDNS) && !errors.Is(err, ErrMalformed) {
				t.Fatalf("error %v is of no kind", err)
			}
			for _, r := range replies {
				if r.Server != server4 || len(r.Answer.Addrs) > maxRecords {
					t.Fatalf("%+v", r)
				}
			}
			if s.length < 0 || s.length > 200<<10 {
				t.Fatalf("%d bytes", s.length)
			}
		}
	})
}

func BenchmarkStreams(b *testing.B) {
	s := newStreams()
	p := framed(b, reply(b, "www.example.com.", dns.TypeA, "www.example.com. 300 CNAME cdn.example.net.", "cdn.example.net. 20 A 198.51.100.3"))
	open, data := tcp(b, server4, client4, synAck, 0, nil), tcp(b, server4, client4, func(l *layers.TCP) { l.FIN = true }, 0, p)
	b.ReportAllocs()
	for b.Loop() {
		s.Add(open)
		if r, err := s.Add(data); len(r) != 1 {
			b.Fatal(err)
		}
	}
}

// What glibc (options use-vc) and a program that asks twice at once got from a name server
// on Linux.
func TestRecordedTCP(t *testing.T) {
	text, err := os.ReadFile("testdata/tcp.hex")
	if err != nil {
		t.Fatal(err)
	}
	syns := map[conn]uint32{}
	s := NewStreams(func(client, server netip.AddrPort) (uint32, bool) {
		seq, ok := syns[conn{client, server}]
		return seq, ok
	})
	var got []string
	for line := range strings.FieldsSeq(string(text)) {
		p, err := hex.DecodeString(line)
		if err != nil {
			t.Fatal(err)
		}
		if seg, err := stream.Parse(p); err == nil && seg.Dst.Port() == port {
			syns[conn{seg.Src, seg.Dst}] = seg.Seq - 1
			continue
		}
		replies, err := s.Add(p)
		if err != nil {
			t.Error(err)
		}
		for _, r := range replies {
			got = append(got, fmt.Sprintf("%d %s %v %d", r.Type, r.Question, r.Answer.Chain, len(r.Answer.Addrs)))
		}
	}
	want := []string{"1 www.example.com [cdn.example.net] 2", "28 www.example.com [cdn.example.net] 1",
		"1 big.example.com [] 100", "65 www.example.com [svc.example.net] 1"}
	if slices.Sort(got[:2]); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if len(s.conns) != 0 {
		t.Errorf("%d connections are open after they ended", len(s.conns))
	}
}
