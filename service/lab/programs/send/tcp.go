package main

import (
	"net/netip"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const ipprotoMPTCP = 262

var _ = add(map[string]call{
	"tcp":                  tcp(0, tcpConnect),
	"tcp-mapped":           tcpMapped,
	"tcp-fastopen":         tcp(0, fastOpen),
	"tcp-fastopen-connect": tcp(0, fastOpenConnect),
	"mptcp":                tcp(ipprotoMPTCP, tcpConnect),
	"mptcp-fastopen":       tcp(ipprotoMPTCP, fastOpen),
	"tcp-unspec":           tcpReconnect,
	"tcp-writev":           tcp(0, after(writev)),
	"tcp-splice":           tcp(0, after(splice)),
	"tcp-vmsplice":         tcp(0, after(vmsplice)),
	"tcp-sendfile":         tcp(0, after(sendfile)),
	"tcp-zerocopy":         tcp(0, after(zerocopy)),
	"tcp-repair":           tcp(0, repair),
	"tcp-until":            tcpUntil,
})

// tcp opens a socket for each destination and uses it.
func tcp(protocol int, use func(o options, fd int, a netip.AddrPort) error) call {
	return func(o options, to []netip.AddrPort) error {
		return each(to, func(a netip.AddrPort) error {
			fd, err := o.open(a.Addr(), unix.SOCK_STREAM, protocol)
			if err != nil {
				return err
			}
			return use(o, fd, a)
		})
	}
}

func tcpConnect(o options, fd int, a netip.AddrPort) error {
	if err := unix.Connect(fd, sockaddr(a)); err != nil {
		return at("connect", err)
	}
	if err := unix.Send(fd, o.payload, unix.MSG_NOSIGNAL); err != nil {
		return at("send", err)
	}
	return echoed(fd)
}

func tcpMapped(o options, to []netip.AddrPort) error {
	return each(to, func(a netip.AddrPort) error {
		fd, err := o.openFamily(unix.AF_INET6, unix.SOCK_STREAM, 0)
		if err != nil {
			return err
		}
		return tcpConnect(o, fd, mapped(a))
	})
}

// fastOpen connects by sending; the second time the first packet bears the payload.
func fastOpen(o options, fd int, a netip.AddrPort) error {
	if err := unix.Sendto(fd, o.payload, unix.MSG_FASTOPEN|unix.MSG_NOSIGNAL, sockaddr(a)); err != nil {
		return at("send", err)
	}
	return echoed(fd)
}

// fastOpenConnect has connect() send nothing if there is a cookie: send() does.
func fastOpenConnect(o options, fd int, a netip.AddrPort) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_FASTOPEN_CONNECT, 1); err != nil {
		return at("options", err)
	}
	return tcpConnect(o, fd, a)
}

// tcpReconnect uses one socket for all destinations.
func tcpReconnect(o options, to []netip.AddrPort) error {
	fd, err := o.open(to[0].Addr(), unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	return each(to, func(a netip.AddrPort) error {
		if err := tcpConnect(o, fd, a); err != nil {
			return err
		}
		return at("disconnect", unspecified(fd))
	})
}

// repair begins a connection without a handshake: the kernel believes that there was one.
func repair(o options, fd int, a netip.AddrPort) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_REPAIR, unix.TCP_REPAIR_ON); err != nil {
		return at("options", err)
	}
	if err := unix.Connect(fd, sockaddr(a)); err != nil {
		return at("connect", err)
	}
	// The kernel asks the other end for its window now.
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_REPAIR, unix.TCP_REPAIR_OFF); err != nil {
		return at("options", err)
	}
	return at("send", unix.Send(fd, o.payload, unix.MSG_NOSIGNAL))
}

// after connects and then sends in another way.
func after(send func(o options, fd int) error) func(options, int, netip.AddrPort) error {
	return func(o options, fd int, a netip.AddrPort) error {
		if err := unix.Connect(fd, sockaddr(a)); err != nil {
			return at("connect", err)
		}
		if err := send(o, fd); err != nil {
			return at("send", err)
		}
		return echoed(fd)
	}
}

func writev(o options, fd int) error {
	_, err := unix.Writev(fd, [][]byte{o.payload, o.payload})
	return err
}

func splice(o options, fd int) error {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	if _, err := unix.Write(pipe[1], o.payload); err != nil {
		return err
	}
	_, err := unix.Splice(pipe[0], nil, fd, nil, len(o.payload), 0)
	return err
}

func vmsplice(o options, fd int) error {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	v := unix.Iovec{Base: unsafe.SliceData(o.payload)}
	v.SetLen(len(o.payload))
	if _, err := unix.Vmsplice(pipe[1], []unix.Iovec{v}, 0); err != nil {
		return err
	}
	_, err := unix.Splice(pipe[0], nil, fd, nil, len(o.payload), 0)
	return err
}

func sendfile(o options, fd int) error {
	f, err := unix.MemfdCreate("payload", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	if _, err := unix.Pwrite(f, o.payload, 0); err != nil {
		return err
	}
	_, err = unix.Sendfile(fd, f, nil, len(o.payload))
	return err
}

func zerocopy(o options, fd int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ZEROCOPY, 1); err != nil {
		return err
	}
	page := make([]byte, os.Getpagesize())
	copy(page, o.payload)
	return unix.Send(fd, page, unix.MSG_ZEROCOPY|unix.MSG_NOSIGNAL)
}

// tcpUntil connects again and again, each time on a socket of its own, for as long as the
// flags say: somebody at the other end does the same.
func tcpUntil(o options, to []netip.AddrPort) error {
	var err error
	for end := time.Now().Add(o.timeout); time.Now().Before(end); {
		var fd int
		if fd, err = o.open(to[0].Addr(), unix.SOCK_STREAM, 0); err != nil {
			return err
		}
		if err = unix.Connect(fd, sockaddr(to[0])); err == nil {
			return at("send", unix.Send(fd, o.payload, unix.MSG_NOSIGNAL))
		}
		_ = unix.Close(fd)
	}
	return at("connect", err)
}
