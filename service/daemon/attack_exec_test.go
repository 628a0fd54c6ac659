package daemon_test

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"sekisho/app/prompt"
	"sekisho/app/rule"
)

// Threads that send while their process becomes the allowed program, while a child that
// borrows their memory does, or while it is now the one and now the other.
func TestAttackExecRaces(t *testing.T) {
	a := newAttackScene(t)
	for name, args := range map[string][]string{
		"threads while another one executes": {"-n", "60", "-how", "exec", "threads"},
		"threads while a child executes":     {"-n", "60", "-how", "vfork", "threads"},
		"now the one and now the other":      {"-n", "60", "-how", a.good.Path, "alternate"},
	} {
		t.Run(name, func(t *testing.T) {
			a.t = t
			k := a.plan(append([]string{"-hold", "0"}, args...)...).start()
			if err := k.command.Wait(); err != nil {
				t.Error(err)
			}
			asked := 0
			all, err := a.api.Prompts(t.Context())
			a.must(err)
			for _, p := range all {
				if p.Flow.Remote.Addr != k.target.Addr() {
					continue
				}
				asked++
				if p.Flow.Process.Path != a.evil.Path {
					t.Errorf("%s was asked for what %s did", p.Flow.Process.Path, a.evil.Path)
				}
			}
			if asked == 0 && a.status().Counters.Unattributed == k.before.Unattributed {
				t.Error("nobody was asked, and nothing was denied")
			}
			k.ends()
		})
	}
	a.t = t
	a.passes("afterwards")
}

// What a process says of itself counts for nothing.
func TestAttackPretending(t *testing.T) {
	a := newAttackScene(t)
	for _, kind := range []string{"tcp", "udp"} {
		t.Run("name of the thread, "+kind, func(t *testing.T) {
			a.t = t
			a.plan("-how", "comm", "-kind", kind, "pretend").start().asks(a.evil.Path)
		})
		t.Run("first argument, "+kind, func(t *testing.T) {
			a.t = t
			k := a.plan("-kind", kind, "send")
			k.command.Args[0] = a.good.Path
			k.start().asks(a.evil.Path)
		})
		// Any user may change what /proc/PID/exe says, in a user namespace of their own.
		t.Run("executable, "+kind, func(t *testing.T) {
			a.t = t
			k := a.asUser("unshare", "--user", "--map-root-user", a.evil.Path, "-how", "exe", "-kind", kind, "-hold", "20s", "-good", a.good.Path, "pretend").start()
			k.denied()
		})
		t.Run("executable, before it is looked at again, "+kind, func(t *testing.T) {
			a.t = t
			k := a.asUser("unshare", "--user", "--map-root-user", a.evil.Path, "-how", "exe", "-kind", kind, "-hold", "20s", "-good", a.good.Path, "-wait", "pretend")
			now := k.startWaiting()
			now()
			k.denied()
		})
	}
}

// nobody is an ordinary user.
const nobody = 12345

// asUser prepares a command of an ordinary user, with -target after the program's path.
func (a *attackScene) asUser(args ...string) *attack {
	a.t.Helper()
	target := a.fresh()
	for i, arg := range args {
		if arg == a.evil.Path || arg == a.good.Path {
			args = append(append(append([]string{}, args[:i+1]...), "-target", target.String()), args[i+1:]...)
			break
		}
	}
	k := a.command(target, args...)
	k.command.As(nobody, nobody)
	return k
}

// A program that is executed without a name, or from a file that is gone, is not the one
// whose name it takes.
func TestAttackNameless(t *testing.T) {
	a := newAttackScene(t)
	for _, how := range []string{"memfd", "deleted", "proc", "climbing"} {
		t.Run(how, func(t *testing.T) {
			a.t = t
			k := a.plan("-how", how, "nameless").start()
			p := k.prompt()
			if p.Flow.Process.Path == a.good.Path {
				t.Errorf("it passes for %s", a.good.Path)
			}
			k.blocked(p)
		})
	}
}

// A process that gets the number of another one gets nothing else of it.
func TestAttackNumberAgain(t *testing.T) {
	a := newAttackScene(t)
	// A rule that looks at the process, so that decisions are kept for each.
	if _, err := a.api.AddRule(t.Context(), rule.Rule{
		Enabled: true, Action: rule.Block, Program: rule.Program{Path: a.good.Path, Parent: "/nowhere"},
	}, 0); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, first, second string }{
		{"of the allowed program", a.good.Path, a.evil.Path},
		{"of one that waits", a.evil.Path, a.good.Path},
	} {
		t.Run(c.name, func(t *testing.T) {
			a.t = t
			one, two := a.fresh(), a.fresh()
			for try := range 20 {
				first := a.command(one, c.first, "-target", one.String(), "send")
				if err := first.command.Run(); err != nil {
					t.Fatal(err)
				}
				pid := first.command.Process.Pid
				if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(pid-1)), 0); err != nil {
					t.Fatal(err)
				}
				second := a.command(two, c.second, "-target", two.String(), "-hold", "20s", "send").start()
				if got := second.command.Process.Pid; got != pid && try < 19 { // somebody was faster
					_ = second.command.Process.Kill()
					_ = second.command.Wait()
					one, two = a.fresh(), a.fresh()
					continue
				} else if got != pid {
					t.Fatalf("process %d does not come again", pid)
				}
				if c.second == a.evil.Path {
					second.asks(a.evil.Path)
					return
				}
				// Whose process ended without an answer is not answered by its successor.
				first.command.Args = second.command.Args
				if first.leaked() {
					t.Error("what the first one sent left")
				}
				second.says("done")
				a.eventually("what the second one sent", second.leaked)
				_ = second.command.Process.Kill()
				_ = second.command.Wait()
				if first.leaked() {
					t.Error("what the first one sent left when the second came")
				}
				return
			}
		})
	}
}

// A program of another account's, run with that account's rights, is who runs it.
func TestAttackSetuid(t *testing.T) {
	a := newAttackScene(t)
	if _, err := a.api.AddRule(t.Context(), rule.Rule{
		Enabled: true, Action: rule.Allow, Program: rule.Program{Path: a.evil.Path}, User: "root",
	}, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(a.evil.Path, 0o4755); err != nil {
		t.Fatal(err)
	}
	k := a.asUser(a.evil.Path, "-hold", "20s", "send").start()
	p := k.asks(a.evil.Path)
	if p.Flow.Process.UID != nobody {
		t.Errorf("it counts as user %d", p.Flow.Process.UID)
	}
}

// Executions of which the kernel could not tell the service are made up for, or what they
// send is denied and counted; nothing is anybody else's.
func TestAttackLostExecutions(t *testing.T) {
	a := newAttackScene(t)
	// So that the kernel holds no decision for whole programs.
	if _, err := a.api.AddRule(t.Context(), rule.Rule{
		Enabled: true, Action: rule.Block, Program: rule.Program{Path: a.good.Path, Parent: "/nowhere"},
	}, 0); err != nil {
		t.Fatal(err)
	}
	// What the service knows of this process is what it runs before.
	k := a.plan("-how", a.evil.Path, "-wait", "become")
	k.command.Path, k.command.Args[0] = a.good.Path, a.good.Path
	now := k.startWaiting()
	a.passes("before") // the service has heard of all that ran
	if err := syscall.Kill(a.service.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	flood := a.Home.Command(t.Context(), "sh", "-c", `for i in $(seq 3500); do /bin/true "$1"; done`, "sh", strings.Repeat("x", 2000))
	err := flood.Run()
	if err == nil {
		now()
		k.says("done")
	}
	if err := errors.Join(err, syscall.Kill(a.service.PID(), syscall.SIGCONT)); err != nil {
		t.Fatal(err)
	}
	a.eventually("the losses to be known", func() bool { return a.status().Counters.EventsLost > 0 })
	a.eventually("an end of it", func() bool {
		if a.status().Counters.Unattributed > k.before.Unattributed {
			return true
		}
		all, err := a.api.Prompts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range all {
			if p.State == prompt.Waiting && p.Flow.Remote.Addr == k.target.Addr() {
				if p.Flow.Process.Path != a.evil.Path {
					t.Errorf("asked about %s", p.Flow.Process.Path)
				}
				return true
			}
		}
		return k.leaked()
	})
	k.ends()
	a.passes("afterwards")
}
