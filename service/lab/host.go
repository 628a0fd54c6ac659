package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
)

// LinkName is the network link of every host.
const LinkName = "eth0"

// Host is one machine of a lab. Its methods may be called from any goroutine unless
// they say otherwise.
type Host struct {
	Name         string
	Addr4, Addr6 netip.Addr

	lab    *Lab
	number int
	ns     *namespace
	resolv string // the file that its programs see as /etc/resolv.conf
	hosts  string
}

func (l *Lab) addHost(name string) (*Host, error) {
	number := len(l.hosts) + 1
	h := &Host{Name: name, lab: l, number: number,
		Addr4: netip.AddrFrom4([4]byte{10, 99, byte(l.network), byte(number)}),
		Addr6: netip.MustParseAddr(fmt.Sprintf("fd99:%x::%x", l.network, number)),
	}
	var err error
	if h.ns, err = newNamespace(); err != nil {
		return nil, err
	}
	l.onClose(func() error { h.ns.close(); return nil })
	if err := h.plug(l.bridge); err != nil {
		return nil, err
	}
	if err := h.furnish(); err != nil {
		return nil, err
	}
	l.hosts = append(l.hosts, h)
	return h, nil
}

// AddAddress gives the host one more address. Those outside the lab's own network are
// reached from Home if the host is Remote. It is called by the test's goroutine.
func (h *Host) AddAddress(addr string) netip.Addr {
	h.lab.t.Helper()
	a, err := netip.ParseAddr(addr)
	if err == nil {
		err = h.addPrefix(netip.PrefixFrom(a, a.BitLen()))
	}
	if err != nil {
		h.lab.t.Fatalf("host %s: add address: %v", h.Name, err)
	}
	return a
}

// Do runs f on a thread in the host's network namespace and returns its error. Sockets
// that f opens belong to the host for good; goroutines that f starts do not run there.
// The mounts are the machine's. f must not call t.Fatal.
func (h *Host) Do(f func() error) error { return h.ns.visit(f) }

// NetNS is a path of the host's network namespace, for nsenter --net. It is good
// while the lab is open.
func (h *Host) NetNS() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), int(h.ns.net)) }

// NetNSFd is the open network namespace. It is closed with the lab.
func (h *Host) NetNSFd() int { return int(h.ns.net) }

// Dial connects from the host to an address and port; names are not looked up.
func (h *Host) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if _, err := netip.ParseAddrPort(address); err != nil {
		return nil, fmt.Errorf("dial %s: want an address and a port: %w", address, err)
	}
	var c net.Conn
	err := h.Do(func() (err error) {
		c, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return c, err
}

// Listen accepts connections on the host.
func (h *Host) Listen(network, address string) (net.Listener, error) {
	var l net.Listener
	err := h.Do(func() (err error) {
		l, err = new(net.ListenConfig).Listen(context.Background(), network, address)
		return err
	})
	return l, err
}

// ListenPacket receives datagrams on the host.
func (h *Host) ListenPacket(network, address string) (net.PacketConn, error) {
	var c net.PacketConn
	err := h.Do(func() (err error) {
		c, err = new(net.ListenConfig).ListenPacket(context.Background(), network, address)
		return err
	})
	return c, err
}

// Sysctl sets one of the host's own settings, such as "net.ipv4.tcp_syncookies".
func (h *Host) Sysctl(name, value string) error {
	return h.Do(func() error {
		return os.WriteFile("/proc/sys/"+strings.ReplaceAll(name, ".", "/"), []byte(value), 0)
	})
}

// SetResolv replaces the host's resolv.conf.
func (h *Host) SetResolv(content string) error {
	// Written in place: a bind mount shows the file, not its name.
	return os.WriteFile(h.resolv, []byte(content), 0o644)
}

// SetHosts replaces the host's /etc/hosts.
func (h *Host) SetHosts(content string) error {
	return os.WriteFile(h.hosts, []byte(content), 0o644)
}

func (h *Host) resolveWith(server *Host) error {
	return h.SetResolv(fmt.Sprintf("nameserver %s\nnameserver %s\noptions timeout:5 attempts:2\n", server.Addr4, server.Addr6))
}
