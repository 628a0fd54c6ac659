package daemon_test

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/app/flow"
	"sekisho/app/rule"
	"sekisho/service/lab"
)

// What there is no room to ask about is refused once: it does not go round.
func TestForwardedRefusedOnce(t *testing.T) {
	s := newForwardScene(t)
	const n = 200 // more than wait
	for i := range n {
		to := netip.AddrPortFrom(s.Remote.Addr4, uint16(2000+i))
		if err := s.inner.Do(func() error {
			c, err := net.Dial("udp", to.String())
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = c.Write([]byte("x"))
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	s.eventually("all of it in the queue", func() bool { return s.status().Counters.Queued >= n })
	before := s.status().Counters.Queued
	time.Sleep(300 * time.Millisecond)
	if now := s.status().Counters.Queued; now > before+n {
		t.Errorf("%d packets in the queue, %d a moment later", before, now)
	}
}

// A connection that goes on is one flow, however often the rules change.
func TestForwardedIsOneFlow(t *testing.T) {
	s := newForwardScene(t)
	to := netip.AddrPortFrom(s.Remote.Addr4, 7)
	s.allow(rule.Rule{Program: rule.Program{Path: flow.ForwardedPath}, Remote: rule.Remote{Address: to.Addr()}})
	var c net.Conn
	if err := s.inner.Do(func() (err error) { c, err = net.DialTimeout("tcp", to.String(), 5*time.Second); return err }); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	says := func() {
		t.Helper()
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := c.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
	}
	says()
	for i := range 5 {
		s.block(rule.Rule{Program: rule.Program{Path: flow.ForwardedPath}, Remote: rule.Remote{Address: netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})}})
		says()
	}
	s.eventually("it is in the history", func() bool { return len(s.history(flow.ForwardedPath)) > 0 })
	if all := s.history(flow.ForwardedPath); len(all) != 1 {
		t.Errorf("%d flows: %+v", len(all), all)
	}
}

// A segment of a connection that nobody let begin is undecided, too.
func TestForwardedBeginsNothing(t *testing.T) {
	s := newForwardScene(t)
	to := s.Remote.Addr4
	b := make([]byte, 20+4)
	b[0], b[1], b[2], b[3] = 0x30, 0x39, 0, 7 // 12345 to 7
	b[7], b[11], b[12], b[13], b[14] = 1, 1, 0x50, 0x18, 0xff
	copy(b[20:], "evil")
	send := func() {
		s.wire.Forget()
		if err := s.inner.Do(func() error {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_TCP)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			return unix.Sendto(fd, b, 0, &unix.SockaddrInet4{Addr: to.As4()})
		}); err != nil {
			t.Fatal(err)
		}
	}
	send()
	p := s.prompts(1)[0]
	if p.Flow.Process.Path != flow.ForwardedPath || s.wire.Saw(lab.To(to)) {
		t.Errorf("asked about %s, on the wire: %v", p.Flow.Process.Path, s.wire.Saw(lab.To(to)))
	}
	s.answer(p, rule.Block, rule.Once, p.Scopes[0])
	s.allow(rule.Rule{Program: rule.Program{Path: flow.ForwardedPath}})
	send()
	s.eventually("it passes when it is allowed", func() bool { return s.wire.Saw(lab.To(to)) })
}
