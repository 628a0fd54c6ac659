package ruleset

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// noKernel answers nothing.
type noKernel struct{}

func (noKernel) Execute(netlink.Message) ([]netlink.Message, error) {
	return nil, errors.New("no kernel")
}
func (noKernel) Close() error { return nil }

type noFib struct{}

func (noFib) Type(Addr) (uint32, bool) { return 0, false }
func (noFib) Out(Addr) (int, bool)     { return 0, false }

var packets = []Packet{
	{Src: netip.MustParseAddrPort("192.0.2.1:1"), Dst: netip.MustParseAddrPort("192.0.2.2:25"), Protocol: unix.IPPROTO_TCP, Out: Link{Index: 2, Name: "eth0"}},
	{Src: netip.MustParseAddrPort("[2001:db8::1]:1"), Dst: netip.MustParseAddrPort("[2001:db8::2]:25"), Protocol: unix.IPPROTO_UDP, In: Link{Index: 2, Name: "eth0"}},
}

// FuzzRule gives rules of any bytes to all that looks at them. The rules of a container
// are of its own root.
func FuzzRule(f *testing.F) {
	add := func(name string, data []byte) {
		e := append(attribute(unix.NFTA_EXPR_NAME, append([]byte(name), 0)), attribute(unix.NFTA_EXPR_DATA, data)...)
		f.Add(attribute(unix.NFTA_LIST_ELEM, e))
	}
	reg := []byte{0, 0, 0, 1}
	add("meta", append(attribute(unix.NFTA_META_DREG, reg), attribute(unix.NFTA_META_KEY, []byte{0, 0, 0, 16})...))
	add("cmp", append(attribute(unix.NFTA_CMP_SREG, reg), attribute(unix.NFTA_CMP_DATA, attribute(unix.NFTA_DATA_VALUE, []byte{6}))...))
	add("payload", append(attribute(unix.NFTA_PAYLOAD_DREG, reg), attribute(unix.NFTA_PAYLOAD_LEN, []byte{0, 0, 0, 4})...))
	for _, m := range []string{"multiport", "conntrack", "tcp", "owner", "addrtype", "iprange"} {
		add("match", append(attribute(unix.NFTA_MATCH_NAME, append([]byte(m), 0)), attribute(unix.NFTA_MATCH_INFO, make([]byte, 60))...))
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		s := &Ruleset{conn: noKernel{}}
		t := &table{family: INet, name: "t", chains: map[string]*chain{}, sets: map[string]*set{}}
		x := &set{table: t, name: "s", keyLen: 4, read: true}
		each(b, func(_ uint16, v []byte) { x.elements = append(x.elements, boundOf(parse(v)).element) })
		t.sets["s"] = x
		s.tables = []*table{t}
		for _, h := range []Hook{Output, Input} {
			c := &chain{table: t, name: string(h), hook: h, kind: "filter"}
			t.chains[c.name] = c
			s.addRule(INet, attrs{unix.NFTA_RULE_TABLE: []byte("t\x00"), unix.NFTA_RULE_CHAIN: append([]byte(h), 0), unix.NFTA_RULE_EXPRESSIONS: b, unix.NFTA_RULE_USERDATA: b})
		}
		t.author = authorOf(t)
		for _, p := range packets {
			s.Walk(p, noFib{}, Output, Input)
		}
		for _, c := range t.chains {
			for _, r := range c.rules {
				_ = s.text(r)
			}
		}
	})
}

// FuzzLegacy gives tables of ip_tables of any bytes to all that looks at them.
func FuzzLegacy(f *testing.F) {
	f.Add(make([]byte, infoLen), make([]byte, 400), false)
	f.Fuzz(func(_ *testing.T, info, entries []byte, six bool) {
		shape := legacyShapes[both01(six)]
		s := &Ruleset{conn: noKernel{}, tables: []*table{legacyTable(shape, "filter", 0, info, entries)}}
		s.tables[0].author = authorOf(s.tables[0])
		s.Walk(packets[both01(six)], noFib{}, Output, Input)
	})
}
