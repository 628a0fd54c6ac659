package names

import (
	"net"
	"net/netip"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/miekg/dns"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	client4 = netip.MustParseAddrPort("192.0.2.10:40000")
	server4 = netip.MustParseAddrPort("192.0.2.53:53")
	client6 = netip.MustParseAddrPort("[2001:db8::10]:40001")
	server6 = netip.MustParseAddrPort("[2001:db8::53]:53")
)

// packed is the DNS message in wire format, with compression.
func packed(t testing.TB, m *dns.Msg) []byte {
	t.Helper()
	m.Compress = true
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// udp is the IP packet around a payload.
func udp(t testing.TB, from, to netip.AddrPort, payload []byte) []byte {
	t.Helper()
	u := &layers.UDP{SrcPort: layers.UDPPort(from.Port()), DstPort: layers.UDPPort(to.Port())}
	var ip gopacket.SerializableLayer
	if from.Addr().Is4() {
		l := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: net.IP(from.Addr().AsSlice()), DstIP: net.IP(to.Addr().AsSlice())}
		ip = l
		_ = u.SetNetworkLayerForChecksum(l)
	} else {
		l := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolUDP, SrcIP: net.IP(from.Addr().AsSlice()), DstIP: net.IP(to.Addr().AsSlice())}
		ip = l
		_ = u.SetNetworkLayerForChecksum(l)
	}
	b := gopacket.NewSerializeBuffer()
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(b, opts, ip, u, gopacket.Payload(payload)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// extended puts extension headers, whose first byte is to be filled in, between an
// IPv6 header and what follows. kinds are their protocol numbers.
func extended(packet []byte, kinds []byte, headers ...[]byte) []byte {
	out := append([]byte(nil), packet[:40]...)
	last := out[6]
	out[6] = kinds[0]
	n := 0
	for i, h := range headers {
		h = append([]byte(nil), h...)
		h[0] = last
		if i+1 < len(kinds) {
			h[0] = kinds[i+1]
		}
		out = append(out, h...)
		n += len(h)
	}
	length := int(out[4])<<8 | int(out[5])
	out[4], out[5] = byte((length+n)>>8), byte(length+n)
	return append(out, packet[40:]...)
}

func asking(name string, kind uint16) *dns.Msg {
	m := new(dns.Msg)
	m.SetQuestion(name, kind)
	m.Id = 4711
	return m
}

func record(t testing.TB, s string) dns.RR {
	t.Helper()
	rr, err := dns.NewRR(s)
	if err != nil {
		t.Fatal(err)
	}
	return rr
}

func reply(t testing.TB, name string, kind uint16, answers ...string) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	m.SetReply(asking(name, kind))
	for _, a := range answers {
		m.Answer = append(m.Answer, record(t, a))
	}
	return m
}

func addrs(ss ...string) (as []netip.Addr) {
	for _, s := range ss {
		as = append(as, netip.MustParseAddr(s))
	}
	return as
}

// c4 is an IPv4 address and port.
func c4(port uint16, addr string) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(addr), port)
}
