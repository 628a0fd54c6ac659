package main

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// passed sends on a socket that the allowed program made: received over a unix socket,
// taken out of its descriptors, or inherited by a child of it.
func passed(o options) error {
	a, err := startAgent(o.good)
	if err != nil {
		return err
	}
	number, _, err := a.do("open", o.kind, o.target.String())
	if err != nil {
		return err
	}
	if o.used {
		if _, _, err := a.do("use", o.kind, o.target.String()); err != nil {
			return err
		}
	}
	if o.how == "child" {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		child := append([]string{"run", self}, o.again("send-on")...)
		if _, _, err = a.do(child...); err != nil || !o.orphan {
			return err
		}
		return a.end()
	}
	fd, err := a.fetch(o.how, strings.TrimPrefix(number, "ok "))
	if err != nil {
		return err
	}
	if o.orphan {
		if err := a.end(); err != nil {
			return err
		}
	}
	if err := o.ready(); err != nil {
		return err
	}
	return send(fd, o.kind, o.target, "evil")
}

// fetch gets the agent's socket.
func (a *agent) fetch(how, number string) (int, error) {
	switch how {
	case "scm":
		_, fd, err := a.do("give")
		return fd, err
	case "pidfd":
		n, err := strconv.Atoi(number)
		if err != nil {
			return 0, err
		}
		pidfd, err := unix.PidfdOpen(a.process.Pid, 0)
		if err != nil {
			return 0, err
		}
		return unix.PidfdGetfd(pidfd, n, 0)
	}
	return 0, errors.New("passed how: " + how)
}

// end has the agent exit and waits until it is gone.
func (a *agent) end() error {
	if _, _, err := a.do("exit"); err != nil {
		return err
	}
	_, err := a.process.Wait()
	return err
}

// shared has the attacker send n times on one socket while allowed processes do so too:
// who is asked for the verdict of a packet must be who sent that packet.
func shared(o options) error {
	fd, err := open(o.kind, o.target)
	if err != nil {
		return err
	}
	var agents []*agent
	for range o.agents {
		a, err := startAgent(o.good, fd)
		if err != nil {
			return err
		}
		agents = append(agents, a)
	}
	var running sync.WaitGroup
	var over atomic.Bool
	errs := make([]error, len(agents))
	for i, a := range agents {
		running.Go(func() {
			for errs[i] == nil && !over.Load() {
				_, _, errs[i] = a.do("loop", o.kind, o.target.String(), strconv.Itoa(o.n/20))
			}
		})
	}
	for range o.n {
		_ = send(fd, o.kind, o.target, "evil") // refused, or the queue is full
	}
	over.Store(true)
	running.Wait()
	return errors.Join(errs...)
}

// corked leaves a datagram half made, for the allowed program to complete.
func corked(o options) error {
	fd, err := open("udp", o.target)
	if err != nil {
		return err
	}
	a, err := startAgent(o.good, fd)
	if err != nil {
		return err
	}
	if err := unix.Sendto(fd, []byte("evil"), unix.MSG_MORE, sockaddr(o.target)); err != nil {
		return err
	}
	_, _, err = a.do("use", "udp", o.target.String())
	return err
}

// twin sends a datagram that begins as the one that the allowed program sends with this
// same plan, from the same port, over IPv6, where no packet has a number. Only its end
// says whose it is.
func twin(o options) error {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet6{Port: sourcePort}); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	end := "evil"
	if self == o.good {
		end = "good"
	}
	to := &unix.SockaddrInet6{Addr: o.target.Addr().As16(), Port: int(o.target.Port())}
	return unix.Sendto(fd, []byte(strings.Repeat("same", 64)+end), 0, to)
}
