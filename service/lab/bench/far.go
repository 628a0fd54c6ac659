package main

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"sekisho/service/lab"
)

// The remote host's ports.
const (
	port         = 7000 // TCP: connections are completed and not read
	echoPort     = 7001 // UDP: comes back
	sinkPort     = 7002 // TCP: read to its end
	sourcePort   = 7003 // TCP: sends streamBytes
	discardPort  = 7004 // UDP: not read
	streamBytes  = 192 << 20
	waitingLimit = 120_000 // connections that are completed and not accepted
)

// far is what answers on the remote host. Its connections at port are completed by the
// kernel alone: no program wakes up and disturbs what is measured.
type far struct {
	host    *lab.Host
	waiting int // listening socket
	discard int
	closers []io.Closer
	served  sync.WaitGroup
}

func newFar(h *lab.Host) (*far, error) {
	f := &far{host: h, waiting: -1, discard: -1}
	// More connections wait than the backlog of any usual server.
	err := errors.Join(h.Sysctl("net.core.somaxconn", strconv.Itoa(waitingLimit)), h.Sysctl("net.ipv4.tcp_max_syn_backlog", strconv.Itoa(waitingLimit)))
	if err != nil {
		return f, err
	}
	err = h.Do(func() (err error) {
		if err := answerFor(everywhere); err != nil {
			return err
		}
		if f.waiting, err = open(unix.SOCK_STREAM, port); err != nil {
			return err
		}
		if err := unix.Listen(f.waiting, waitingLimit); err != nil {
			return err
		}
		f.discard, err = open(unix.SOCK_DGRAM, discardPort)
		return err
	})
	if err != nil {
		return f, err
	}
	echo, err := h.ListenPacket("udp", ":"+strconv.Itoa(echoPort))
	if err != nil {
		return f, err
	}
	f.closers = append(f.closers, echo)
	f.served.Go(func() { answerAll(echo.(*net.UDPConn)) })
	for p, serve := range map[int]func(net.Conn) error{sinkPort: sink, sourcePort: source} {
		l, err := h.Listen("tcp", ":"+strconv.Itoa(p))
		if err != nil {
			return f, err
		}
		f.closers = append(f.closers, l)
		f.served.Go(func() { f.accept(l, serve) })
	}
	return f, nil
}

func (f *far) close() {
	for _, c := range f.closers {
		_ = c.Close()
	}
	f.served.Wait()
	for _, fd := range []int{f.waiting, f.discard} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}

// answerFor makes every address of a network the own host's.
func answerFor(p netip.Prefix) error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	_, network, err := net.ParseCIDR(p.String())
	if err != nil {
		return err
	}
	return netlink.RouteAdd(&netlink.Route{LinkIndex: lo.Attrs().Index, Dst: network, Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST})
}

// open opens a socket on a port, for IPv6 and IPv4.
func open(kind, port int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET6, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	err = errors.Join(unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0),
		unix.Bind(fd, &unix.SockaddrInet6{Port: port}))
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// answerAll sends datagrams back. The system calls are made directly: a reader that parks
// in Go's poller first would be a part of what is measured.
func answerAll(c *net.UDPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	b := make([]byte, 2048)
	_ = raw.Read(func(fd uintptr) bool {
		for {
			n, from, err := unix.Recvfrom(int(fd), b, 0)
			if errors.Is(err, unix.EAGAIN) {
				return false // until there is one, or the socket is closed
			}
			if err == nil {
				_ = unix.Sendto(int(fd), b[:n], 0, from) // who asked may be gone
			}
		}
	})
}

func (f *far) accept(l net.Listener, serve func(net.Conn) error) {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		_ = serve(c) // one at a time; the program that connected sees what went wrong
		_ = c.Close()
	}
}

func sink(c net.Conn) error {
	b := make([]byte, 256<<10)
	for {
		if _, err := c.Read(b); err != nil {
			return err
		}
	}
}

func source(c net.Conn) error {
	b := make([]byte, 128<<10)
	for left := streamBytes; left > 0; {
		n, err := c.Write(b[:min(left, len(b))])
		if err != nil {
			return err
		}
		left -= n
	}
	return nil
}

// clear accepts and closes what waits, and says how many connections that were.
func (f *far) clear() (n int, err error) {
	for {
		fd, _, err := unix.Accept4(f.waiting, unix.SOCK_CLOEXEC)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return n, nil
		case errors.Is(err, unix.ECONNABORTED), errors.Is(err, unix.EINTR):
		case err != nil:
			return n, err
		default:
			n++
			_ = unix.Close(fd)
		}
	}
}

// arrived counts the datagrams that came to discardPort since it was last asked: those
// that wait there, which are thrown away, and those that had no room.
func (f *far) arrived(since *udpCounts) (int, error) {
	waiting := 0
	b := make([]byte, 1)
	for {
		_, _, err := unix.Recvfrom(f.discard, b, unix.MSG_TRUNC)
		if errors.Is(err, unix.EAGAIN) {
			break
		}
		if err != nil {
			return 0, err
		}
		waiting++
	}
	now, err := f.counts()
	if err != nil {
		return 0, err
	}
	n := waiting + now.noRoom - since.noRoom
	*since = now
	return n, nil
}

// udpCounts are the remote host's own figures.
type udpCounts struct{ noRoom int }

func (f *far) counts() (c udpCounts, err error) {
	err = f.host.Do(func() error {
		b, err := os.ReadFile("/proc/thread-self/net/snmp")
		if err != nil {
			return err
		}
		var names []string
		for line := range strings.Lines(string(b)) {
			field := strings.Fields(line)
			if len(field) == 0 || field[0] != "Udp:" {
				continue
			}
			if names == nil {
				names = field
				continue
			}
			for i, name := range names {
				if name == "RcvbufErrors" {
					c.noRoom, err = strconv.Atoi(field[i])
					return err
				}
			}
		}
		return errors.New("no RcvbufErrors in /proc/net/snmp")
	})
	return c, err
}
