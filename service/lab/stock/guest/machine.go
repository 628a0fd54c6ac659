package main

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"sekisho/service/lab"
)

// What follows can be tried nowhere else: the whole machine is filtered.

// kernel has the kernel itself be asked, whose answers to ping belong to no program.
func (s *scene) kernel() {
	if !s.ping(s.Remote, 10*time.Second) {
		s.Errorf("by default, the machine does not answer a ping")
	}
	s.ctl("settings", "--preset-off", "kernel")
	defer s.ctl("settings", "--preset-on", "kernel")
	answered := make(chan bool, 1)
	go func() { answered <- s.ping(s.Remote, 3*time.Second) }()
	if p := s.prompt("kernel"); p.Protocol != "icmp" || p.Remote.Address != s.Remote.Addr4 {
		s.Errorf("the prompt: %+v", p)
	}
	if <-answered {
		s.Errorf("it answers a ping before the person did")
	}
	s.rule("--program", "kernel", "--action", "block", "--direction", "both", "--protocol", "icmp")
	if s.ping(s.Remote, 500*time.Millisecond) {
		s.Errorf("it answers a ping against a rule")
	}
	s.rule("--program", "kernel", "--action", "allow", "--direction", "both", "--protocol", "icmp", "--to", s.Remote.Addr4.String())
	if !s.ping(s.Remote, 10*time.Second) {
		s.Errorf("it does not answer a ping that a rule allows")
	}
}

// forwards has a third host reach Remote through Home.
func (s *scene) forwards() {
	inner := s.AddHost("inner")
	far := netip.AddrPortFrom(s.Remote.AddAddress("198.51.100.7"), 7)
	s.must("forward", s.Home.Sysctl("net/ipv4/ip_forward", "1"))
	s.must("join a host to Home", join(s.Home, inner, s.Remote, far.Addr()))
	wire := s.Remote.Wire()
	reached := make(chan error, 1)
	go func() { reached <- dial(inner, far) }()
	p := s.prompt("forwarded")
	if p.Remote.Address != far.Addr() || p.Remote.Port != 7 || p.Protocol != "tcp" {
		s.Errorf("the prompt: %+v", p)
	}
	if wire.Saw(lab.SYN(far)) {
		s.Errorf("it went through before the answer")
	}
	s.answer(p, "allow")
	if err := <-reached; err != nil {
		s.Errorf("allowed: %v", err)
	}
	s.rule("--program", "forwarded", "--action", "block", "--to", far.Addr().String())
	wire.Forget()
	if err := dial(inner, far); !errors.Is(err, syscall.ECONNREFUSED) {
		s.Errorf("blocked by a rule: %v", err)
	}
	if wire.Saw(lab.SYN(far)) {
		s.Errorf("it went through against a rule")
	}
}

func dial(from *lab.Host, to netip.AddrPort) error {
	return from.Do(func() error {
		c, err := net.DialTimeout("tcp", to.String(), 30*time.Second)
		if err != nil {
			return err
		}
		return c.Close()
	})
}

// join makes a link of their own between a gateway and a host behind it, which reaches
// far through the gateway and is reached by remote through it.
func join(gateway, inner, remote *lab.Host, far netip.Addr) error {
	inside, outside := netip.MustParseAddr("10.98.0.2"), netip.MustParseAddr("10.98.0.1")
	g, err := netlink.NewHandleAt(netns.NsHandle(gateway.NetNSFd()), unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer g.Close()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "inside"
	if err := g.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "outside", PeerNamespace: netlink.NsFd(inner.NetNSFd())}); err != nil {
		return err
	}
	i, err := netlink.NewHandleAt(netns.NsHandle(inner.NetNSFd()), unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer i.Close()
	r, err := netlink.NewHandleAt(netns.NsHandle(remote.NetNSFd()), unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer r.Close()
	return errors.Join(up(g, "inside", outside), up(i, "outside", inside), route(i, far, outside), route(r, inside, gateway.Addr4))
}

func up(h *netlink.Handle, name string, addr netip.Addr) error {
	link, err := h.LinkByName(name)
	if err != nil {
		return err
	}
	return errors.Join(h.LinkSetUp(link), h.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(24, 32)}}))
}

func route(h *netlink.Handle, to, through netip.Addr) error {
	return h.RouteAdd(&netlink.Route{Dst: &net.IPNet{IP: to.AsSlice(), Mask: net.CIDRMask(32, 32)}, Gw: through.AsSlice()})
}

// elsewhere has a program connect in another network namespace, as in a container: the
// first time it is refused, as nobody there can hold it, and asked about; the answer is
// for the next time.
func (s *scene) elsewhere() {
	server := s.Home.Serve(s.ctx, "server", "tcp", s.listen().String())
	s.rule("--program", server.Path, "--action", "allow", "--direction", "in")
	program := s.Remote.Program("contained")
	out, _ := program.Run(s.ctx, "tcp", server.Local)
	if len(out) != 1 || out[0].Errno != "EPERM" {
		s.Errorf("undecided: %+v", out)
	}
	s.answer(s.promptOf(program.Path, "waiting", "missed", "ended", "gave-up"), "allow", "--for", "always", "--to", "any")
	if out, err := program.Run(s.ctx, "-echo", "tcp", server.Local); err != nil || slices.ContainsFunc(out, func(o lab.Outcome) bool { return !o.OK }) {
		s.Errorf("allowed: %+v, %v", out, err)
	}
}
