package daemon_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/lab"
)

// fiftyThousand sends to as many ends without waiting for anything, and stays.
const fiftyThousand = `
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
all = [socket.socket(type=socket.SOCK_DGRAM) for i in range(500)] # what waits fills a socket's buffer
for i in range(50000):
    all[i % 500].setblocking(False)
    try: all[i % 500].sendto(b'x', (TARGET[0], 1001 + i))
    except OSError: pass
open(HERE + '/flooded', 'w').close()
time.sleep(300)
`

// flood has an undecided program send 50,000 packets, and returns when it is through.
func (s *scene) flood() *lab.Command {
	s.t.Helper()
	c := s.start(python(s.t), s.script("flood.py", fiftyThousand))
	s.eventually("the flood", func() bool { _, err := os.Stat(filepath.Join(s.Dir, "flooded")); return err == nil })
	return c
}

// goesOn wants that the service asks about another program and takes the answer.
func (s *scene) goesOn(when string) {
	s.t.Helper()
	program := s.Home.Program("goes-on")
	run := program.Start(s.t.Context(), "-timeout", "20s", "tcp", s.target.String())
	var p prompt.Prompt
	s.eventually(when+": the prompt", func() bool {
		all, err := s.api.Prompts(s.t.Context())
		if err != nil {
			return false // the service is busy, or not there yet
		}
		for _, p = range all {
			if p.Flow.Process.Path == program.Path && p.State == prompt.Waiting {
				return true
			}
		}
		return false
	})
	s.answer(p, rule.Allow, rule.Once, prompt.DefaultScope(p.Flow))
	if out, err := run.Wait(); err != nil || !out[0].OK {
		s.t.Errorf("%s: %+v, %v", when, out, err)
	}
}

func span(name string, otherwise time.Duration) time.Duration {
	if d, err := time.ParseDuration(os.Getenv(name)); err == nil {
		return d
	}
	return otherwise
}

// While the service stands still, 50,000 packets come: what there is no room for is
// dropped and counted, nothing leaves, and the service goes on where it was. SEKISHO_STILL
// says for how long it stands still.
func TestFloodWhileTheServiceStandsStill(t *testing.T) {
	s := newScene(t)
	allowed := s.Home.Program("allowed")
	s.rule(allowed, rule.Allow, rule.Remote{})
	wire := s.Remote.Wire()
	s.signal(syscall.SIGSTOP)
	began := time.Now()
	c := s.flood()
	s.allowed(allowed, "meanwhile")
	time.Sleep(time.Until(began.Add(span("SEKISHO_STILL", 3*time.Second))))
	s.signal(syscall.SIGCONT)
	s.goesOn("afterwards")
	if n := s.status().Counters.QueueDropped; n < 40_000 {
		t.Errorf("%d packets were dropped by count", n)
	}
	for _, p := range wire.Packets(lab.To(s.target.Addr())) {
		if p.Protocol == flow.UDP {
			t.Errorf("an undecided packet left: %+v", p)
		}
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	s.eventually("the end of what waits", func() bool { return s.status().Waiting == 0 })
}

// Packets that are lost between the kernel and the service (its receive buffer is full) are
// dropped and counted; the service goes on.
func TestReceiveBufferOverflows(t *testing.T) {
	s := newScene(t)
	wire := s.Remote.Wire()
	if n := s.shrinkBuffers(); n < 2 {
		t.Fatalf("%d netlink sockets were found", n)
	}
	s.signal(syscall.SIGSTOP)
	c := s.flood()
	s.signal(syscall.SIGCONT)
	s.goesOn("afterwards")
	if n := s.status().Counters.QueueDropped; n < 45_000 {
		t.Errorf("%d packets were dropped by count: more than a few had room", n)
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if wire.Saw(lab.Datagram(netip.AddrPortFrom(s.target.Addr(), 1001))) {
		t.Error("an undecided packet left")
	}
}

// shrinkBuffers gives the service's netlink sockets the smallest receive buffers there are.
func (s *scene) shrinkBuffers() (n int) {
	s.t.Helper()
	pidfd, err := unix.PidfdOpen(s.service.PID(), 0)
	if err != nil {
		s.t.Fatal(err)
	}
	defer unix.Close(pidfd)
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.service.PID()))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range fds {
		num, err := strconv.Atoi(f.Name())
		if err != nil {
			continue
		}
		fd, err := unix.PidfdGetfd(pidfd, num, 0)
		if err != nil {
			continue
		}
		if p, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL); err == nil && p == unix.NETLINK_NETFILTER {
			if d, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN); err == nil && d == unix.AF_NETLINK {
				if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1); err != nil {
					s.t.Fatal(err)
				}
				n++
			}
		}
		_ = unix.Close(fd)
	}
	return n
}
