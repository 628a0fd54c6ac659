package daemon_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf/link"

	"sekisho/app/rule"
	"sekisho/service/bpf"
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

// Where frames can't be judged at a network device, people are told who can send them, unless
// that program may connect anywhere or isn't one of those that are filtered. Once they can,
// they are refused.
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
	restore := s.breakDevices()
	time.Sleep(1500 * time.Millisecond)
	if s.problem("can send frames") {
		t.Error("a program outside is told of")
	}
	if err := outside.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = outside.Wait()
	wire.Forget()
	inside := s.start(python(t), file)
	s.eventually("a frame", func() bool { return wire.Saw(frame) })
	s.within(2500*time.Millisecond, "the problem", func() bool { return s.problem(python(t) + " can send frames past the firewall.") })
	restore()
	time.Sleep(2500 * time.Millisecond)
	if s.problem("can send frames") {
		t.Error("it is told of still")
	}
	if err := inside.Wait(); err == nil {
		t.Error("frames are not refused")
	}
	s.breakDevices()
	if _, err := s.api.AddRule(t.Context(), rule.Rule{Enabled: true, Action: rule.Allow, Program: rule.Program{Path: python(t)}}, 0); err != nil {
		t.Fatal(err)
	}
	s.start(python(t), file)
	time.Sleep(1500 * time.Millisecond)
	if s.problem("can send frames") {
		t.Error("one that may connect anywhere is told of")
	}
}

// breakDevices takes the service's hooks from the network devices and keeps it from putting
// them back, until restore.
func (s *scene) breakDevices() (restore func()) {
	s.t.Helper()
	pins := s.devicePins()
	restore = func() {
		for _, pin := range pins {
			_ = os.Remove(filepath.Join(pin+"_new", "full"))
			_ = os.Remove(pin + "_new")
		}
	}
	for _, pin := range pins {
		if err := os.MkdirAll(filepath.Join(pin+"_new", "full"), 0o700); err != nil {
			s.t.Fatal(err)
		}
	}
	s.t.Cleanup(restore)
	s.detachDevices()
	return restore
}

func (s *scene) detachDevices() {
	s.t.Helper()
	for _, pin := range s.devicePins() {
		l, err := link.LoadPinnedLink(pin, nil)
		if err != nil {
			s.t.Fatal(err)
		}
		if err := errors.Join(l.Detach(), l.Close()); err != nil {
			s.t.Fatal(err)
		}
	}
}

// devicePins are the files of the hooks at network devices.
func (s *scene) devicePins() []string {
	s.t.Helper()
	dir := filepath.Join("/proc", strconv.Itoa(s.service.PID()), "root", bpf.Pins(bpf.Tag(s.service.State)))
	all, err := filepath.Glob(filepath.Join(dir, "device_*"))
	all = slices.DeleteFunc(all, func(pin string) bool { return strings.HasSuffix(pin, "_new") })
	if err != nil || len(all) == 0 {
		s.t.Fatalf("pins: %q, %v", all, err)
	}
	return all
}
