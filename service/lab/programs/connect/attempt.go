package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// failure says at which stage an attempt failed.
type failure struct {
	stage string
	err   error
}

func (f *failure) Error() string { return f.stage + ": " + f.err.Error() }

func attempt(o options, n int) result {
	r := result{N: n, PID: os.Getpid(), Start: time.Now()}
	err := try(o, &r)
	r.Total = time.Since(r.Start).Nanoseconds()
	var f *failure
	if errors.As(err, &f) {
		r.Stage, r.Error = f.stage, f.err.Error()
		var errno unix.Errno
		if errors.As(f.err, &errno) {
			r.Errno = unix.ErrnoName(errno)
		}
	}
	r.OK = err == nil
	return r
}

func try(o options, r *result) error {
	mode, target, err := resolve(o, r)
	if err != nil {
		return &failure{"lookup", err}
	}
	r.Remote = target.String()
	fd, err := open(mode, target.Addr())
	if err != nil {
		return &failure{"socket", err}
	}
	if o.hold == 0 && !o.exitAtOnce {
		defer unix.Close(fd)
	}
	if mode == "raw" || mode == "udplite" && target.Port() == 0 {
		return nil
	}
	if err := prepare(fd, o, mode, target.Addr()); err != nil {
		return &failure{"bind", err}
	}
	payload := []byte(o.send)
	if mode == "ping" {
		payload = echoRequest(target.Addr())
	}
	to := sockaddr(target)
	began := time.Now()
	if mode == "udp-unconnected" || mode == "ping" {
		err = unix.Sendto(fd, payload, 0, to)
		r.Connect = time.Since(began).Nanoseconds()
		r.Local = localName(fd)
		if err != nil {
			return &failure{"send", err}
		}
		return receive(fd, o, mode, r)
	}
	err = unix.Connect(fd, to)
	if o.exitAtOnce && mode == "tcp" && errors.Is(err, unix.EINPROGRESS) {
		err = nil
	} else if errors.Is(err, unix.EINTR) {
		err = finishConnect(fd)
	}
	r.Connect = time.Since(began).Nanoseconds()
	r.Local = localName(fd)
	if err != nil {
		return &failure{"connect", err}
	}
	if mode == "tcp" && !o.echo {
		return nil
	}
	if err := unix.Send(fd, payload, unix.MSG_NOSIGNAL); err != nil {
		return &failure{"send", err}
	}
	return receive(fd, o, mode, r)
}

// resolve strips "dns+" from the mode and looks the target's name up.
func resolve(o options, r *result) (string, netip.AddrPort, error) {
	mode, lookup := strings.CutPrefix(o.mode, "dns+")
	if !lookup {
		if mode == "ping" || mode == "raw" {
			addr, err := netip.ParseAddr(o.target)
			return mode, netip.AddrPortFrom(addr, 0), err
		}
		target, err := netip.ParseAddrPort(o.target)
		return mode, target, err
	}
	host, port, err := net.SplitHostPort(o.target)
	if err != nil {
		return mode, netip.AddrPort{}, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return mode, netip.AddrPort{}, err
	}
	network := "ip4"
	if o.six {
		network = "ip6"
	}
	began := time.Now()
	resolver := net.DefaultResolver
	if o.server != "" { // a name server of its own, whatever the system uses
		resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(o.server, "53"))
		}}
	}
	addrs, err := resolver.LookupNetIP(context.Background(), network, host)
	r.Lookup = time.Since(began).Nanoseconds()
	if err != nil {
		return mode, netip.AddrPort{}, err
	}
	return mode, netip.AddrPortFrom(addrs[0].Unmap(), uint16(number)), nil
}

func open(mode string, addr netip.Addr) (int, error) {
	family, icmp := unix.AF_INET, unix.IPPROTO_ICMP
	if addr.Is6() {
		family, icmp = unix.AF_INET6, unix.IPPROTO_ICMPV6
	}
	switch mode {
	case "tcp":
		return unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	case "udp", "udp-unconnected":
		return unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	case "ping":
		return unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, icmp)
	case "udplite":
		return unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.IPPROTO_UDPLITE)
	case "raw":
		return unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, icmp)
	}
	return 0, fmt.Errorf("mode %q is not known", mode)
}

func prepare(fd int, o options, mode string, addr netip.Addr) error {
	if o.timeout > 0 {
		t := unix.NsecToTimeval(o.timeout.Nanoseconds())
		// The kernel bounds connect() by the time for sending.
		if err := errors.Join(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &t),
			unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &t)); err != nil {
			return err
		}
	}
	if mode == "tcp" && o.reset {
		if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
			return err
		}
	}
	if o.exitAtOnce {
		if err := unix.SetNonblock(fd, true); err != nil {
			return err
		}
	}
	if o.source == 0 {
		return nil
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	from := netip.IPv4Unspecified()
	if addr.Is6() {
		from = netip.IPv6Unspecified()
	}
	return unix.Bind(fd, sockaddr(netip.AddrPortFrom(from, uint16(o.source))))
}

// finishConnect waits for a connect() that a signal interrupted: it goes on by itself.
func finishConnect(fd int) error {
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, -1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
		if err == nil && code != 0 {
			err = unix.Errno(code)
		}
		return err
	}
}

func receive(fd int, o options, mode string, r *result) error {
	if !o.echo {
		return nil
	}
	reply := make([]byte, 65536)
	for {
		n, _, err := unix.Recvfrom(fd, reply, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return &failure{"receive", err}
		}
		if mode == "ping" {
			r.Reply = fmt.Sprintf("type %d", reply[0])
		} else {
			r.Reply = string(reply[:n])
		}
		return nil
	}
}

// echoRequest is an ICMP echo request; the kernel fills in identifier and checksum.
func echoRequest(to netip.Addr) []byte {
	kind := byte(8)
	if to.Is6() {
		kind = 128
	}
	return []byte{kind, 0, 0, 0, 0, 0, 0, 1, 's', 'e', 'k', 'i', 's', 'h', 'o'}
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

func localName(fd int) string {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return ""
	}
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)).String()
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port)).String()
	}
	return ""
}
