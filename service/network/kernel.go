package network

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// userHZ is the unit in which the kernel tells ages (USER_HZ).
const userHZ = 100

// maxRoutes bounds what is kept of the routes: a machine that knows more is no desktop,
// and what is beyond goes by the default.
const maxRoutes = 4096

// snapshot is what the kernel knows of links, at one moment.
type snapshot struct {
	links   []link
	routes  []route // the one that counts first
	gateway map[gateway]string
	// confirmed is how long ago each of them last answered.
	confirmed map[gateway]time.Duration
}

type link struct {
	index    int
	name     string
	kind     string // IFLA_INFO_KIND; "device" for hardware
	master   int
	running  bool
	prefixes []netip.Prefix
}

// route is a way to a network. Via is invalid if everybody is there directly.
type route struct {
	to     netip.Prefix
	via    netip.Addr
	link   int
	metric int
	own    bool // not in the main table: a VPN's, chosen by a rule
}

// gateway is a neighbour by which other networks are reached.
type gateway struct {
	link int
	addr netip.Addr
}

// isDefault: two halves are how some VPNs write it, to win over the one that is there.
func (r *route) isDefault() bool { return r.to.Bits() <= 1 }

func openKernel(ns int) (*netlink.Handle, error) {
	var h *netlink.Handle
	var err error
	if ns > 0 {
		h, err = netlink.NewHandleAt(netns.NsHandle(ns), unix.NETLINK_ROUTE)
	} else {
		h, err = netlink.NewHandle(unix.NETLINK_ROUTE)
	}
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	return h, nil
}

// read asks the kernel. It tries again if something changed while it was telling.
func read(h *netlink.Handle) (s snapshot, err error) {
	for range 5 {
		if s, err = readOnce(h); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return s, err
}

func readOnce(h *netlink.Handle) (s snapshot, err error) {
	if s.links, err = readLinks(h); err != nil {
		return s, err
	}
	if s.routes, err = readRoutes(h); err != nil {
		return s, err
	}
	s.gateway, s.confirmed = map[gateway]string{}, map[gateway]time.Duration{}
	for i := range s.routes {
		if r := &s.routes[i]; r.isDefault() && r.via.IsValid() {
			s.gateway[gateway{r.link, r.via}] = ""
		}
	}
	if len(s.gateway) == 0 {
		return s, nil
	}
	neighbours, err := h.NeighList(0, netlink.FAMILY_ALL)
	if err != nil {
		return s, fmt.Errorf("list neighbours: %w", err)
	}
	for i := range neighbours {
		g := gateway{neighbours[i].LinkIndex, addrOf(neighbours[i].IP)}
		if _, ok := s.gateway[g]; ok && resolved(&neighbours[i]) {
			s.gateway[g] = neighbours[i].HardwareAddr.String()
			s.confirmed[g] = time.Duration(neighbours[i].Confirmed) * time.Second / userHZ
		}
	}
	return s, nil
}

const answered = netlink.NUD_REACHABLE | netlink.NUD_STALE | netlink.NUD_DELAY | netlink.NUD_PROBE | netlink.NUD_PERMANENT

func resolved(n *netlink.Neigh) bool {
	return n.State&answered != 0 && slices.ContainsFunc(n.HardwareAddr, func(b byte) bool { return b != 0 })
}

func readLinks(h *netlink.Handle) ([]link, error) {
	list, err := h.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	addrs, err := h.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	var links []link
	for _, l := range list {
		a := l.Attrs()
		if a.Flags&net.FlagLoopback != 0 {
			continue
		}
		k := link{index: a.Index, name: a.Name, kind: l.Type(), master: a.MasterIndex, running: a.RawFlags&unix.IFF_LOWER_UP != 0}
		for i := range addrs {
			if addrs[i].LinkIndex == a.Index {
				k.prefixes = append(k.prefixes, prefixOf(addrs[i].IPNet))
			}
		}
		links = append(links, k)
	}
	return links, nil
}

func readRoutes(h *netlink.Handle) (routes []route, err error) {
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		every := &netlink.Route{Table: unix.RT_TABLE_UNSPEC}
		err := h.RouteListFilteredIter(family, every, netlink.RT_FILTER_TABLE, func(r netlink.Route) bool {
			routes = append(routes, routesOf(&r, family)...)
			return len(routes) < maxRoutes
		})
		if err != nil {
			return nil, fmt.Errorf("list routes: %w", err)
		}
	}
	slices.SortStableFunc(routes, func(a, b route) int {
		return cmp.Or(cmp.Compare(b.to.Bits(), a.to.Bits()), compareBool(b.own, a.own), cmp.Compare(a.metric, b.metric))
	})
	return routes, nil
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// routesOf leaves out what is this machine's own, groups, and what leads nowhere.
func routesOf(r *netlink.Route, family int) (routes []route) {
	if r.Table == unix.RT_TABLE_LOCAL || r.Type != unix.RTN_UNICAST {
		return nil
	}
	all := netip.IPv4Unspecified()
	if family == netlink.FAMILY_V6 {
		all = netip.IPv6Unspecified()
	}
	to := netip.PrefixFrom(all, 0)
	if r.Dst != nil {
		to = prefixOf(r.Dst).Masked()
	}
	one := route{to: to, via: addrOf(r.Gw), link: r.LinkIndex, metric: r.Priority, own: r.Table != unix.RT_TABLE_MAIN}
	if len(r.MultiPath) == 0 {
		return []route{one}
	}
	for _, hop := range r.MultiPath {
		one.via, one.link = addrOf(hop.Gw), hop.LinkIndex
		routes = append(routes, one)
	}
	return routes
}

func addrOf(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

func prefixOf(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.Prefix{}
	}
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(addrOf(n.IP), bits)
}

// askNeighbour has the kernel find out a gateway's hardware address, as it would before
// the first packet to it. With anew it first drops what it knows.
func askNeighbour(h *netlink.Handle, g gateway, anew bool) error {
	family := netlink.FAMILY_V4
	if g.addr.Is6() {
		family = netlink.FAMILY_V6
	}
	n := &netlink.Neigh{LinkIndex: g.link, Family: family, IP: g.addr.AsSlice(), State: netlink.NUD_NONE, Flags: netlink.NTF_USE}
	if anew {
		old := &netlink.Neigh{LinkIndex: g.link, Family: family, IP: n.IP}
		if err := h.NeighDel(old); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("drop what was the gateway: %w", err)
		}
	}
	if err := h.NeighSet(n); err != nil {
		return fmt.Errorf("ask for the gateway: %w", err)
	}
	return nil
}
