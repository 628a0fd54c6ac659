package daemon_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sekisho/app/prompt"
	"sekisho/app/rule"
)

// notGood wants a prompt to be about another program than good, or to warn that another
// file is in its place.
func (a *attackScene) notGood(p prompt.Prompt) {
	a.t.Helper()
	replaced := slices.ContainsFunc(p.Warnings, func(w prompt.Warning) bool { return w.Code == prompt.WarnReplaced })
	if p.Flow.Process.Path == a.good.Path && !replaced {
		a.t.Errorf("it passes for %s: %+v", a.good.Path, p.Warnings)
	}
}

// Names of files lend nothing: a rule is about the file that was there.
func TestAttackFileNames(t *testing.T) {
	a := newAttackScene(t)
	a.service.Restart() // the checksum of what is allowed is made by now
	kept := a.good.Path + ".kept"
	for name, swap := range map[string]func() error{
		"hard link of evil":     func() error { return os.Link(a.evil.Path, a.good.Path) },
		"symbolic link to evil": func() error { return os.Symlink(a.evil.Path, a.good.Path) },
	} {
		t.Run(name, func(t *testing.T) {
			a.t = t
			a.passes("before")
			a.must(os.Rename(a.good.Path, kept), swap())
			k := a.plan("send")
			k.command.Path, k.command.Args[0] = a.good.Path, a.good.Path
			p := k.start().prompt()
			a.notGood(p)
			k.blocked(p)
			a.must(os.Remove(a.good.Path), os.Rename(kept, a.good.Path))
			a.passes("after")
		})
	}
	t.Run("a blocked file under another name", func(t *testing.T) {
		a.t = t
		// What is blocked by its path is not allowed by another name of the file.
		blocked, other := a.Home.Attacker("blocked"), filepath.Join(a.Dir, "unblocked")
		a.rule(blocked, rule.Block, rule.Remote{})
		a.must(os.Link(blocked.Path, other))
		k := a.plan("send")
		k.command.Path, k.command.Args[0] = other, other
		k.start().asks(other)
	})
}

// A file that is removed or replaced while it runs leaves the process what it was.
func TestAttackReplacedWhileItRuns(t *testing.T) {
	a := newAttackScene(t)
	good, err := os.ReadFile(a.good.Path)
	a.must(err)
	for name, swap := range map[string]func(path string) error{
		"the allowed file renamed over it": func(path string) error {
			if err := os.WriteFile(path+".new", good, 0o755); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		},
		"a link to the allowed file in its place": func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.Symlink(a.good.Path, path)
		},
		"moved over the allowed one": func(path string) error {
			return os.Rename(path, a.good.Path)
		},
	} {
		t.Run(name, func(t *testing.T) {
			a.t = t
			evil := append(append([]byte{}, good...), name...)
			path := filepath.Join(a.Dir, "running")
			a.must(os.WriteFile(path, evil, 0o755))
			k := a.plan("-wait", "send")
			k.command.Path, k.command.Args[0] = path, path
			now := k.startWaiting()
			a.must(swap(path))
			now()
			p := k.prompt()
			a.notGood(p)
			k.blocked(p)
			_ = os.Remove(path)
		})
	}
}

// In namespaces of their own an ordinary user can show any file at any path.
func TestAttackShownElsewhere(t *testing.T) {
	a := newAttackScene(t)
	for name, show := range map[string]string{
		"bind mount":             "mount --bind EVIL GOOD && exec GOOD",
		"bind mount of a folder": "mkdir -p TEMP/b && cp EVIL TEMP/b/good && mount --bind TEMP/b DIR && exec GOOD",
		"file system in memory":  "cp EVIL TEMP/c && mount -t tmpfs none DIR && cp TEMP/c GOOD && exec GOOD",
		"overlay":                "mkdir -p TEMP/u TEMP/w && cp EVIL TEMP/u/good && mount -t overlay -o lowerdir=DIR,upperdir=TEMP/u,workdir=TEMP/w none DIR && exec GOOD",
		"chroot":                 "mkdir -p TEMP/root/DIR && cp EVIL TEMP/root/GOOD && exec chroot TEMP/root GOOD",
		"moved back at once":     "mount --bind EVIL GOOD && { (sleep 0.1; umount -l GOOD) & }; exec GOOD -delay 300ms",
	} {
		t.Run(name, func(t *testing.T) {
			a.t = t
			temp := t.TempDir()
			a.must(os.Chmod(filepath.Dir(temp), 0o777), os.Chmod(temp, 0o777))
			target := a.fresh()
			show := strings.NewReplacer("EVIL", a.evil.Path, "GOOD", a.good.Path, "DIR", filepath.Dir(a.good.Path), "TEMP", temp).Replace(show)
			k := a.command(target, "unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "sh", "-ec",
				fmt.Sprintf("%s -target %s -hold 20s send", show, target))
			k.command.As(nobody, nobody)
			p := k.start().prompt()
			a.notGood(p)
			k.blocked(p)
		})
	}
	a.t = t
	a.passes("afterwards")
}
