package daemon_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// Wherever a program runs, it is itself.
func TestAttackNamespaces(t *testing.T) {
	a := newAttackScene(t)
	for name, enter := range map[string][]string{
		"user":    {"unshare", "--user", "--map-root-user"},
		"process": {"unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"},
		"mount":   {"unshare", "--user", "--map-root-user", "--mount"},
		"cgroup":  {"unshare", "--user", "--map-root-user", "--cgroup"},
		"all":     {"unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount", "--cgroup", "--uts", "--ipc"},
	} {
		t.Run(name, func(t *testing.T) {
			a.t = t
			for _, kind := range []string{"tcp", "udp"} {
				a.asUser(append(enter, a.evil.Path, "-kind", kind, "-hold", "20s", "send")...).start().asks(a.evil.Path)
			}
			k := a.asUser(append(enter, a.good.Path, "send")...).start()
			k.says("done")
			if err := k.command.Wait(); err != nil || !k.leaked() {
				t.Errorf("the allowed program does not pass in there: %v", err)
			}
		})
	}
}

// move puts a process into a control group.
func (k *attack) move(cgroup string) {
	k.a.t.Helper()
	pid := strconv.Itoa(k.command.Process.Pid)
	k.a.must(os.WriteFile(filepath.Join(cgroup, "cgroup.procs"), []byte(pid), 0))
}

// Control groups that are made below the filtered one later are filtered too; a socket
// stays where it was made, wherever its process goes.
func TestAttackControlGroups(t *testing.T) {
	a := newAttackScene(t)
	for _, kind := range []string{"tcp", "udp", "udp-connected", "raw", "ping"} {
		t.Run(kind, func(t *testing.T) {
			a.t = t
			later := filepath.Join(a.Filtered, "later-"+kind, "below")
			a.must(os.MkdirAll(later, 0o755))
			k := a.plan("-kind", kind, "send")
			k.command.In(later)
			k.start().asks(a.evil.Path)

			k = a.plan("-wait", "-kind", kind, "send")
			now := k.startWaiting()
			k.move(a.Others)
			now()
			k.asks(a.evil.Path)

			// The way in needs the rights to write to both groups: it is no way around a
			// firewall that looks at every program, and one that looks at some is told so.
			k = a.plan("-wait", "-kind", kind, "send")
			k.command.In(a.Others)
			now = k.startWaiting()
			k.move(a.Filtered)
			now()
			a.eventually("what a socket from outside sends", k.leaked)
			a.must(k.command.Process.Kill())
		})
	}
}
