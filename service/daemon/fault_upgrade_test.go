package daemon_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"sekisho/app/rule"
	"sekisho/service/bpf"
	"sekisho/service/lab"
)

// otherLayout puts a map of another layout in the place of one of the service's, as another
// version of it would have left it.
func (s *scene) otherLayout(name string) {
	s.t.Helper()
	// Somebody who sees the same mounts.
	c := s.Home.Command(s.t.Context(), "sleep", "60")
	if err := c.Start(); err != nil {
		s.t.Fatal(err)
	}
	file := filepath.Join("/proc", fmt.Sprint(c.Process.Pid), "root", bpf.Pins(bpf.Tag(s.service.State)), name)
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Hash, KeySize: 8, ValueSize: 8, MaxEntries: 16, Flags: 1})
	if err == nil {
		defer m.Close()
		err = os.Remove(file)
	}
	if err == nil {
		err = m.Pin(file)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// A version whose maps look otherwise begins them anew: sockets that are open meanwhile
// stay their programs', and nothing undecided leaves.
func TestUpgradeToOtherMaps(t *testing.T) {
	s := newScene(t)
	file := s.script("open.py",
		"u = socket.socket(type=socket.SOCK_DGRAM)\nc = socket.create_connection(TARGET)\nwhile True:\n    u.sendto(b'x', (TARGET[0], 1234))\n    c.send(b'x')\n    time.sleep(0.02)\n")
	// Of the interpreter, but not to where the undecided sender sends.
	if _, err := s.api.AddRule(t.Context(), rule.Rule{Enabled: true, Action: rule.Allow, Program: rule.Program{Path: python(t)}, Remote: rule.Remote{Address: s.target.Addr()}}, 0); err != nil {
		t.Fatal(err)
	}
	wire := s.Remote.Wire()
	open := s.start(python(t), file)
	datagram := lab.To(s.target.Addr()).From(s.Home.Addr4)
	since := time.Now()
	l, _ := s.undecidedSender()
	sends := func(when string) {
		t.Helper()
		wire.Forget()
		s.eventually(when+": datagrams of the socket that was open", func() bool {
			n := 0
			for _, p := range wire.Packets(datagram) {
				if p.Dst.Port() == 1234 {
					n++
				}
			}
			return n > 10
		})
	}
	sends("before")
	s.service.Kill()
	s.otherLayout("sockets")
	s.service.Start()
	sends("after")
	l.none(since, "upgraded")
	if n := s.status().Counters.Unattributed; n > 0 && s.problem("not known") {
		t.Errorf("%d flows are nobody's", n)
	}
	if err := open.Process.Kill(); err != nil {
		t.Fatal(err)
	}
}
