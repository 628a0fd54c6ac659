package daemon_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/nftables"

	"sekisho/app/api"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/lab"
)

// A burst of connections that wait is bounded, what is beyond is refused and counted,
// nothing leaves, and afterwards all is as before.
func TestBurstIsBounded(t *testing.T) {
	s := newScene(t)
	flood := s.script("flood.py", `
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
all = []
for i in range(3000):
    c = socket.socket(); c.setblocking(False)
    try: c.connect((TARGET[0], 1000 + i))
    except OSError: pass
    all.append(c)
print('done', flush=True)
time.sleep(60)
`)
	wire := s.Remote.Wire()
	c := s.start(python(t), flood)
	s.eventually("the bound", func() bool { st := s.status(); return st.Waiting >= 128 && st.Counters.Flows >= 3000 })
	st := s.status()
	if st.Waiting > 512 || st.Counters.OverLimit < 2000 {
		t.Errorf("%d wait, %d were refused", st.Waiting, st.Counters.OverLimit)
	}
	if wire.Saw(lab.To(s.target.Addr()).From(s.Home.Addr4)) {
		t.Error("something left")
	}
	// Another program still finds room.
	run := s.Home.Program("other").Start(t.Context(), "tcp", s.target.String())
	var p prompt.Prompt
	s.eventually("the other program's prompt", func() bool {
		all, err := s.api.Prompts(t.Context())
		i := slices.IndexFunc(all, func(p prompt.Prompt) bool { return p.Flow.Remote.Port == s.target.Port() })
		if err != nil || i < 0 {
			return false
		}
		p = all[i]
		return true
	})
	s.answer(p, rule.Allow, rule.Once, prompt.DefaultScope(p.Flow))
	if out, err := run.Wait(); err != nil || !out[0].OK {
		t.Errorf("the other program: %+v, %v", out, err)
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	s.eventually("the end of what waits", func() bool { return s.status().Waiting == 0 })
}

// While the service stands still nothing undecided leaves; it goes on where it was.
func TestServiceStandsStill(t *testing.T) {
	s := newScene(t)
	allowed, undecided := s.Home.Program("allowed"), s.Home.Program("undecided")
	s.rule(allowed, rule.Allow, rule.Remote{})
	if err := syscall.Kill(s.service.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	wire := s.Remote.Wire()
	runs := []*lab.Running{}
	for range 20 {
		runs = append(runs, undecided.Start(t.Context(), "tcp", s.target.String()))
	}
	time.Sleep(2500 * time.Millisecond)
	if wire.Saw(lab.SYN(s.target)) {
		t.Error("an undecided SYN left")
	}
	s.allowed(allowed, "meanwhile")
	if err := syscall.Kill(s.service.PID(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	p := s.prompts(1)[0]
	s.eventually("every flow", func() bool { return s.status().Waiting == len(runs) })
	s.answer(p, rule.Allow, rule.Always, prompt.DefaultScope(p.Flow))
	for _, r := range runs {
		if out, err := r.Wait(); err != nil || !out[0].OK {
			t.Fatalf("%+v, %v", out, err)
		}
	}
}

// A table that somebody flushes is put back within a second, and people are told.
func TestFlushedTable(t *testing.T) {
	s := newScene(t)
	program := s.Home.Program("program")
	err := s.Home.Do(func() error {
		c, err := nftables.New()
		if err != nil {
			return err
		}
		c.FlushRuleset()
		return c.Flush()
	})
	if err != nil {
		t.Fatal(err)
	}
	s.eventually("the repair", func() bool {
		return slices.ContainsFunc(s.status().Problems, func(p api.Problem) bool { return strings.Contains(p.What, "put back") })
	})
	wire := s.Remote.Wire()
	run := program.Start(t.Context(), "tcp", s.target.String())
	p := s.prompts(1)[0]
	if wire.Saw(lab.SYN(s.target)) {
		t.Error("it left before the answer")
	}
	s.answer(p, rule.Allow, rule.Once, prompt.DefaultScope(p.Flow))
	if out, err := run.Wait(); err != nil || !out[0].OK {
		t.Fatalf("%+v, %v", out, err)
	}
}

// An answer that can't be saved lets nothing through, says so, and works once there is room.
func TestDiskFull(t *testing.T) {
	s := newScene(t)
	s.service.Stop()
	s.atHome("mount -t tmpfs -o size=2m none " + s.service.State)
	s.service.Start()
	run := s.Home.Program("program").Start(t.Context(), "tcp", s.target.String())
	p := s.prompts(1)[0]
	filler := filepath.Join(s.service.State, "filler")
	s.atHome("dd if=/dev/zero of=" + filler + " bs=4k 2>/dev/null || true")
	wire := s.Remote.Wire()
	a := prompt.Answer{Action: rule.Allow, Lifetime: rule.Always, Scope: prompt.DefaultScope(p.Flow), Generation: p.Generation}
	s.fillDatabase()
	if _, err := s.api.Answer(t.Context(), p.ID, a); err == nil || !strings.Contains(err.Error(), "not saved") {
		t.Errorf("the answer: %v", err)
	}
	if wire.Saw(lab.SYN(s.target)) || s.status().Waiting != 1 {
		t.Error("it does not wait any more")
	}
	s.atHome("rm " + filler)
	if _, err := s.api.Answer(t.Context(), p.ID, a); err != nil {
		t.Fatalf("with room again: %v", err)
	}
	if out, err := run.Wait(); err != nil || !out[0].OK {
		t.Fatalf("%+v, %v", out, err)
	}
}

// fillDatabase adds rules until not even one more has room: the database has some of its own.
func (s *scene) fillDatabase() {
	s.t.Helper()
	// A write that fails may leave room that the next one finds.
	for n, i, failed := 512, 0, 0; failed < 10; {
		rules := make([]rule.Rule, n)
		for k := range rules {
			i++
			rules[k] = rule.Rule{Enabled: true, Action: rule.Block, Program: rule.Program{Path: fmt.Sprintf("/nowhere/%d", i)},
				Lifetime: rule.Lifetime{Kind: rule.Always}, Note: strings.Repeat("x", min(n-1, 500))}
		}
		file, err := rule.WriteFile(rules)
		if err == nil {
			_, err = s.api.ImportRules(s.t.Context(), file, false)
		}
		switch {
		case err == nil && i > 10_000:
			s.t.Fatal("the disk does not get full")
		case err == nil:
			failed = 0
		case !strings.Contains(err.Error(), "not saved"):
			s.t.Fatalf("the error says: %v", err)
		default:
			n = max(1, n/2)
			failed++
		}
	}
}

// atHome runs a shell's line among the files that the service sees.
func (s *scene) atHome(line string) {
	s.t.Helper()
	if out, err := s.Home.Command(s.t.Context(), "sh", "-c", line).CombinedOutput(); err != nil {
		s.t.Fatalf("%s: %v\n%s", line, err, out)
	}
}

// A database that can't be read is kept aside, and the service says so.
func TestCorruptDatabase(t *testing.T) {
	s := newScene(t)
	program := s.Home.Program("program")
	s.rule(program, rule.Allow, rule.Remote{})
	s.service.Stop()
	files, err := filepath.Glob(filepath.Join(s.service.State, "*.db"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		if err := os.WriteFile(f, []byte(strings.Repeat("garbage ", 4096)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.service.Start()
	if st := s.status(); !st.Enforcing || len(st.Problems) == 0 {
		t.Errorf("status: %+v", st)
	}
	run := s.Home.Program("undecided").Start(t.Context(), "tcp", s.target.String())
	p := s.prompts(1)[0]
	s.answer(p, rule.Block, rule.Once, prompt.DefaultScope(p.Flow))
	_, _ = run.Wait()
}

// What a stopped service leaves is what the setting says.
func TestWhenStopped(t *testing.T) {
	for _, v := range []string{"open", "closed"} {
		t.Run(v, func(t *testing.T) {
			s := newScene(t)
			settings, err := s.api.Settings(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			settings.WhenStopped = v
			if err := s.api.SetSettings(t.Context(), settings); err != nil {
				t.Fatal(err)
			}
			program := s.Home.Program("program")
			s.service.Stop()
			out, _ := program.Run(t.Context(), "-timeout", "1s", "tcp", s.target.String())
			if len(out) != 1 || out[0].OK != (v == "open") {
				t.Errorf("%+v", out)
			}
		})
	}
}

// A name's rule is about the address that the program found by that name, for as long as
// it is found by it, and about nobody else's.
func TestNameIsTheProgramsOwn(t *testing.T) {
	s := newScene(t)
	second := s.Remote.AddAddress("198.51.100.7")
	s.DNS.Set("good.lab", s.target.Addr())
	s.DNS.Set("evil.lab", s.target.Addr())
	program, other := s.Home.Program("program"), s.Home.Program("other")
	for _, p := range []*lab.Program{program, other} {
		s.rule(p, rule.Allow, rule.Remote{Name: "good.lab"})
	}
	asked := func(p *lab.Program, args ...string) {
		t.Helper()
		run := p.Start(t.Context(), args...)
		q := s.prompts(1)[0]
		s.answer(q, rule.Block, rule.Once, prompt.DefaultScope(q.Flow))
		if out, _ := run.Wait(); len(out) != 1 || out[0].OK {
			t.Errorf("%v: %+v", args, out)
		}
	}
	passes := func(p *lab.Program, args ...string) {
		t.Helper()
		if out, err := p.Run(t.Context(), args...); err != nil || !out[0].OK {
			t.Errorf("%v: %+v, %v", args, out, err)
		}
	}
	bare := netip.AddrPortFrom(s.target.Addr(), 7).String()
	asked(program, "tcp", bare) // nobody looked it up
	passes(program, "dns+tcp", "good.lab:7")
	passes(program, "tcp", bare)
	asked(other, "tcp", bare) // what another program found is no name of its
	asked(program, "dns+tcp", "evil.lab:7")
	asked(program, "tcp", bare) // it is called evil.lab now
	s.DNS.Set("good.lab", second)
	passes(program, "dns+tcp", "good.lab:7")
	asked(program, "tcp", bare)
}

// Two services filter two groups of programs, and know nothing of each other.
func TestTwoServices(t *testing.T) {
	a, b := newScene(t), newScene(t)
	for _, s := range []*scene{a, b} {
		s.rule(s.Home.Program("other"), rule.Allow, rule.Remote{})
	}
	pa, pb := a.Home.Program("program"), b.Home.Program("program")
	a.rule(pa, rule.Allow, rule.Remote{})
	a.allowed(pa, "in its own")
	run := pb.Start(t.Context(), "tcp", b.target.String())
	p := b.prompts(1)[0]
	if all, err := a.api.Prompts(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("the other service asks too: %+v, %v", all, err)
	}
	a.service.Stop()
	b.answer(p, rule.Allow, rule.Once, prompt.DefaultScope(p.Flow))
	if out, err := run.Wait(); err != nil || !out[0].OK {
		t.Fatalf("%+v, %v", out, err)
	}
}

// Events that the kernel had no room for are made up for: what ended meanwhile is not
// shown for ever.
func TestLostEvents(t *testing.T) {
	s := newScene(t)
	busy := s.script("busy.py", "u = socket.socket(type=socket.SOCK_DGRAM)\nfor i in range(100000): u.connect((TARGET[0], 1 + i % 60000))\n")
	if _, err := s.api.AddRule(t.Context(), rule.Rule{Enabled: true, Action: rule.Allow, Program: rule.Program{Path: python(t)}}, 0); err != nil {
		t.Fatal(err)
	}
	file := s.script("holder.py", "c = socket.create_connection(TARGET)\ntime.sleep(60)\n")
	holder := s.start(python(t), file)
	open := func() int {
		list, err := s.api.Connections(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	s.eventually("the connection", func() bool { return open() == 1 })
	if err := syscall.Kill(s.service.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	// Flows of an allowed program fill the ring of events.
	err := s.start(python(t), busy).Wait()
	if killErr := holder.Process.Kill(); err == nil {
		err = killErr
	}
	_ = holder.Wait()
	if contErr := syscall.Kill(s.service.PID(), syscall.SIGCONT); err == nil {
		err = contErr
	}
	if err != nil {
		t.Fatal(err)
	}
	s.eventually("the end", func() bool { return open() == 0 })
	if s.status().Counters.EventsLost == 0 {
		t.Error("no event was lost: the test shows nothing")
	}
}
