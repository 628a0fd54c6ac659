package daemon_test

import (
	"debug/elf"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sekisho/app/rule"
)

// shell is bash's file, without links.
func shell(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("bash")
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// towards is an attack that has no command yet.
func (a *attackScene) towards(target netip.AddrPort) *attack { return &attack{a: a, target: target} }

// to is shell code that connects.
func (k *attack) to() string {
	return fmt.Sprintf("exec 3<>/dev/tcp/%s/%d", k.target.Addr(), k.target.Port())
}

// write makes a file in the lab's folder.
func (a *attackScene) write(name, text string) string {
	a.t.Helper()
	file := filepath.Join(a.Dir, name)
	a.must(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o755), os.Chmod(file, 0o755))
	return file
}

// The rule of a script is for what the interpreter was started with, not for code that
// comes another way.
func TestAttackInterpreters(t *testing.T) {
	a := newAttackScene(t)
	bash := shell(t)
	good := a.write("good.sh", "exec 3<>/dev/tcp/$1/$2\n")
	py := a.script("good.py", "socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=2)\n")
	a.allowScript(py)
	_, err := a.api.AddRule(t.Context(), rule.Rule{Enabled: true, Action: rule.Allow, Program: rule.Program{Path: bash, Script: good}}, 0)
	a.must(err)
	allowed := func(args ...string) {
		t.Helper()
		target := a.fresh()
		out, err := a.Home.Command(t.Context(), append(args, target.Addr().String(), fmt.Sprint(target.Port()))...).Filtered().CombinedOutput()
		if err != nil {
			t.Fatalf("%q, which is allowed: %s, %v", args, out, err)
		}
	}
	allowed(bash, good)
	allowed(python(t), py)

	const inline = "" // code that is in no file
	for name, code := range map[string]func(k *attack) (want string, args []string){
		"bash -c": func(k *attack) (string, []string) { return inline, []string{bash, "-c", k.to(), good} },
		"bash -c in a cluster of letters": func(k *attack) (string, []string) {
			return inline, []string{bash, "-xec", k.to(), good}
		},
		"bash from its input": func(k *attack) (string, []string) {
			return inline, []string{"sh", "-c", fmt.Sprintf("echo '%s' | exec %s -s %s", k.to(), bash, good)}
		},
		"a descriptor": func(k *attack) (string, []string) {
			return inline, []string{bash, "-c", fmt.Sprintf(`exec %s /dev/fd/9 %s 9<<<'%s'`, bash, good, k.to())}
		},
		"a descriptor by its long name": func(k *attack) (string, []string) {
			return inline, []string{bash, "-c", fmt.Sprintf(`exec %s /proc/self/fd/9 %s 9<<<'%s'`, bash, good, k.to())}
		},
		"another script": func(k *attack) (string, []string) {
			evil := a.write("evil.sh", k.to()+"\n")
			return evil, []string{bash, evil, good}
		},
		"a script executed by itself": func(k *attack) (string, []string) {
			evil := a.write("evil2.sh", "#!"+bash+"\n"+k.to()+"\n")
			return evil, []string{evil, good}
		},
		"a script with spaces in its first line": func(k *attack) (string, []string) {
			evil := a.write("evil 3.sh", "#!   "+bash+"   -e   \n"+k.to()+"\n")
			return evil, []string{evil, good}
		},
		"env -S": func(k *attack) (string, []string) {
			evil := a.write("evil4", fmt.Sprintf("#!/usr/bin/env -S %s -c '%s'\n", bash, k.to()))
			return inline, []string{evil, good}
		},
		"a script that is removed": func(k *attack) (string, []string) {
			evil := a.write("evil5.sh", fmt.Sprintf("rm %s\n%s\n", filepath.Join(a.Dir, "evil5.sh"), k.to()))
			return evil, []string{bash, evil}
		},
		"a script that becomes the allowed one": func(k *attack) (string, []string) {
			evil := filepath.Join(a.Dir, "evil6.sh")
			return a.write("evil6.sh", fmt.Sprintf("ln -sf %s %s\n%s\n", good, evil, k.to())), []string{bash, evil}
		},
		"python -c": func(k *attack) (string, []string) {
			return inline, []string{python(t), "-c", k.python(), py}
		},
		"python -c in one word": func(k *attack) (string, []string) {
			return inline, []string{python(t), "-Sc" + k.python(), py}
		},
		"python - and a file": func(k *attack) (string, []string) {
			evil := a.write("evil.txt", k.python()+"\n")
			return inline, []string{"sh", "-c", fmt.Sprintf("exec %s - %s < %s", python(t), py, evil)}
		},
		"python without a word": func(k *attack) (string, []string) {
			evil := a.write("evil.txt", k.python()+"\n")
			return inline, []string{"sh", "-c", fmt.Sprintf("exec %s < %s", python(t), evil)}
		},
		"perl -e": func(k *attack) (string, []string) {
			return inline, []string{"perl", "-MIO::Socket::INET", "-e", fmt.Sprintf("IO::Socket::INET->new(PeerAddr => '%s')", k.target), py}
		},
	} {
		t.Run(name, func(t *testing.T) {
			a.t = t
			k := a.towards(a.fresh())
			want, args := code(k)
			a.command(k.target, args...).start().asksScript(want)
		})
	}
}

// python is Python code that connects.
func (k *attack) python() string {
	return fmt.Sprintf("import socket; socket.create_connection(('%s', %d))", k.target.Addr(), k.target.Port())
}

// A program that is started by way of the loader is the loader, whatever it loads.
func TestAttackLoader(t *testing.T) {
	a := newAttackScene(t)
	file, err := elf.Open(python(t))
	a.must(err)
	defer file.Close()
	raw, err := file.Section(".interp").Data()
	a.must(err)
	loader, err := filepath.EvalSymlinks(strings.TrimRight(string(raw), "\x00"))
	a.must(err)
	_, err = a.api.AddRule(t.Context(), rule.Rule{Enabled: true, Action: rule.Allow, Program: rule.Program{Path: python(t)}}, 0)
	a.must(err)
	k := a.towards(a.fresh())
	k = a.command(k.target, python(t), "-c", k.python())
	k.start()
	a.must(k.command.Wait())
	if !k.leaked() {
		t.Error("what is allowed does not pass")
	}
	k = a.towards(a.fresh())
	k = a.command(k.target, loader, python(t), "-c", k.python())
	k.start().asks(loader)
}
