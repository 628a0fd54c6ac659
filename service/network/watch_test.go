package network

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"sekisho/app/flow"
	"sekisho/service/lab"
)

// begins is how long a lab's links may take until they carry something.
const begins = 5 * time.Second

var errNoBus = errors.New("no bus here")

func noBus(context.Context) (*dbus.Conn, error) { return nil, errNoBus }

// started runs a Watcher until the test ends.
func started(t *testing.T, c Config) *Watcher {
	t.Helper()
	w := New(c)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		if len(w.State().Networks) != 0 {
			t.Error("it still knows networks")
		}
	})
	return w
}

func links(t *testing.T, h *lab.Host) *netlink.Handle {
	t.Helper()
	l, err := netlink.NewHandleAt(netns.NsHandle(h.NetNSFd()), unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func hardware(t *testing.T, l *netlink.Handle) (netlink.Link, net.HardwareAddr) {
	t.Helper()
	eth, err := l.LinkByName(lab.LinkName)
	if err != nil {
		t.Fatal(err)
	}
	return eth, eth.Attrs().HardwareAddr
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The kernel's networks, with no NetworkManager: the gateway is found without a packet of
// anybody's, and each change is seen within a second.
func TestWatchTheKernel(t *testing.T) {
	l := lab.New(t)
	home, remote := links(t, l.Home), links(t, l.Remote)
	eth, _ := hardware(t, home)
	router, mac := hardware(t, remote)
	if n, err := home.NeighList(eth.Attrs().Index, netlink.FAMILY_V4); err != nil || len(n) > 0 {
		t.Fatalf("the gateway is known before anybody asked: %+v %v", n, err)
	}
	var mu sync.Mutex
	var seen []State
	w := started(t, Config{Bus: noBus, NetNS: l.Home.NetNSFd(), Known: map[string]string{"gateway:" + mac.String(): flow.NetworkHome},
		Changed: func(s *State) {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, *s)
		}})
	profile := func(want string) func() bool {
		return func() bool { s := w.State(); return len(s.Networks) > 0 && s.Profile() == want }
	}
	within(t, begins, "home is recognised", profile(flow.NetworkHome))
	n := w.State().Networks[0]
	if !n.Known || !n.Weak || !n.Primary || n.Link != lab.LinkName || n.Kind != Wired || n.Gateway != mac.String() {
		t.Errorf("%+v", n)
	}
	if got := w.State().Of(0, l.Home.Addr4, l.Remote.Addr4); got != flow.NetworkHome {
		t.Errorf("a flow to the gateway: %q", got)
	}
	mu.Lock()
	for i := range seen {
		if s := &seen[i]; s.Networks[0].ID == "" && s.Profile() != flow.NetworkPublic {
			t.Errorf("before it was recognised: %+v", s)
		}
	}
	mu.Unlock()

	mu.Lock()
	before := len(seen)
	mu.Unlock()

	// Another network behind the same link: same addresses, another gateway.
	must(t, home.LinkSetDown(eth))
	within(t, time.Second, "the link is down", func() bool { return len(w.State().Networks) == 0 })
	other := net.HardwareAddr{2, 0, 0, 0, 0, 0x99}
	must(t, remote.LinkSetHardwareAddr(router, other))
	plug := func() {
		t.Helper()
		must(t, home.LinkSetUp(eth))
		must(t, home.RouteReplace(&netlink.Route{LinkIndex: eth.Attrs().Index, Gw: l.Remote.Addr4.AsSlice()}))
	}
	plug()
	within(t, time.Second, "another network is recognised as such", func() bool {
		s := w.State()
		return len(s.Networks) == 1 && s.Networks[0].ID == "gateway:"+other.String()
	})
	mu.Lock()
	for i := range seen[before:] {
		if p := seen[before+i].Profile(); p != flow.NetworkPublic {
			t.Errorf("nobody named it, and it is %q: %+v", p, seen[before+i])
		}
	}
	mu.Unlock()
	w.SetKnown(map[string]string{"gateway:" + other.String(): "the cabin"})
	within(t, time.Second, "it is named", profile("the cabin"))

	// A VPN, and a network of this machine's own.
	vpn := openTun(t, l.Home, "tun7")
	tun, err := home.LinkByName("tun7")
	must(t, err)
	guests := bridgeWithGuest(t, home)
	give(t, home, guests, "172.30.0.1/24")
	within(t, time.Second, "guests are recognised", func() bool { return byLink(w.State().Networks, "guests").Kind == Virtual })
	if got := w.State().Of(0, addr("172.30.0.1"), addr("172.30.0.2")); got != "" {
		t.Errorf("guests: %q", got)
	}
	give(t, home, tun, "10.77.0.2/24")
	must(t, home.RouteReplace(&netlink.Route{LinkIndex: tun.Attrs().Index, Dst: ipNet("0.0.0.0/1"), Scope: netlink.SCOPE_LINK}))
	within(t, time.Second, "the VPN is recognised", profile(flow.NetworkVPN))
	state := w.State()
	for _, c := range []struct{ local, remote, want string }{
		{"10.77.0.2", "93.184.0.1", flow.NetworkVPN},
		{l.Home.Addr4.String(), l.Remote.Addr4.String(), "the cabin"},
	} {
		if got := state.Of(0, addr(c.local), addr(c.remote)); got != c.want {
			t.Errorf("%s to %s: %q, want %q", c.local, c.remote, got, c.want)
		}
	}
	if !state.Mixed() {
		t.Error("not mixed")
	}
	must(t, unix.Close(vpn))
	within(t, time.Second, "the VPN is gone", profile("the cabin"))
}

// A gateway that is silent for a while is still the same one; one that changes is not.
func TestSilentGateway(t *testing.T) {
	l := lab.New(t)
	home, remote := links(t, l.Home), links(t, l.Remote)
	eth, _ := hardware(t, home)
	router, mac := hardware(t, remote)
	w := started(t, Config{Bus: noBus, NetNS: l.Home.NetNSFd()})
	is := func(mac net.HardwareAddr) func() bool {
		return func() bool {
			s := w.State()
			return len(s.Networks) == 1 && s.Networks[0].ID == "gateway:"+mac.String()
		}
	}
	within(t, begins, "the gateway is found", is(mac))
	gone := &netlink.Neigh{LinkIndex: eth.Attrs().Index, Family: netlink.FAMILY_V4, IP: l.Remote.Addr4.AsSlice(), State: netlink.NUD_FAILED, HardwareAddr: mac}
	must(t, remote.LinkSetDown(router))
	must(t, home.NeighSet(gone))
	time.Sleep(3 * settle)
	if !is(mac)() {
		t.Errorf("a silent gateway is another network: %+v", w.State())
	}
	other := net.HardwareAddr{2, 0, 0, 0, 0, 0x98}
	gone.State, gone.HardwareAddr = netlink.NUD_REACHABLE, other
	must(t, home.NeighSet(gone))
	within(t, time.Second, "another machine is the gateway", is(other))
}

// A cable that is pulled out and put in elsewhere: the addresses and routes stay, and what
// the gateway was says nothing any more.
func TestPulledCable(t *testing.T) {
	t.Run("for a while", func(t *testing.T) { testPulledCable(t, false) })
	t.Run("for a moment that the kernel doesn't tell of", func(t *testing.T) { testPulledCable(t, true) })
}

func pulled(t *testing.T, w *Watcher) {
	t.Helper()
	within(t, begins, "the cable is pulled", func() bool { return byLink(w.State().Networks, "cable").Link == "" })
}

func testPulledCable(t *testing.T, fast bool) {
	l := lab.New(t)
	home, remote := links(t, l.Home), links(t, l.Remote)
	must(t, home.LinkAdd(&netlink.Veth{LinkAttrs: attrs("cable"), PeerName: "socket", PeerNamespace: netlink.NsFd(l.Remote.NetNSFd())}))
	cable, err := home.LinkByName("cable")
	must(t, err)
	socket, err := remote.LinkByName("socket")
	must(t, err)
	give(t, home, cable, "10.55.0.2/24")
	give(t, remote, socket, "10.55.0.1/24")
	must(t, home.RouteReplace(&netlink.Route{LinkIndex: cable.Attrs().Index, Gw: net.IPv4(10, 55, 0, 1)}))
	mac := socket.Attrs().HardwareAddr
	var mu sync.Mutex
	var profiles []string
	w := started(t, Config{Bus: noBus, NetNS: l.Home.NetNSFd(), Known: map[string]string{"gateway:" + mac.String(): flow.NetworkHome},
		Changed: func(s *State) {
			mu.Lock()
			defer mu.Unlock()
			profiles = append(profiles, byLink(s.Networks, "cable").Profile)
		}})
	within(t, begins, "home is recognised", func() bool { return w.State().Profile() == flow.NetworkHome })
	must(t, remote.LinkSetDown(socket))
	if fast {
		time.Sleep(settle / 5)
	} else {
		pulled(t, w)
	}
	mu.Lock()
	profiles = nil
	mu.Unlock()
	other := net.HardwareAddr{2, 0, 0, 0, 0, 0x97}
	must(t, remote.LinkSetHardwareAddr(socket, other))
	must(t, remote.LinkSetUp(socket))
	within(t, begins, "another network is recognised as such", func() bool {
		return byLink(w.State().Networks, "cable").ID == "gateway:"+other.String()
	})
	mu.Lock()
	defer mu.Unlock()
	if slices.Contains(profiles, flow.NetworkHome) {
		t.Errorf("elsewhere it was home for a while: %q", profiles)
	}
}

func give(t *testing.T, l *netlink.Handle, k netlink.Link, cidr string) {
	t.Helper()
	a, err := netlink.ParseAddr(cidr)
	must(t, err)
	must(t, l.AddrAdd(k, a))
	must(t, l.LinkSetUp(k))
}

// bridgeWithGuest is what a machine makes for a container on it.
func bridgeWithGuest(t *testing.T, l *netlink.Handle) netlink.Link {
	t.Helper()
	must(t, l.LinkAdd(&netlink.Bridge{LinkAttrs: attrs("guests")}))
	must(t, l.LinkAdd(&netlink.Veth{LinkAttrs: attrs("guest0"), PeerName: "guest1"}))
	bridge, err := l.LinkByName("guests")
	must(t, err)
	for _, name := range []string{"guest0", "guest1"} {
		guest, err := l.LinkByName(name)
		must(t, err)
		if name == "guest0" {
			must(t, l.LinkSetMaster(guest, bridge))
		}
		must(t, l.LinkSetUp(guest))
	}
	return bridge
}

func attrs(name string) netlink.LinkAttrs {
	a := netlink.NewLinkAttrs()
	a.Name = name
	return a
}

func ipNet(s string) *net.IPNet {
	_, n, _ := net.ParseCIDR(s)
	return n
}

// openTun makes a tun device, as a VPN program does; it is gone when the file is closed.
func openTun(t *testing.T, h *lab.Host, name string) (fd int) {
	t.Helper()
	must(t, h.Do(func() (err error) {
		if fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0); err != nil {
			return err
		}
		req, err := unix.NewIfreq(name)
		if err != nil {
			return err
		}
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		return unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}))
	return fd
}
