package lab

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Echo sends back what it receives on a port, TCP and UDP, IPv4 and IPv6, on all
// addresses of its host, and lists who came.
type Echo struct {
	arrivals
	Port uint16

	mu    sync.Mutex
	conns map[net.Conn]bool // nil once it is closed
	wg    sync.WaitGroup
}

// ServeEcho starts an echo server on the host. It ends with the lab.
func (h *Host) ServeEcho(port uint16) *Echo {
	h.lab.t.Helper()
	e := &Echo{Port: port, conns: map[net.Conn]bool{}}
	var open []io.Closer
	h.lab.onClose(func() error {
		for _, c := range open {
			_ = c.Close()
		}
		e.closeConns()
		e.wg.Wait()
		return nil
	})
	for _, addr := range []string{fmt.Sprintf("0.0.0.0:%d", port), fmt.Sprintf("[::]:%d", port)} {
		stream, err := h.Listen("tcp"+familyOf(addr), addr)
		if err != nil {
			h.lab.t.Fatalf("serve echo on %s: %v", h.Name, err)
		}
		packets, err := h.ListenPacket("udp"+familyOf(addr), addr)
		if err != nil {
			h.lab.t.Fatalf("serve echo on %s: %v", h.Name, err)
		}
		open = append(open, stream, packets)
		udp := packets.(*net.UDPConn)
		if err := wantDestination(udp, familyOf(addr)); err != nil {
			h.lab.t.Fatalf("serve echo on %s: %v", h.Name, err)
		}
		e.wg.Go(func() { e.accept(stream) })
		e.wg.Go(func() { e.reflect(udp, port) })
	}
	return e
}

func (e *Echo) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // it was reset before it was accepted
		}
		e.add(Arrival{Time: time.Now(), Protocol: "tcp", From: addrPort(c.RemoteAddr()), To: addrPort(c.LocalAddr())})
		e.mu.Lock()
		if e.conns == nil {
			_ = c.Close()
		} else {
			e.conns[c] = true
			e.wg.Go(func() { e.reply(c) })
		}
		e.mu.Unlock()
	}
}

func (e *Echo) reply(c net.Conn) {
	_, _ = io.Copy(c, c)
	_ = c.Close()
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.conns, c)
}

// Live is the number of TCP connections that are open now.
func (e *Echo) Live() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.conns)
}

func (e *Echo) closeConns() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for c := range e.conns {
		_ = c.Close()
	}
	e.conns = nil
}

// reflect sends datagrams back from the very address that they were sent to: the
// control message that tells the destination names the source when it is sent.
func (e *Echo) reflect(c *net.UDPConn, port uint16) {
	payload, control := make([]byte, 65536), make([]byte, 256)
	for {
		n, m, _, from, err := c.ReadMsgUDPAddrPort(payload, control)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an earlier reply was refused
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		e.add(Arrival{Time: time.Now(), Protocol: "udp", From: from, To: netip.AddrPortFrom(destination(control[:m]), port)})
		// Who sent it may be gone by now.
		_, _, _ = c.WriteMsgUDPAddrPort(payload[:n], control[:m], from)
	}
}

// wantDestination has the kernel tell which address a datagram was sent to.
func wantDestination(c *net.UDPConn, family string) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		if family == "4" {
			set = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		} else {
			set = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
		}
	})
	return errors.Join(err, set)
}

func destination(control []byte) netip.Addr {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return netip.Addr{}
	}
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= 12:
			return netip.AddrFrom4([4]byte(m.Data[8:12]))
		case m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= 16:
			return netip.AddrFrom16([16]byte(m.Data[:16]))
		}
	}
	return netip.Addr{}
}
