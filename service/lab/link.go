package lab

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	bridgeName = "br0"
	// noAutomaticAddress is IN6_ADDR_GEN_MODE_NONE: no link-local address, and so nothing
	// that the kernel itself sends when a link comes up.
	noAutomaticAddress = 1
)

// makeBridge puts the bridge that joins the hosts into a namespace of its own.
func makeBridge(ns *namespace) error {
	h, err := ns.links()
	if err != nil {
		return err
	}
	defer h.Close()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = bridgeName
	snooping := false // nobody asks who listens here: flood multicasts
	bridge := &netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &snooping}
	if err := h.LinkAdd(bridge); err != nil {
		return fmt.Errorf("add bridge: %w", err)
	}
	if err := h.LinkSetIP6AddrGenMode(bridge, noAutomaticAddress); err != nil {
		return fmt.Errorf("keep bridge silent: %w", err)
	}
	if err := h.LinkSetUp(bridge); err != nil {
		return fmt.Errorf("set bridge up: %w", err)
	}
	return nil
}

// plug joins a host's eth0 to the bridge and gives it its addresses.
func (h *Host) plug(bridge *namespace) error {
	links, err := h.ns.links()
	if err != nil {
		return err
	}
	defer links.Close()
	peer := fmt.Sprintf("port%d", h.number)
	attrs := netlink.NewLinkAttrs()
	attrs.Name = LinkName
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: peer, PeerNamespace: netlink.NsFd(bridge.net)}
	if err := links.LinkAdd(veth); err != nil {
		return fmt.Errorf("add veth: %w", err)
	}
	if err := plugPeer(bridge, peer); err != nil {
		return err
	}
	if err := links.LinkSetIP6AddrGenMode(veth, noAutomaticAddress); err != nil {
		return fmt.Errorf("keep %s silent: %w", LinkName, err)
	}
	for _, name := range []string{"lo", LinkName} {
		link, err := links.LinkByName(name)
		if err != nil {
			return fmt.Errorf("find %s: %w", name, err)
		}
		if err := links.LinkSetUp(link); err != nil {
			return fmt.Errorf("set %s up: %w", name, err)
		}
	}
	for _, p := range []netip.Prefix{netip.PrefixFrom(h.Addr4, 24), netip.PrefixFrom(h.Addr6, 64)} {
		if err := h.addPrefix(p); err != nil {
			return err
		}
	}
	return nil
}

func plugPeer(bridge *namespace, name string) error {
	h, err := bridge.links()
	if err != nil {
		return err
	}
	defer h.Close()
	port, err := h.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find %s: %w", name, err)
	}
	br, err := h.LinkByName(bridgeName)
	if err != nil {
		return fmt.Errorf("find bridge: %w", err)
	}
	if err := h.LinkSetMaster(port, br); err != nil {
		return fmt.Errorf("plug %s in: %w", name, err)
	}
	if err := h.LinkSetIP6AddrGenMode(port, noAutomaticAddress); err != nil {
		return fmt.Errorf("keep %s silent: %w", name, err)
	}
	if err := h.LinkSetUp(port); err != nil {
		return fmt.Errorf("set %s up: %w", name, err)
	}
	return nil
}

func (h *Host) addPrefix(p netip.Prefix) error {
	links, err := h.ns.links()
	if err != nil {
		return err
	}
	defer links.Close()
	link, err := links.LinkByName(LinkName)
	if err != nil {
		return fmt.Errorf("find %s: %w", LinkName, err)
	}
	addr := &netlink.Addr{IPNet: ipNet(p)}
	if p.Addr().Is6() {
		addr.Flags = unix.IFA_F_NODAD // usable at once
	}
	if err := links.AddrAdd(link, addr); err != nil {
		return fmt.Errorf("add address %s: %w", p, err)
	}
	return nil
}

// routeThrough makes gateway the next hop to every address that is not on the lab's
// own network.
func (h *Host) routeThrough(gateway *Host) error {
	links, err := h.ns.links()
	if err != nil {
		return err
	}
	defer links.Close()
	link, err := links.LinkByName(LinkName)
	if err != nil {
		return fmt.Errorf("find %s: %w", LinkName, err)
	}
	for _, to := range []struct{ all, via netip.Addr }{
		{netip.IPv4Unspecified(), gateway.Addr4},
		{netip.IPv6Unspecified(), gateway.Addr6},
	} {
		route := &netlink.Route{
			LinkIndex: link.Attrs().Index,
			Dst:       ipNet(netip.PrefixFrom(to.all, 0)),
			Gw:        to.via.AsSlice(),
		}
		if err := links.RouteAdd(route); err != nil {
			return fmt.Errorf("add route through %s: %w", to.via, err)
		}
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
