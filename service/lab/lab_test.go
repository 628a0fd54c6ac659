package lab

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestHostsReachOneAnother(t *testing.T) {
	l := New(t)
	third := l.AddHost("third")
	public := []netip.Addr{l.Remote.AddAddress("203.0.113.7"), l.Remote.AddAddress("2001:db8::7")}
	echo := l.Remote.ServeEcho(7)
	for _, from := range []*Host{l.Home, third} {
		for _, to := range append(public, l.Remote.Addr4, l.Remote.Addr6) {
			for _, network := range []string{"tcp", "udp"} {
				t.Run(fmt.Sprintf("%s %s %s", from.Name, network, to), func(t *testing.T) {
					checkEcho(t, from, network, netip.AddrPortFrom(to, 7))
				})
			}
		}
	}
	if tcp, udp := echo.Count("tcp"), echo.Count("udp"); tcp != 8 || udp != 8 {
		t.Errorf("arrivals: %d over TCP, %d over UDP, want 8 and 8", tcp, udp)
	}
	for _, a := range echo.Arrivals() {
		if !a.From.IsValid() || !a.To.IsValid() || a.To.Port() != 7 {
			t.Errorf("arrival without an end: %+v", a)
		}
	}
}

func checkEcho(t *testing.T, from *Host, network string, to netip.AddrPort) {
	c, err := from.Dial(t.Context(), network, to.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "hello" {
		t.Errorf("echo: got %q, %v", got, err)
	}
}

func TestNamesComeFromTheLab(t *testing.T) {
	l := New(t)
	l.DNS.Set("example.lab", netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("2001:db8::7"))
	l.DNS.Alias("www.example.lab", "example.lab")
	for _, c := range []struct{ database, name, want string }{
		{"ahostsv4", "example.lab", "203.0.113.7"},
		{"ahostsv6", "example.lab", "2001:db8::7"},
		{"ahostsv4", "www.example.lab", "203.0.113.7"},
		{"hosts", "localhost", "::1"},
	} {
		out, err := l.Home.Command(t.Context(), "getent", c.database, c.name).Output()
		if err != nil || !strings.HasPrefix(string(out), c.want) {
			t.Errorf("getent %s %s: %q, %v; want %s", c.database, c.name, out, err, c.want)
		}
	}
	if out, err := l.Home.Command(t.Context(), "getent", "hosts", "nowhere.lab").Output(); err == nil {
		t.Errorf("nowhere.lab has an address: %s", out)
	}
	l.DNS.Delay("example.lab", 150*time.Millisecond)
	began := time.Now()
	if _, err := l.Home.Command(t.Context(), "getent", "ahostsv4", "example.lab").Output(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 150*time.Millisecond {
		t.Errorf("the delayed answer came after %v", took)
	}
	if q := l.DNS.Queries("example.lab"); len(q) == 0 || q[0].From.Addr() != l.Home.Addr4 {
		t.Errorf("queries: %v, want some from %s", q, l.Home.Addr4)
	}
	if machine, err := os.ReadFile("/etc/resolv.conf"); err == nil && strings.Contains(string(machine), l.Remote.Addr4.String()) {
		t.Error("the lab's resolv.conf is the machine's")
	}
}

func TestWebWithCurl(t *testing.T) {
	l := New(t)
	web := l.Remote.ServeWeb(80)
	l.DNS.Set("example.lab", l.Remote.Addr4)
	out, err := l.Home.Command(t.Context(), "curl", "-sS", "http://example.lab/").Filtered().As(65534, 65534).Output()
	if err != nil || string(out) != web.Page {
		t.Errorf("curl: %q, %v", out, err)
	}
	if n := web.Count("tcp"); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

func TestWireSeesWhatLeaves(t *testing.T) {
	l := New(t)
	wire := l.Remote.Wire()
	l.Remote.ServeEcho(7)
	to := netip.AddrPortFrom(l.Remote.Addr4, 7)
	if wire.Saw(SYN(to)) {
		t.Error("a SYN before anybody connects")
	}
	before := time.Now()
	checkEcho(t, l.Home, "tcp", to)
	checkEcho(t, l.Home, "udp", to)
	syn, err := wire.Await(t.Context(), SYN(to).From(l.Home.Addr4))
	if err != nil {
		t.Fatal(err)
	}
	if syn.Leaving || syn.Time.Before(before) || syn.Time.After(time.Now()) {
		t.Errorf("SYN: %+v", syn)
	}
	if n := len(wire.Packets(SYN(to).FromPort(syn.Src.Port()))); n != 1 {
		t.Errorf("%d SYNs, want 1", n)
	}
	datagram, err := wire.Await(t.Context(), Datagram(to))
	if err != nil || string(datagram.Payload) != "hello" {
		t.Errorf("datagram: %+v, %v", datagram, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if p, err := wire.Await(ctx, Datagram(netip.AddrPortFrom(l.Remote.Addr4, 9))); err == nil {
		t.Errorf("a packet that nobody sent: %+v", p)
	}
	if wire.Lost() != 0 {
		t.Errorf("%d packets were not recorded", wire.Lost())
	}
	wire.Forget()
	if wire.Saw(SYN(to)) {
		t.Error("a forgotten packet is back")
	}
}

func TestDoLeavesTheMachineAlone(t *testing.T) {
	l := New(t)
	err := l.Home.Do(func() error {
		if _, err := net.InterfaceByName(LinkName); err != nil {
			return err
		}
		return l.Home.Sysctl("net.ipv4.tcp_syncookies", "0")
	})
	if err != nil {
		t.Fatal(err)
	}
	links, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if strings.HasPrefix(link.Name, "port") || link.Name == bridgeName {
			t.Errorf("link %s on the machine", link.Name)
		}
	}
}
