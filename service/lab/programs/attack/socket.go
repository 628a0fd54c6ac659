package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// sourcePort is what raw datagrams come from.
const sourcePort = 4444

// open makes a socket that a program can lend.
func open(kind string, target netip.AddrPort) (int, error) {
	var fd int
	var err error
	switch kind {
	case "tcp":
		return unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	case "udp", "udp-connected":
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	case "udplite":
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_UDPLITE)
	case "raw":
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_UDP)
	case "ping":
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_ICMP)
	default:
		return 0, fmt.Errorf("kind %q is not known", kind)
	}
	if err != nil {
		return 0, fmt.Errorf("socket: %w", err)
	}
	if kind == "udp-connected" {
		if err := unix.Connect(fd, sockaddr(target)); err != nil {
			return 0, fmt.Errorf("connect: %w", err)
		}
	}
	return fd, nil
}

// send begins something on a socket.
func send(fd int, kind string, target netip.AddrPort, payload string) error {
	b := []byte(payload)
	var err error
	switch kind {
	case "tcp":
		err = unix.Connect(fd, sockaddr(target))
		if errors.Is(err, unix.EINPROGRESS) {
			err = nil
		}
	case "udp-connected":
		err = unix.Send(fd, b, 0)
	case "raw":
		h := binary.BigEndian.AppendUint16(nil, sourcePort)
		h = binary.BigEndian.AppendUint16(h, target.Port())
		h = binary.BigEndian.AppendUint16(h, uint16(8+len(b)))
		err = unix.Sendto(fd, append(append(h, 0, 0), b...), 0, sockaddr(target))
	case "ping":
		err = unix.Sendto(fd, append([]byte{8, 0, 0, 0, 0, 0, 0, 1}, b...), 0, sockaddr(target))
	default:
		err = unix.Sendto(fd, b, 0, sockaddr(target))
	}
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
}

// sendOnly opens a socket and sends on it.
func sendOnly(o options) error {
	fd, err := open(o.kind, o.target)
	if err != nil {
		return err
	}
	if err := o.ready(); err != nil {
		return err
	}
	return send(fd, o.kind, o.target, "evil")
}

// lent is the descriptor at which a program finds the socket that it was given.
const lent = 3

// sendOn sends on a socket that was inherited.
func sendOn(o options) error {
	if err := o.ready(); err != nil {
		return err
	}
	return send(lent, o.kind, o.target, "evil")
}
