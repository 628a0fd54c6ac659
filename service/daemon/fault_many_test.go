package daemon_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sekisho/app/flow"
	"sekisho/app/rule"
	"sekisho/service/lab"
)

// possession is what the service has of the machine.
type possession struct {
	descriptors, threads int
	memory               int // of its own, KiB: a file that is mapped, such as the database, costs nobody any
	entries              map[string]int
}

func (s *scene) possession() possession {
	s.t.Helper()
	p := possession{entries: map[string]int{}}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.service.PID()))
	if err != nil {
		s.t.Fatal(err)
	}
	p.descriptors = len(fds)
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.service.PID()))
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		w := strings.Fields(line)
		switch {
		case len(w) > 1 && w[0] == "Threads:":
			p.threads, err = strconv.Atoi(w[1])
		case len(w) > 1 && w[0] == "RssAnon:":
			p.memory, err = strconv.Atoi(w[1])
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
	for _, name := range []string{"sockets", "programs", "listeners"} {
		m := s.kernelMap(name)
		k, v := make([]byte, m.KeySize()), make([]byte, m.ValueSize())
		for it := m.Iterate(); it.Next(&k, &v); {
			p.entries[name]++
		}
	}
	return p
}

// goroutines ends the service as a person who looks for a fault does, and counts.
func (s *scene) goroutines() int {
	s.t.Helper()
	was := len(s.service.Log())
	s.signal(syscall.SIGQUIT)
	s.eventually("the service's end", func() bool { return !s.service.Running() })
	return strings.Count(s.service.Log()[was:], "\ngoroutine ")
}

// After many connections nothing is left over: no descriptor, goroutine, map entry or
// memory that as many before them did not need. SEKISHO_CONNECTIONS says how many, 100,000
// by hand.
func TestNothingIsLeftOver(t *testing.T) {
	count := 9000
	if n, err := strconv.Atoi(os.Getenv("SEKISHO_CONNECTIONS")); err == nil {
		count = n
	}
	s := newScene(t)
	allowed, exact, blocked := s.Home.Program("allowed"), s.Home.Program("exact"), s.Home.Program("blocked")
	s.rule(allowed, rule.Allow, rule.Remote{})
	s.rule(exact, rule.Allow, rule.Remote{Address: s.target.Addr()})
	s.rule(blocked, rule.Block, rule.Remote{})
	many := func(count int) {
		t.Helper()
		var g sync.WaitGroup
		for _, p := range []*lab.Program{allowed, exact, blocked} {
			g.Go(func() {
				for left := count / 3; left > 0; left -= 2000 {
					if out, err := p.Run(t.Context(), "-count", strconv.Itoa(min(left, 2000)), "-reset", "tcp", s.target.String()); err != nil || len(out) == 0 || out[0].OK == (p == blocked) {
						t.Errorf("%s: %d outcomes, %v", p.Path, len(out), err)
						return
					}
				}
			})
		}
		g.Wait()
	}
	many(count) // what is made once is made
	quiet := func() possession {
		time.Sleep(1500 * time.Millisecond) // it saves once a second
		return s.possession()
	}
	before := quiet()
	many(count)
	after := quiet()
	t.Logf("%d connections: %+v, then %+v", count, before, after)
	if after.descriptors > before.descriptors+2 || after.threads > before.threads+6 {
		t.Error("descriptors or threads are left over")
	}
	for name, n := range after.entries {
		if n > before.entries[name]+3 {
			t.Errorf("%d entries in %s, %d before", n, name, before.entries[name])
		}
	}
	if after.memory > before.memory+8<<10+before.memory/4 {
		t.Errorf("memory grew from %d to %d KiB", before.memory, after.memory)
	}
	n := s.goroutines()
	s.service.Start()
	s.status()
	if fresh := s.goroutines(); n == 0 || n > fresh+4 {
		t.Errorf("%d goroutines, %d in a fresh service", n, fresh)
	}
	s.service.Start()
}

// Ten thousand new connections at once from eight programs, half of them blocked: none
// escapes, and none is taken for another program's.
func TestBurstOfEightPrograms(t *testing.T) {
	s := newScene(t)
	const programs, each = 8, 1250
	var all []*lab.Program
	for i := range programs {
		p := s.Home.Program(fmt.Sprintf("program%d", i))
		action := rule.Allow
		if i%2 == 1 {
			action = rule.Block
		}
		s.rule(p, action, rule.Remote{})
		all = append(all, p)
	}
	wire := s.Remote.Wire()
	outcomes := make([][]lab.Outcome, programs)
	var g sync.WaitGroup
	for i, p := range all {
		g.Go(func() {
			outcomes[i], _ = p.Run(t.Context(), "-count", strconv.Itoa(each), "-reset", "-timeout", "20s", "tcp", s.target.String())
		})
	}
	g.Wait()
	whose := map[string]int{} // ports of programs that may
	for i, list := range outcomes {
		for _, o := range list {
			if o.OK != (i%2 == 0) || !o.OK && o.Errno != "EPERM" {
				t.Fatalf("program %d: %+v", i, o)
			}
			if o.OK {
				whose[o.Local] = i
			}
		}
		if len(list) != each {
			t.Errorf("program %d made %d connections", i, len(list))
		}
	}
	for _, p := range wire.Packets(lab.SYN(s.target)) {
		if _, ok := whose[p.Src.String()]; !ok {
			t.Errorf("%v is nobody's who may", p.Src)
		}
	}
	named := map[string]int{}
	s.eventually("every flow", func() bool {
		clear(named)
		n := 0
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for _, p := range all {
			if err := s.api.Activity(ctx, activityOf(p.Path), func(f flow.Flow) {
				n++
				i := slices.IndexFunc(all, func(p *lab.Program) bool { return p.Path == f.Process.Path })
				if i < 0 || (f.Decision.Verdict == flow.Allow) != (i%2 == 0) {
					t.Errorf("%s: %v", f.Process.Path, f.Decision)
				}
				named[f.Process.Path]++
			}); err != nil {
				return false
			}
		}
		return named[all[0].Path] >= each
	})
	for i := 0; i < programs; i += 2 {
		if n := named[all[i].Path]; n < each || n > 2*each {
			t.Errorf("%d flows of program %d are in the history, of %d", n, i, each)
		}
	}
	if c := s.status().Counters; c.Unattributed > 0 || c.EventsLost > 0 {
		t.Errorf("counters: %+v", c)
	}
}
