package daemon_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"sekisho/app/api"
	"sekisho/app/rule"
)

// controller makes a control group with a limit and moves the service into it: in cgroup v1
// or v2, whichever has the controller here.
func (s *scene) controller(name, limit, value string) {
	s.t.Helper()
	dir, err := controllerDir(name, s.Filtered)
	if err == nil {
		dir = filepath.Join(dir, filepath.Base(s.Dir)+"-"+name)
		err = os.Mkdir(dir, 0o755)
	}
	if err == nil {
		s.Cleanup(func() { _ = os.Remove(dir) })
		err = os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(s.service.PID())), 0)
	}
	if err == nil {
		file := filepath.Join(dir, name+".max")
		if _, v1 := os.Stat(filepath.Join(dir, limit)); v1 == nil {
			file = filepath.Join(dir, limit)
		}
		err = os.WriteFile(file, []byte(value), 0)
	}
	if err != nil {
		s.t.Fatalf("limit %s: %v", name, err)
	}
}

// controllerDir is where groups with a controller can be made, for programs of the lab.
func controllerDir(name, filtered string) (string, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(mounts)) {
		before, after, _ := strings.Cut(strings.TrimSpace(line), " - ")
		if f, w := strings.Fields(after), strings.Fields(before); len(f) > 2 && len(w) > 4 && f[0] == "cgroup" && strings.Contains(","+f[2]+",", ","+name+",") {
			return w[4], nil
		}
	}
	lab := filepath.Dir(filtered)
	for _, dir := range []string{filepath.Dir(lab), lab} {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+name), 0); err != nil {
			return "", fmt.Errorf("no controller %s: %w", name, err)
		}
	}
	return lab, nil
}

// killedAndBack wants that nothing undecided leaves while the service is gone, and that all
// is well after a restart.
func (s *scene) killedAndBack(l *leaks, since time.Time, keep rule.Rule) {
	s.t.Helper()
	time.Sleep(300 * time.Millisecond)
	l.none(since, "without the service")
	s.service.Start()
	l.none(since, "restarted")
	rules, err := s.api.Rules(s.t.Context())
	if err != nil || len(rules) == 0 || rules[0].ID != keep.ID {
		s.t.Errorf("%d rules after the restart, %v", len(rules), err)
	}
	s.goesOn("restarted")
}

// The kernel ends the service for want of memory: closed, and well again after a restart.
func TestOutOfMemory(t *testing.T) {
	s := newScene(t)
	allowed := s.Home.Program("allowed")
	keep := s.rule(allowed, rule.Allow, rule.Remote{})
	since := time.Now()
	l, _ := s.undecidedSender()
	s.controller("memory", "memory.limit_in_bytes", strconv.Itoa(6<<20))
	// Rules until there is no memory for them.
	for i := 0; s.service.Running(); i++ {
		var rules []rule.Rule
		for n := range 2000 {
			rules = append(rules, rule.Rule{Enabled: true, Action: rule.Block, Lifetime: rule.Lifetime{Kind: rule.Always},
				Program: rule.Program{Path: fmt.Sprintf("/nowhere/%d/%d", i, n)}})
		}
		file, err := rule.WriteFile(rules)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.api.ImportRules(t.Context(), file, false); err != nil && api.CodeOf(err) == api.BadRequest || i > 100 {
			t.Fatalf("the service does not run out of memory: %v", err)
		}
	}
	s.allowed(allowed, "while the service is dead")
	s.killedAndBack(l, since, keep)
}

// No thread can be started any more: whether the service lives or ends, it stays closed.
func TestOutOfThreads(t *testing.T) {
	s := newScene(t)
	allowed := s.Home.Program("allowed")
	keep := s.rule(allowed, rule.Allow, rule.Remote{})
	since := time.Now()
	l, _ := s.undecidedSender()
	s.controller("pids", "pids.max", "1")
	// Many clients that want much at once.
	done := make(chan error, 32)
	for range cap(done) {
		go func() {
			c := api.Dial(s.service.Socket)
			defer c.Close()
			var err error
			for range 20 {
				_, statusErr := c.Status(t.Context())
				err = errors.Join(err, statusErr)
			}
			done <- err
		}()
	}
	for range cap(done) {
		<-done
	}
	s.allowed(allowed, "meanwhile")
	l.none(since, "without threads")
	_ = syscall.Kill(s.service.PID(), syscall.SIGKILL) // it may be about to end by itself
	s.eventually("the end", func() bool { return !s.service.Running() })
	s.killedAndBack(l, since, keep)
}

// With no file descriptor left the service stays closed, does not end, and takes up its
// work when there are some again.
func TestOutOfDescriptors(t *testing.T) {
	s := newScene(t)
	allowed, blocked := s.Home.Program("allowed"), s.Home.Program("blocked")
	s.rule(allowed, rule.Allow, rule.Remote{})
	s.rule(blocked, rule.Block, rule.Remote{})
	since := time.Now()
	l, _ := s.undecidedSender()
	var old unix.Rlimit
	if err := unix.Prlimit(s.service.PID(), unix.RLIMIT_NOFILE, nil, &old); err != nil {
		t.Fatal(err)
	}
	if err := unix.Prlimit(s.service.PID(), unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 64, Max: old.Max}, nil); err != nil {
		t.Fatal(err)
	}
	var clients []*api.Client
	for range 80 {
		c := api.Dial(s.service.Socket)
		clients = append(clients, c)
		go func() { _, _ = c.Status(t.Context()) }()
	}
	run := s.Home.Program("undecided").Start(t.Context(), "-timeout", "1s", "tcp", s.target.String())
	s.allowed(allowed, "meanwhile")
	if out, _ := blocked.Run(t.Context(), "tcp", s.target.String()); len(out) != 1 || out[0].Errno != "EPERM" {
		t.Errorf("blocked: %+v", out)
	}
	s.nft(flush)
	if out, _ := run.Wait(); len(out) != 1 || out[0].OK {
		t.Errorf("undecided: %+v", out)
	}
	l.none(since, "without descriptors")
	if !s.service.Running() {
		t.Fatal("the service has ended")
	}
	for _, c := range clients {
		_ = c.Close()
	}
	if err := unix.Prlimit(s.service.PID(), unix.RLIMIT_NOFILE, &old, nil); err != nil {
		t.Fatal(err)
	}
	s.goesOn("with descriptors again")
	l.none(since, "with descriptors again")
}

// Started with room for 64 file descriptors, which is too few, the service makes itself
// room if it has the right to; else it ends, says why, and everything stays closed.
func TestStartedWithFewDescriptors(t *testing.T) {
	s := newScene(t)
	allowed := s.Home.Program("allowed")
	s.rule(allowed, rule.Allow, rule.Remote{})
	since := time.Now()
	l, _ := s.undecidedSender()
	s.service.Kill()
	s.service.Through("sh", "-c", `ulimit -n 64; exec "$0" "$@"`)
	if err := s.service.TryStart(); err != nil && !strings.Contains(s.service.Log(), "too many open files") {
		t.Errorf("%v\n%s", err, s.service.Log())
	}
	s.allowed(allowed, "with few descriptors")
	l.none(since, "with few descriptors")
	if s.service.Running() {
		s.service.Kill()
	}
	s.service.Through()
	s.service.Start()
	l.none(since, "with enough of them")
	s.goesOn("with enough of them")
}

// With connection tracking on and its table full, new flows are looked at as ever.
func TestConntrackFull(t *testing.T) {
	s := newScene(t)
	allowed, blocked := s.Home.Program("allowed"), s.Home.Program("blocked")
	s.rule(allowed, rule.Allow, rule.Remote{})
	s.rule(blocked, rule.Block, rule.Remote{})
	s.nft(func(c *nftables.Conn, _ *nftables.Table) error {
		other := c.AddTable(&nftables.Table{Name: "other", Family: nftables.TableFamilyINet})
		out := c.AddChain(&nftables.Chain{Name: "output", Table: other, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityFilter})
		c.AddRule(&nftables.Rule{Table: other, Chain: out, Exprs: []expr.Any{
			&expr.Ct{Key: expr.CtKeySTATE, Register: 1}, &expr.Verdict{Kind: expr.VerdictAccept}}})
		return nil
	})
	t.Cleanup(func() {
		s.nft(func(c *nftables.Conn, _ *nftables.Table) error {
			c.DelTable(&nftables.Table{Name: "other", Family: nftables.TableFamilyINet})
			return nil
		})
	})
	since := time.Now()
	l, _ := s.undecidedSender()
	if err := s.Home.Do(fillConntrack); err != nil {
		t.Fatal(err)
	}
	s.allowed(allowed, "full")
	if out, _ := blocked.Run(t.Context(), "tcp", s.target.String()); len(out) != 1 || out[0].Errno != "EPERM" {
		t.Errorf("blocked: %+v", out)
	}
	s.goesOn("full")
	l.none(since, "full")
}

// fillConntrack makes flows, of no program that is filtered, until there is no room for more.
func fillConntrack() error {
	number := func(name string) (int, error) {
		b, err := os.ReadFile("/proc/sys/net/netfilter/" + name)
		if err != nil {
			return 0, err
		}
		return strconv.Atoi(strings.TrimSpace(string(b)))
	}
	room, err := number("nf_conntrack_max")
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	to := unix.SockaddrInet4{Addr: [4]byte{127, 1, 0, 1}}
	for i := range 2 * room {
		to.Addr[2], to.Addr[3], to.Port = byte(i>>16), byte(i>>8), 20000+i&0xff
		if err := unix.Sendto(fd, []byte("x"), unix.MSG_DONTWAIT, &to); err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EPERM) {
			return err
		}
		if i%4096 == 0 {
			if n, err := number("nf_conntrack_count"); err != nil || n >= room-16 {
				return err
			}
		}
	}
	n, err := number("nf_conntrack_count")
	return errors.Join(err, fmt.Errorf("%d flows of %d: conntrack does not get full", n, room))
}
