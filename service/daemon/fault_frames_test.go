package daemon_test

import (
	"os"
	"testing"
	"time"

	"sekisho/app/rule"
	"sekisho/service/lab"
)

const sendsFrames = `
import struct
f = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
f.bind(('eth0', 0x0800))
def ip(sum): return struct.pack('>BBHHHBBH', 0x45, 0, 28, 0, 0, 64, 17, sum) + socket.inet_aton('192.0.2.1') + socket.inet_aton(TARGET[0])
sum = sum(struct.unpack('>10H', ip(0)))
sum = ~((sum & 0xffff) + (sum >> 16)) & 0xffff
while True:
    f.send(bytes.fromhex('ffffffffffff0200000000010800') + ip(sum) + bytes.fromhex('1111222200080000'))
    time.sleep(0.05)
`

// What goes out of an AF_PACKET socket meets no hook: people are told who has one, unless
// that program may connect anywhere or isn't one of those that are filtered.
func TestFramesPastTheFirewallAreTold(t *testing.T) {
	s := newScene(t)
	wire := s.Remote.Wire()
	file := s.script("frames.py", sendsFrames)
	outside := s.Home.Command(t.Context(), python(t), file)
	outside.Stderr = os.Stderr
	if err := outside.Start(); err != nil {
		t.Fatal(err)
	}
	frame := lab.To(s.target.Addr())
	s.eventually("a frame", func() bool { return wire.Saw(frame) })
	wire.Forget()
	time.Sleep(1500 * time.Millisecond)
	if s.problem("frames") {
		t.Error("a program outside is told of")
	}
	inside := s.start(python(t), file)
	s.eventually("a frame", func() bool { return wire.Saw(frame) })
	s.within(2500*time.Millisecond, "the problem", func() bool { return s.problem(python(t) + " can send frames past the firewall.") })
	for _, c := range []*lab.Command{inside, outside} {
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait()
	}
	s.within(2500*time.Millisecond, "the end of the problem", func() bool { return !s.problem("frames") })
	if _, err := s.api.AddRule(t.Context(), rule.Rule{Enabled: true, Action: rule.Allow, Program: rule.Program{Path: python(t)}}, 0); err != nil {
		t.Fatal(err)
	}
	s.start(python(t), file)
	time.Sleep(1500 * time.Millisecond)
	if s.problem("frames") {
		t.Error("one that may connect anywhere is told of")
	}
}
