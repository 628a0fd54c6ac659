package lab

import (
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"
)

func TestProgramModes(t *testing.T) {
	l := New(t)
	l.Remote.ServeEcho(7)
	l.DNS.Set("example.lab", l.Remote.Addr4, l.Remote.Addr6)
	if err := l.Home.Sysctl("net.ipv4.ping_group_range", "0 1000"); err != nil {
		t.Fatal(err)
	}
	p := l.Home.Program("caller")
	four, six := netip.AddrPortFrom(l.Remote.Addr4, 7).String(), netip.AddrPortFrom(l.Remote.Addr6, 7).String()
	closed := netip.AddrPortFrom(l.Remote.Addr4, 9).String()
	for _, c := range []struct {
		args                []string
		stage, errno, reply string
	}{
		{[]string{"-echo", "tcp", four}, "", "", "hello"},
		{[]string{"-echo", "tcp", six}, "", "", "hello"},
		{[]string{"-echo", "-send", "x", "udp", four}, "", "", "x"},
		{[]string{"-echo", "udp", six}, "", "", "hello"},
		{[]string{"-echo", "udp-unconnected", four}, "", "", "hello"},
		{[]string{"-echo", "udp-unconnected", six}, "", "", "hello"},
		{[]string{"-echo", "dns+tcp", "example.lab:7"}, "", "", "hello"},
		{[]string{"-echo", "-6", "dns+udp", "example.lab:7"}, "", "", "hello"},
		{[]string{"-echo", "ping", l.Remote.Addr4.String()}, "", "", "type 0"},
		{[]string{"-echo", "ping", l.Remote.Addr6.String()}, "", "", "type 129"},
		{[]string{"raw", l.Remote.Addr4.String()}, "", "", ""},
		{[]string{"tcp", closed}, "connect", "ECONNREFUSED", ""},
		{[]string{"-echo", "udp", closed}, "receive", "ECONNREFUSED", ""},
		{[]string{"dns+tcp", "nowhere.lab:7"}, "lookup", "", ""},
		{[]string{"-source", "23456", "-reset", "tcp", four}, "", "", ""},
	} {
		t.Run(fmt.Sprint(c.args), func(t *testing.T) {
			got, err := p.Run(t.Context(), c.args...)
			if err != nil || len(got) != 1 {
				t.Fatalf("%v, %v", got, err)
			}
			o := got[0]
			if o.Stage != c.stage || o.Errno != c.errno || o.Reply != c.reply || o.OK != (c.stage == "") || o.PID == 0 || o.Total <= 0 {
				t.Errorf("got %+v", o)
			}
		})
	}
}

func TestProgramsAreDifferentFiles(t *testing.T) {
	l := New(t)
	inode := map[uint64]string{}
	for _, name := range []string{"one", "two", "two"} {
		p := l.Home.Program(name)
		info, err := os.Stat(p.Path)
		if err != nil {
			t.Fatal(err)
		}
		n := info.Sys().(*syscall.Stat_t).Ino
		if other, ok := inode[n]; ok {
			t.Errorf("%s and %s are one file", p.Path, other)
		}
		inode[n] = p.Path
	}
}

func TestProgramHoldsManyOpen(t *testing.T) {
	l := New(t)
	echo := l.Remote.ServeEcho(7)
	r := l.Home.Program("holder").Start(t.Context(), "-count", "20", "-hold", "1m", "tcp", netip.AddrPortFrom(l.Remote.Addr4, 7).String())
	deadline := time.Now().Add(10 * time.Second)
	for echo.Live() < 20 && time.Now().Before(deadline) {
		time.Sleep(5 * time.Millisecond)
	}
	if n := echo.Live(); n != 20 {
		t.Fatalf("%d connections live, want 20", n)
	}
	if err := r.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-r.Ended()
}

func TestBurst(t *testing.T) {
	l := New(t)
	l.Remote.ServeEcho(7)
	for _, mode := range []string{"tcp", "udp", "udp-unconnected"} {
		wire := l.Remote.Wire()
		to := netip.AddrPortFrom(l.Remote.Addr4, 7)
		got, err := l.Home.Program("burst-"+mode).Burst(t.Context(), 50, 8, 30000, mode, to.String())
		if err != nil || len(got) != 50 {
			t.Fatalf("%d processes, %v", len(got), err)
		}
		for i, s := range got {
			match := Datagram(to)
			if mode == "tcp" {
				match = SYN(to)
			}
			if !s.Exited || s.PID == 0 || int(s.Port) != 30000+i || !wire.Saw(match.FromPort(s.Port)) {
				t.Errorf("%s: %+v did not send", mode, s)
			}
		}
	}
}
