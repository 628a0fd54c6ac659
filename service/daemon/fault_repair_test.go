package daemon_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf/link"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"sekisho/app/api"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/bpf"
	"sekisho/service/lab"
)

// nft does something to the nftables of the host that is protected, as its root may.
func (s *scene) nft(do func(*nftables.Conn, *nftables.Table) error) {
	s.t.Helper()
	err := s.Home.Do(func() error {
		c, err := nftables.New()
		if err != nil {
			return err
		}
		err = do(c, &nftables.Table{Name: "sekisho_" + bpf.Tag(s.service.State), Family: nftables.TableFamilyINet})
		return errors.Join(err, c.Flush())
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// layout is what our table looks like: flags, chains and their rules.
func (s *scene) layout() string {
	s.t.Helper()
	var text strings.Builder
	s.nft(func(c *nftables.Conn, ours *nftables.Table) error {
		tables, err := c.ListTablesOfFamily(ours.Family)
		if err != nil {
			return err
		}
		chains, err := c.ListChainsOfTableFamily(ours.Family)
		if err != nil {
			return err
		}
		for _, t := range tables {
			if t.Name == ours.Name {
				fmt.Fprintf(&text, "flags %d\n", t.Flags)
			}
		}
		slices.SortFunc(chains, func(a, b *nftables.Chain) int { return strings.Compare(a.Name, b.Name) })
		for _, ch := range chains {
			if ch.Table.Name != ours.Name {
				continue
			}
			rules, err := c.GetRules(ours, ch)
			if err != nil {
				return err
			}
			fmt.Fprintf(&text, "%s:", ch.Name)
			for _, r := range rules {
				for _, e := range r.Exprs {
					fmt.Fprintf(&text, " %T", e)
				}
				text.WriteString(";")
			}
			text.WriteString("\n")
		}
		return nil
	})
	return text.String()
}

func (s *scene) problem(part string) bool {
	s.t.Helper()
	return slices.ContainsFunc(s.status().Problems, func(p api.Problem) bool { return strings.Contains(p.What, part) })
}

// within wants something sooner than eventually does.
func (s *scene) within(d time.Duration, what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(d); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("%s: not within %v", what, d)
		}
	}
}

func chain(t *nftables.Table, name string) *nftables.Chain {
	return &nftables.Chain{Name: name, Table: t}
}

// Whatever somebody does to our table, it is as it was within a second, and people are told.
func TestTableIsPutBack(t *testing.T) {
	s := newScene(t)
	was := s.layout()
	if strings.Count(was, "\n") < 4 {
		t.Fatalf("the table looks odd:\n%s", was)
	}
	// The watch begins a moment after the service is ready; until then it puts right in silence.
	s.eventually("the watch", func() bool {
		s.nft(func(c *nftables.Conn, _ *nftables.Table) error { c.FlushRuleset(); return nil })
		s.within(time.Second, "the repair", func() bool { return s.layout() == was })
		return s.problem("put back")
	})
	accept := []expr.Any{&expr.Verdict{Kind: expr.VerdictAccept}}
	for name, do := range map[string]func(*nftables.Conn, *nftables.Table) error{
		"ruleset flushed": func(c *nftables.Conn, _ *nftables.Table) error { c.FlushRuleset(); return nil },
		"table deleted":   func(c *nftables.Conn, ours *nftables.Table) error { c.DelTable(ours); return nil },
		"table flushed":   func(c *nftables.Conn, ours *nftables.Table) error { c.FlushTable(ours); return nil },
		"output flushed":  func(c *nftables.Conn, ours *nftables.Table) error { c.FlushChain(chain(ours, "output")); return nil },
		"input flushed":   func(c *nftables.Conn, ours *nftables.Table) error { c.FlushChain(chain(ours, "input")); return nil },
		"refusal flushed": func(c *nftables.Conn, ours *nftables.Table) error { c.FlushChain(chain(ours, "refuse")); return nil },
		"input deleted": func(c *nftables.Conn, ours *nftables.Table) error {
			c.FlushChain(chain(ours, "input"))
			c.DelChain(chain(ours, "input"))
			return nil
		},
		"last rule deleted": func(c *nftables.Conn, ours *nftables.Table) error {
			rules, err := c.GetRules(ours, chain(ours, "output"))
			if err != nil {
				return err
			}
			return c.DelRule(rules[len(rules)-1])
		},
		"accepted before": func(c *nftables.Conn, ours *nftables.Table) error {
			c.InsertRule(&nftables.Rule{Table: ours, Chain: chain(ours, "output"), Exprs: accept})
			return nil
		},
		"rule replaced": func(c *nftables.Conn, ours *nftables.Table) error {
			rules, err := c.GetRules(ours, chain(ours, "output"))
			if err != nil {
				return err
			}
			c.ReplaceRule(&nftables.Rule{Table: ours, Chain: chain(ours, "output"), Handle: rules[len(rules)-1].Handle, Exprs: accept})
			return nil
		},
		"put to sleep": func(_ *nftables.Conn, ours *nftables.Table) error { return sleep(ours.Name) },
	} {
		t.Run(name, func(t *testing.T) {
			s := *s
			s.t = t
			s.signal(syscall.SIGSTOP)
			s.nft(do)
			if s.layout() == was {
				t.Error("nothing was done: the test shows nothing")
			}
			s.signal(syscall.SIGCONT)
			s.within(time.Second, "the repair", func() bool { return s.layout() == was })
		})
	}
	// What is undecided is held again.
	run := s.Home.Program("program").Start(t.Context(), "tcp", s.target.String())
	p := s.prompts(1)[0]
	s.answer(p, rule.Allow, rule.Once, prompt.DefaultScope(p.Flow))
	if out, err := run.Wait(); err != nil || !out[0].OK {
		t.Fatalf("%+v, %v", out, err)
	}
}

// signal sends the service a signal; one that stops it has done so on return.
func (s *scene) signal(n syscall.Signal) {
	s.t.Helper()
	if err := syscall.Kill(s.service.PID(), n); err != nil {
		s.t.Fatal(err)
	}
	if n == syscall.SIGSTOP {
		s.eventually("the stop", func() bool { return s.stopped() })
	}
}

// stopped reports whether every thread of the service has stopped.
func (s *scene) stopped() bool {
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", s.service.PID()))
	return err == nil && !slices.ContainsFunc(stats, func(path string) bool {
		b, err := os.ReadFile(path)
		return err == nil && !strings.Contains(string(b), ") T ")
	})
}

// Another program's own table is its business: we do not stir.
func TestOthersTablesAreTheirs(t *testing.T) {
	s := newScene(t)
	for range 50 {
		s.nft(func(c *nftables.Conn, _ *nftables.Table) error {
			other := c.AddTable(&nftables.Table{Name: "other", Family: nftables.TableFamilyINet})
			ch := c.AddChain(&nftables.Chain{Name: "output", Table: other})
			c.AddRule(&nftables.Rule{Table: other, Chain: ch, Exprs: []expr.Any{&expr.Verdict{Kind: expr.VerdictAccept}}})
			return nil
		})
	}
	s.nft(func(c *nftables.Conn, _ *nftables.Table) error {
		c.DelTable(&nftables.Table{Name: "other", Family: nftables.TableFamilyINet})
		return nil
	})
	time.Sleep(100 * time.Millisecond)
	if s.problem("nftables") {
		t.Errorf("problems: %+v", s.status().Problems)
	}
}

// Two programs that undo each other's work: ours does not give up, nor keep the machine
// busy, and says what goes on.
func TestQuarrelOverTheTable(t *testing.T) {
	s := newScene(t)
	was, began := s.layout(), s.cpu()
	stop := time.Now().Add(2 * time.Second)
	n := 0
	for ; time.Now().Before(stop); n++ {
		s.nft(func(c *nftables.Conn, _ *nftables.Table) error { c.FlushRuleset(); return nil })
		time.Sleep(5 * time.Millisecond)
	}
	s.within(time.Second, "the last repair", func() bool { return s.layout() == was })
	if !s.problem("keeps changing") {
		t.Errorf("nobody is told: %+v", s.status().Problems)
	}
	if used := s.cpu() - began; used > time.Second {
		t.Errorf("the service was busy for %v", used)
	}
	if n < 100 {
		t.Errorf("%d changes: the test shows nothing", n)
	}
}

// cpu is the time that the service has computed, in hundredths of a second.
func (s *scene) cpu() time.Duration {
	s.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.service.PID()))
	if err != nil {
		s.t.Fatal(err)
	}
	// Behind the name, which may hold anything: state is the third field, utime the 14th.
	_, after, _ := strings.Cut(string(b), ") ")
	var user, system int64
	f := strings.Fields(after)
	_, err = fmt.Sscan(f[11]+" "+f[12], &user, &system)
	if err != nil {
		s.t.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

// hooks are the links to our control group, by number.
func (s *scene) hooks() map[link.ID]link.Link {
	s.t.Helper()
	st, err := os.Stat(s.Filtered)
	if err != nil {
		s.t.Fatal(err)
	}
	all := map[link.ID]link.Link{}
	var it link.Iterator
	defer it.Close()
	for it.Next() {
		info, err := it.Link.Info()
		if err == nil && info.Cgroup() != nil && info.Cgroup().CgroupId == st.Sys().(*syscall.Stat_t).Ino {
			all[info.ID] = it.Take()
		}
	}
	if err := it.Err(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		for _, l := range all {
			_ = l.Close()
		}
	})
	return all
}

// Hooks that somebody detaches are back within a second, all of them, and people are told;
// a blocked program does not get through meanwhile.
func TestHooksArePutBack(t *testing.T) {
	s := newScene(t)
	blocked := s.Home.Program("blocked")
	s.rule(blocked, rule.Block, rule.Remote{})
	wire := s.Remote.Wire()
	before := s.hooks()
	if len(before) < 8 {
		t.Fatalf("%d hooks", len(before))
	}
	for _, l := range before {
		if err := l.(interface{ Detach() error }).Detach(); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		if out, _ := blocked.Run(t.Context(), "-timeout", "50ms", "tcp", s.target.String()); len(out) != 1 || out[0].OK {
			t.Errorf("blocked, without hooks: %+v", out)
		}
	}
	s.within(time.Second, "the repair", func() bool { return len(s.hooks()) == len(before) })
	s.within(time.Second, "the problem", func() bool { return s.problem("detached the firewall's hooks") })
	if out, _ := blocked.Run(t.Context(), "tcp", s.target.String()); len(out) != 1 || out[0].Errno != "EPERM" {
		t.Errorf("blocked: %+v", out)
	}
	if wire.Saw(lab.SYN(s.target)) {
		t.Error("a blocked SYN left")
	}
	run := s.Home.Program("undecided").Start(t.Context(), "tcp", s.target.String())
	p := s.prompts(1)[0]
	s.answer(p, rule.Allow, rule.Once, prompt.DefaultScope(p.Flow))
	if out, err := run.Wait(); err != nil || !out[0].OK {
		t.Fatalf("%+v, %v", out, err)
	}
}

// A hook that is made to run another program runs ours again within a second.
func TestHookRunsAnotherProgram(t *testing.T) {
	s := newScene(t)
	blocked := s.Home.Program("blocked")
	s.rule(blocked, rule.Block, rule.Remote{})
	harmless := permissive(t)
	n := 0
	for _, l := range s.hooks() {
		if l.Update(harmless) == nil { // those that it fits
			n++
		}
	}
	if n == 0 {
		t.Fatal("no hook took it")
	}
	s.within(time.Second, "the repair", func() bool { return s.problem("hooks") })
	if out, _ := blocked.Run(t.Context(), "tcp", s.target.String()); len(out) != 1 || out[0].Errno != "EPERM" {
		t.Errorf("blocked: %+v", out)
	}
}

// Pins that somebody deletes detach nothing, and are back within a second: a restart
// takes everything over as ever.
func TestPinsArePutBack(t *testing.T) {
	s := newScene(t)
	allowed, blocked := s.Home.Program("allowed"), s.Home.Program("blocked")
	s.rule(allowed, rule.Allow, rule.Remote{})
	s.rule(blocked, rule.Block, rule.Remote{})
	list := func() string {
		out, err := s.Home.Command(t.Context(), "ls", bpf.Pins(bpf.Tag(s.service.State))).Output()
		if err != nil {
			return err.Error()
		}
		return string(out)
	}
	was, hooks := list(), len(s.hooks())
	if strings.Count(was, "\n") < 15 {
		t.Fatalf("pins: %s", was)
	}
	s.atHome("rm -rf " + bpf.Pins(bpf.Tag(s.service.State)))
	if n := len(s.hooks()); n != hooks {
		t.Errorf("%d hooks are left of %d", n, hooks)
	}
	s.within(time.Second, "the repair", func() bool { return list() == was })
	s.within(time.Second, "the problem", func() bool { return s.problem("/sys/fs/bpf") })
	s.service.Kill()
	s.allowed(allowed, "dead")
	if out, _ := blocked.Run(t.Context(), "tcp", s.target.String()); len(out) != 1 || out[0].Errno != "EPERM" {
		t.Errorf("blocked: %+v", out)
	}
	s.service.Start()
	if n := len(s.hooks()); n != hooks {
		t.Errorf("%d hooks after the restart, %d before", n, hooks)
	}
	s.allowed(allowed, "restarted")
}
