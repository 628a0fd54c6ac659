package daemon_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/lab"
)

// forwardScene is a scene in which Home routes between a host of its own, inner, and
// Remote, and filters that.
type forwardScene struct {
	*scene
	inner *lab.Host
	wire  *lab.Wire
}

func newForwardScene(t *testing.T) *forwardScene {
	t.Helper()
	l := lab.New(t)
	s := &forwardScene{scene: &scene{Lab: l, t: t, echo: l.Remote.ServeEcho(7)}, inner: l.AddHost("inner")}
	err := errors.Join(
		l.Home.Sysctl("net/ipv4/ip_forward", "1"), l.Home.Sysctl("net/ipv6/conf/all/forwarding", "1"),
		s.join("10.98.0.1", "10.98.0.2", l.Home.Addr4, l.Remote.Addr4),
		s.join("fd98::1", "fd98::2", l.Home.Addr6, l.Remote.Addr6),
	)
	if err != nil {
		t.Fatal(err)
	}
	s.service = l.Home.Service(lab.Args("--forwarded"))
	s.api = api.Dial(s.service.Socket)
	t.Cleanup(func() {
		if err := s.api.Close(); err != nil {
			t.Error(err)
		}
	})
	s.wire = l.Remote.Wire()
	return s
}

// join links inner to Home by a wire of their own, at these addresses, and has the way from
// inner to Remote and back go through Home.
func (s *forwardScene) join(home, inner string, gateway, remote netip.Addr) error {
	open := func(h *lab.Host) *netlink.Handle {
		n, err := netlink.NewHandleAt(netns.NsHandle(h.NetNSFd()), unix.NETLINK_ROUTE)
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(n.Close)
		return n
	}
	g, i, r := open(s.Home), open(s.inner), open(s.Remote)
	if _, err := g.LinkByName("inside"); err != nil {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "inside"
		if err := g.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "outside", PeerNamespace: netlink.NsFd(s.inner.NetNSFd())}); err != nil {
			return err
		}
	}
	whole := func(a netip.Addr) *net.IPNet {
		return &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}
	}
	up := func(h *netlink.Handle, name, addr string) error {
		link, err := h.LinkByName(name)
		if err != nil {
			return err
		}
		a := netip.MustParseAddr(addr)
		with := &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen()*3/4, a.BitLen())}}
		if a.Is6() {
			with.Flags = unix.IFA_F_NODAD
		}
		return errors.Join(h.LinkSetUp(link), h.AddrAdd(link, with))
	}
	route := func(h *netlink.Handle, to, through netip.Addr, from net.IP) error {
		return h.RouteAdd(&netlink.Route{Dst: whole(to), Gw: through.AsSlice(), Src: from})
	}
	err := errors.Join(up(g, "inside", home), up(i, "outside", inner))
	if gateway.Is6() { // who asks for a neighbour on behalf of others does so by this address
		err = errors.Join(err, up(g, lab.LinkName, "fe80::1"))
	}
	in := netip.MustParseAddr(inner)
	return errors.Join(err, route(i, remote, netip.MustParseAddr(home), in.AsSlice()), route(r, in, gateway, nil))
}

// dial says something from inner and wants it back.
func (s *forwardScene) dial(network string, to netip.AddrPort, wait time.Duration) <-chan error {
	answer := make(chan error, 1)
	go func() {
		answer <- s.inner.Do(func() error {
			c, err := net.DialTimeout(network, to.String(), wait)
			if err != nil {
				return err
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(wait))
			if _, err := c.Write([]byte("hello")); err != nil {
				return err
			}
			_, err = c.Read(make([]byte, 9))
			return err
		})
	}()
	return answer
}

// What passes through for others is asked about as "forwarded", and held by rules of its own.
func TestForwarded(t *testing.T) {
	for _, network := range []string{"tcp", "udp"} {
		for _, six := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, IPv6 %v", network, six), func(t *testing.T) {
				s := newForwardScene(t)
				to := netip.AddrPortFrom(s.Remote.Addr4, 7)
				if six {
					to = netip.AddrPortFrom(s.Remote.Addr6, 7)
				}
				passed := func() bool { return s.wire.Saw(lab.To(to.Addr())) }
				fails := func(when string) {
					t.Helper()
					s.wire.Forget()
					if err := <-s.dial(network, to, 300*time.Millisecond); err == nil || passed() {
						t.Errorf("%s: %v, on the wire: %v", when, err, passed())
					}
				}
				passes := func(when string) {
					t.Helper()
					if err := <-s.dial(network, to, 5*time.Second); err != nil {
						t.Errorf("%s: %v", when, err)
					}
				}
				s.allow(rule.Rule{}) // any program: what is forwarded is none
				answer := s.dial(network, to, 10*time.Second)
				p := s.prompts(1)[0]
				if f := p.Flow; f.Process.Path != flow.ForwardedPath || f.Remote.Addr != to.Addr() || f.Remote.Port != 7 || f.Protocol.String() != network {
					t.Errorf("asked about %+v of %s", f, f.Process.Path)
				}
				if passed() {
					t.Error("it passed before the answer")
				}
				s.answer(p, rule.Allow, rule.Once, prompt.DefaultScope(p.Flow))
				if err := <-answer; err != nil {
					t.Errorf("allowed by an answer: %v", err)
				}
				all := rule.Program{Path: flow.ForwardedPath}
				r := s.block(rule.Rule{Program: all, Remote: rule.Remote{Address: to.Addr()}})
				fails("blocked")
				s.eventually("what the kernel blocked is shown", func() bool {
					return slices.ContainsFunc(s.history(flow.ForwardedPath), func(f flow.Flow) bool {
						return f.Decision.Verdict == flow.Block && f.Decision.By.ID == r.ID
					})
				})
				s.allow(rule.Rule{Program: all})
				fails("blocked, what else is forwarded is allowed")
				if err := s.api.RemoveRule(t.Context(), r.ID); err != nil {
					t.Fatal(err)
				}
				since := time.Now()
				passes("allowed")
				s.eventually("what the kernel let through is shown", func() bool {
					return slices.ContainsFunc(s.history(flow.ForwardedPath), func(f flow.Flow) bool {
						return f.Time.After(since) && f.Decision.Verdict == flow.Allow && f.Remote.Addr == to.Addr() && f.Remote.Port == 7
					})
				})
				if err := s.api.SetMode(t.Context(), api.ModeLockdown, 0); err != nil {
					t.Fatal(err)
				}
				fails("in lockdown")
				if err := s.api.SetMode(t.Context(), api.ModeAsk, 0); err != nil {
					t.Fatal(err)
				}
				for _, f := range s.history(flow.ForwardedPath) {
					if f.Remote.Addr != to.Addr() {
						t.Errorf("an answer is shown as a flow: %+v", f)
					}
				}
				s.service.Kill()
				passes("allowed, without the service")
			})
		}
	}
}

// A connection that passes through ends when it is forbidden, and goes on when others are.
func TestForwardedEnds(t *testing.T) {
	s := newForwardScene(t)
	to := netip.AddrPortFrom(s.Remote.Addr4, 7)
	all := rule.Program{Path: flow.ForwardedPath}
	s.allow(rule.Rule{Program: all})
	var r rule.Rule
	for _, c := range []struct {
		how    string
		forbid func() error
	}{
		{"nothing", func() error { return nil }},
		{"a new block", func() error {
			r = s.block(rule.Rule{Program: all, Remote: rule.Remote{Address: to.Addr()}})
			return nil
		}},
		{"the other way", func() error { // says nothing of this one
			s.block(rule.Rule{Program: all, Remote: rule.Remote{Address: netip.MustParseAddr("10.98.0.2")}})
			return nil
		}},
		{"lockdown", func() error { return s.api.SetMode(t.Context(), api.ModeLockdown, 0) }},
	} {
		var conn net.Conn
		if err := s.inner.Do(func() (err error) {
			conn, err = net.DialTimeout("tcp", to.String(), 5*time.Second)
			return err
		}); err != nil {
			t.Fatalf("%s: %v", c.how, err)
		}
		says := func() error {
			_ = conn.SetDeadline(time.Now().Add(500 * time.Millisecond))
			if _, err := conn.Write([]byte("hello")); err != nil {
				return err
			}
			_, err := conn.Read(make([]byte, 5))
			return err
		}
		if err := says(); err != nil {
			t.Fatalf("%s: %v", c.how, err)
		}
		if err := c.forbid(); err != nil {
			t.Fatal(err)
		}
		s.wire.Forget()
		err := says()
		goesOn := c.how == "nothing" || c.how == "the other way"
		if (err == nil) != goesOn || s.wire.Saw(lab.To(to.Addr())) != goesOn {
			t.Errorf("%s: %v, on the wire: %v", c.how, err, s.wire.Saw(lab.To(to.Addr())))
		}
		_ = conn.Close()
		if c.how == "a new block" {
			if err := s.api.RemoveRule(t.Context(), r.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
}
