package machine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"sekisho/service/machine/ruleset"
)

// route is the kernel's answer to where packets go.
type route struct {
	kind    uint8 // RTN_
	out     int
	gateway netip.Addr
	source  netip.Addr
	table   uint32
}

// routeQuery is what decides about a way beside the address.
type routeQuery struct {
	to, from netip.Addr
	uid      uint32
	mark     uint32
	protocol uint8
	port     uint16
}

// ways asks for routes, links and neighbours of one network namespace. It belongs to one
// goroutine.
type ways struct {
	handle *netlink.Handle
	conn   conn
	cache  map[netip.Addr]route
}

func openWays() (*ways, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("read routes: %w", err)
	}
	c, err := dialRoute()
	if err != nil {
		h.Close()
		return nil, fmt.Errorf("read routes: %w", err)
	}
	return &ways{handle: h, conn: c, cache: map[netip.Addr]route{}}, nil
}

func (w *ways) close() {
	w.handle.Close()
	_ = w.conn.Close()
}

// ask asks for one route. The error is the kernel's: ENETUNREACH, EHOSTUNREACH, EACCES,
// EINVAL for the different kinds of no.
func (w *ways) ask(q routeQuery) (route, error) {
	b := []byte{unix.AF_INET, uint8(q.to.BitLen()), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	if q.to.Is6() {
		b[0] = unix.AF_INET6
	}
	b = appendAttr(b, unix.RTA_DST, q.to.AsSlice())
	if q.from.IsValid() {
		b[2] = uint8(q.from.BitLen())
		b = appendAttr(b, unix.RTA_SRC, q.from.AsSlice())
	}
	b = appendAttr(b, unix.RTA_UID, binary.NativeEndian.AppendUint32(nil, q.uid))
	if q.mark != 0 {
		b = appendAttr(b, unix.RTA_MARK, binary.NativeEndian.AppendUint32(nil, q.mark))
	}
	if q.protocol == unix.IPPROTO_TCP || q.protocol == unix.IPPROTO_UDP {
		b = appendAttr(b, unix.RTA_IP_PROTO, []byte{q.protocol})
		if q.port != 0 {
			b = appendAttr(b, unix.RTA_DPORT, binary.BigEndian.AppendUint16(nil, q.port))
		}
	}
	msgs, err := w.conn.execute(unix.RTM_GETROUTE, b)
	if err != nil {
		return route{}, err
	}
	for _, m := range msgs {
		if len(m) >= unix.SizeofRtMsg {
			return parseRoute(m), nil
		}
	}
	return route{}, errors.New("the kernel does not say")
}

func parseRoute(m []byte) route {
	r := route{kind: m[7], table: uint32(m[4])}
	eachAttr(m[unix.SizeofRtMsg:], func(kind uint16, v []byte) {
		switch kind {
		case unix.RTA_OIF:
			r.out = int(binary.NativeEndian.Uint32(v))
		case unix.RTA_GATEWAY:
			r.gateway, _ = netip.AddrFromSlice(v)
		case unix.RTA_VIA: // a next hop of the other family
			if len(v) > 2 {
				r.gateway, _ = netip.AddrFromSlice(v[2:])
			}
		case unix.RTA_PREFSRC:
			r.source, _ = netip.AddrFromSlice(v)
		case unix.RTA_TABLE:
			r.table = binary.NativeEndian.Uint32(v)
		}
	})
	return r
}

// Type is for rules that ask for the kind of an address.
func (w *ways) Type(a netip.Addr) (uint32, bool) {
	switch {
	case a.IsMulticast():
		return unix.RTN_MULTICAST, true
	case a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return unix.RTN_BROADCAST, true
	}
	r, err := w.lookup(a)
	switch {
	case err == nil:
		return uint32(r.kind), true
	case errors.Is(err, unix.EHOSTUNREACH):
		return unix.RTN_UNREACHABLE, true
	case errors.Is(err, unix.EACCES):
		return unix.RTN_PROHIBIT, true
	case errors.Is(err, unix.EINVAL):
		return unix.RTN_BLACKHOLE, true
	case errors.Is(err, unix.ENETUNREACH) && a.Is6():
		return unix.RTN_UNREACHABLE, true
	case errors.Is(err, unix.ENETUNREACH):
		return unix.RTN_UNICAST, true // nft_fib's own answer where there is no route
	}
	return 0, false
}

// Out is for rules that ask for the interface to an address.
func (w *ways) Out(a netip.Addr) (int, bool) {
	r, err := w.lookup(a)
	if err != nil {
		return 0, errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH)
	}
	return r.out, true
}

func (w *ways) lookup(a netip.Addr) (route, error) {
	if r, ok := w.cache[a]; ok {
		return r, nil
	}
	r, err := w.ask(routeQuery{to: a})
	if err == nil {
		w.cache[a] = r
	}
	return r, err
}

// link is an interface as rules see it, and whether it is up and plugged in.
func (w *ways) link(index int) (l ruleset.Link, up, carrier bool) {
	if index == 0 {
		return ruleset.Link{}, true, true
	}
	n, err := w.handle.LinkByIndex(index)
	if err != nil {
		return ruleset.Link{Index: index}, true, true
	}
	a := n.Attrs()
	l = ruleset.Link{Index: index, Name: a.Name, Group: a.Group, Type: linkType(a.EncapType), Kind: n.Type()}
	if l.Kind == "device" {
		l.Kind = ""
	}
	up = a.RawFlags&unix.IFF_UP != 0
	carrier = a.RawFlags&unix.IFF_LOWER_UP != 0 || a.OperState == netlink.OperUnknown
	return l, up, carrier
}

func linkType(name string) uint16 {
	switch name {
	case "loopback":
		return unix.ARPHRD_LOOPBACK
	case "none":
		return unix.ARPHRD_NONE
	case "ppp":
		return unix.ARPHRD_PPP
	}
	return unix.ARPHRD_ETHER
}

// hopState is what is known of the next hop on its network, as NUD_ numbers it.
func (w *ways) hopState(index int, hop netip.Addr) int {
	family := unix.AF_INET
	if hop.Is6() {
		family = unix.AF_INET6
	}
	list, err := w.handle.NeighList(index, family)
	if err != nil {
		return 0
	}
	for _, n := range list {
		if a, ok := netip.AddrFromSlice(n.IP); ok && a.Unmap() == hop {
			return n.State
		}
	}
	return 0
}

// ruleFor names the policy rule that refuses, or that leads to the table of the route.
func (w *ways) ruleFor(table uint32) string {
	if table == 0 || table == unix.RT_TABLE_MAIN || table == unix.RT_TABLE_LOCAL || table == unix.RT_TABLE_DEFAULT {
		return ""
	}
	rules, err := w.handle.RuleList(unix.AF_UNSPEC)
	if err != nil {
		return ""
	}
	for _, r := range rules {
		if uint32(r.Table) == table {
			return strconv.Itoa(r.Priority) + ": " + r.String()
		}
	}
	return ""
}

// refusals are the kinds of route that refuse.
var refusals = map[int]string{unix.RTN_UNREACHABLE: "unreachable", unix.RTN_PROHIBIT: "prohibit", unix.RTN_BLACKHOLE: "blackhole", unix.RTN_THROW: "throw"}

// refusal is the route that refuses an address, as ip route writes it; empty if there is none.
func (w *ways) refusal(a netip.Addr) string {
	family := unix.AF_INET
	if a.Is6() {
		family = unix.AF_INET6
	}
	best, bits := "", -1
	_ = w.handle.RouteListFilteredIter(family, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE, func(r netlink.Route) bool {
		prefix := netip.PrefixFrom(a, 0).Masked()
		if r.Dst != nil {
			n, _ := r.Dst.Mask.Size()
			d, _ := netip.AddrFromSlice(r.Dst.IP)
			prefix = netip.PrefixFrom(d.Unmap(), n)
		}
		if kind := refusals[r.Type]; kind != "" && prefix.Contains(a) && prefix.Bits() > bits {
			best, bits = kind+" "+prefix.String(), prefix.Bits()
		}
		return true
	})
	return best
}
