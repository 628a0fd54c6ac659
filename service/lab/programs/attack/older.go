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
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET, 0)
	if err != nil {
		return err
	}
	if err := tell(pair[0], "socket", fd); err != nil {
		return err
	}
	if err := unix.Close(fd); err != nil {
		return err
	}
	if err := o.ready(); err != nil {
		return err
	}
	if _, fd, err = hear(pair[1]); err != nil {
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
