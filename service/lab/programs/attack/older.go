package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// In linux/tcp.h.
const tcpFastOpenNoCookie = 34

// inFlight leaves a socket on its way between two processes, where no descriptor shows
// it, and takes it out and uses it when it is told to. A TCP socket is connected already,
// but its first segment waits for something to say.
func inFlight(o options) error {
	fd, err := open(o.kind, o.target)
	if err != nil {
		return err
	}
	if o.kind == "tcp" {
		for _, option := range []int{unix.TCP_FASTOPEN_CONNECT, tcpFastOpenNoCookie} {
			if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, option, 1); err != nil {
				return fmt.Errorf("option %d: %w", option, err)
			}
		}
		if err := unix.Connect(fd, sockaddr(o.target)); err != nil {
			return fmt.Errorf("connect: %w", err)
		}
	}
	if fd, err = travel(fd, o); err != nil {
		return err
	}
	if o.kind == "tcp" {
		_, err := unix.Write(fd, []byte("evil"))
		if err == unix.EINPROGRESS {
			err = nil
		}
		return err
	}
	return send(fd, o.kind, o.target, "evil")
}

// travel has a socket in nobody's hands until a line comes on standard input.
func travel(fd int, o options) (int, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET, 0)
	if err != nil {
		return -1, err
	}
	if err := tell(pair[0], "socket", fd); err != nil {
		return -1, err
	}
	if err := unix.Close(fd); err != nil {
		return -1, err
	}
	if err := o.ready(); err != nil {
		return -1, err
	}
	_, fd, err = hear(pair[1])
	return fd, err
}

// hearInFlight tells what came to a socket, bound to the target, while it was on its way.
func hearInFlight(o options) error {
	kind := unix.SOCK_DGRAM
	if o.kind == "tcp" {
		kind = unix.SOCK_STREAM
	}
	fd, err := unix.Socket(unix.AF_INET, kind, 0)
	if err != nil {
		return err
	}
	if err := unix.Bind(fd, sockaddr(o.target)); err != nil {
		return err
	}
	if o.kind == "tcp" {
		if err := unix.Listen(fd, 8); err != nil {
			return err
		}
	}
	if fd, err = travel(fd, o); err != nil {
		return err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return err
	}
	n := 0
	for {
		if o.kind == "tcp" {
			_, _, err = unix.Accept(fd)
		} else {
			_, _, err = unix.Recvfrom(fd, make([]byte, 100), 0)
		}
		if err != nil {
			break
		}
		n++
	}
	fmt.Println("heard", n)
	return nil
}
