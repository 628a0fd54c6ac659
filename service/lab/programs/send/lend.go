package main

import (
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// lent is the descriptor under which a child finds the socket that it was lent.
const lent = 3

var _ = add(map[string]call{
	"lend-udp":     lend(unix.SOCK_DGRAM, 0, 0, false),
	"lend-udplite": lend(unix.SOCK_DGRAM, unix.IPPROTO_UDPLITE, unix.IPPROTO_UDPLITE, false),
	"lend-ping":    lend(unix.SOCK_DGRAM, unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6, false),
	"lend-raw":     lend(unix.SOCK_RAW, unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6, false),
	"share-udp":    lend(unix.SOCK_DGRAM, 0, 0, true),
	"share-ping":   lend(unix.SOCK_DGRAM, unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6, true),
	"share-raw":    lend(unix.SOCK_RAW, unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6, true),
	"borrow":       borrow,
})

// lend makes a socket that it does not use, and has another program use it. With share it
// goes on sending on it meanwhile, as fast as it can.
func lend(kind, protocol4, protocol6 int, share bool) call {
	return func(o options, to []netip.AddrPort) error {
		protocol := protocol4
		if to[0].Addr().Is6() {
			protocol = protocol6
		}
		fd, err := o.open(to[0].Addr(), kind, protocol)
		if err != nil {
			return err
		}
		message, name := o.message(kind, protocol, to[0])
		child := exec.Command(o.heir, "-payload", "evil", "-protocol", strconv.Itoa(protocol), "borrow", to[0].String())
		child.ExtraFiles = []*os.File{os.NewFile(uintptr(fd), "lent")}
		child.Stderr = os.Stderr
		if err := child.Start(); err != nil {
			return at("start", err)
		}
		ended := make(chan error, 1)
		go func() { ended <- child.Wait() }()
		for {
			select {
			case err := <-ended:
				return at("child", err)
			default:
			}
			if !share {
				time.Sleep(10 * time.Millisecond)
				continue
			}
			_ = unix.Sendto(fd, message, unix.MSG_DONTWAIT, sockaddr(name)) // it may be the child's turn
		}
	}
}

// message is what a kind of socket sends, and its destination as the kernel wants it.
func (o options) message(kind, protocol int, to netip.AddrPort) ([]byte, netip.AddrPort) {
	switch {
	case protocol == unix.IPPROTO_ICMP || protocol == unix.IPPROTO_ICMPV6:
		return echoRequest(o.payload, protocol), netip.AddrPortFrom(to.Addr(), 0)
	case kind == unix.SOCK_RAW:
		return o.payload, netip.AddrPortFrom(to.Addr(), 0)
	}
	return o.payload, to
}

// borrow sends a hundred times on the socket that it was given.
func borrow(o options, to []netip.AddrPort) error {
	kind, err := unix.GetsockoptInt(lent, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return at("socket", err)
	}
	message, name := o.message(kind, o.protocol, to[0])
	var last error
	for range 100 {
		if err := unix.Sendto(lent, message, unix.MSG_DONTWAIT, sockaddr(name)); err != nil {
			last = err
		}
		time.Sleep(2 * time.Millisecond)
	}
	return at("send", last)
}
