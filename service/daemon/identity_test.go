package daemon_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/lab"
)

// python is the interpreter's file, without links.
func python(t testing.TB) string {
	t.Helper()
	// What is on the path may be a script that starts it.
	p, err := exec.Command("python3", "-c", "import os, sys; print(os.path.realpath(sys.executable))").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(p))
}

// script writes a Python program that knows TARGET (a pair), PYTHON and HERE.
func (s *scene) script(name, text string) string {
	s.t.Helper()
	file := filepath.Join(s.Dir, name)
	head := fmt.Sprintf("import socket, os, sys, time\nTARGET=(%q, %d)\nPYTHON=%q\nHERE=%q\n",
		s.target.Addr(), s.target.Port(), python(s.t), s.Dir)
	if err := os.WriteFile(file, []byte(head+text), 0o644); err != nil {
		s.t.Fatal(err)
	}
	return file
}

func (s *scene) allowScript(file string) {
	s.t.Helper()
	_, err := s.api.AddRule(s.t.Context(), rule.Rule{
		Enabled: true, Action: rule.Allow, Program: rule.Program{Path: python(s.t), Script: file},
	}, 0)
	if err != nil {
		s.t.Fatal(err)
	}
}

const connect = "socket.create_connection(TARGET, timeout=2)\n"

// start runs a command under the firewall's eye.
func (s *scene) start(args ...string) *lab.Command {
	s.t.Helper()
	c := s.Home.Command(s.t.Context(), args...).Filtered()
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// A script's rule is for that script: not for another one, code from the command line or
// from standard input, nor for what the same process executes afterwards.
func TestScriptsAreTheirOwn(t *testing.T) {
	s := newScene(t)
	b := s.script("b.py", connect)
	a := s.script("a.py", connect+"if len(sys.argv) > 1: os.execv(PYTHON, [PYTHON] + sys.argv[1:])\n")
	s.allowScript(a)
	run := func(args ...string) error {
		c := s.Home.Command(t.Context(), append([]string{python(t)}, args...)...).Filtered()
		c.Stderr = os.Stderr
		return c.Run()
	}
	if err := run(a); err != nil {
		t.Fatalf("the allowed script: %v", err)
	}
	code, err := os.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"another script":       {b},
		"code":                 {"-c", string(code), a},
		"module":               {"-m", "timeit", "-n1", "-r1", string(code)},
		"the same process":     {a, b},
		"its code afterwards":  {a, "-c", string(code)},
		"itself by other name": {filepath.Join(s.Dir, "link.py")},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "itself by other name" {
				if err := os.Symlink(b, args[0]); err != nil {
					t.Fatal(err)
				}
			}
			wire := s.Remote.Wire()
			c := s.start(append([]string{python(t)}, args...)...)
			p := s.prompts(1)[0]
			s.answer(p, rule.Block, rule.Once, prompt.DefaultScope(p.Flow))
			if c.Wait() == nil {
				t.Error("it connected")
			}
			allowed := 0 // by a.py, before it became another
			if args[0] == a {
				allowed = 1
			}
			if n := len(wire.Packets(lab.SYN(s.target))); n != allowed {
				t.Errorf("%d SYNs left, want %d", n, allowed)
			}
		})
	}
}

// A connection is judged as the program that began it, even if the process has become an
// allowed one by the time that the packet is looked at.
func TestBecomesAnother(t *testing.T) {
	s := newScene(t)
	allowed := s.Home.Program("allowed")
	s.rule(allowed, rule.Allow, rule.Remote{})
	a := s.script("a.py", "time.sleep(0.2)\n")
	s.allowScript(a)
	begin := "s = socket.socket(); s.setblocking(False); s.set_inheritable(True)\ntry: s.connect(TARGET)\nexcept BlockingIOError: pass\n"
	wire := s.Remote.Wire()
	for name, then := range map[string]string{
		"program": fmt.Sprintf("os.execv(%q, ['x', '-hold', '200ms', 'udplite', '127.0.0.1:0'])\n", allowed.Path),
		"script":  fmt.Sprintf("os.execv(PYTHON, [PYTHON, %q])\n", a),
	} {
		t.Run(name, func(t *testing.T) {
			for range 5 {
				c := s.start(python(t), s.script("evil-"+name+".py", begin+then))
				_ = c.Wait()
			}
			if wire.Saw(lab.SYN(s.target)) {
				t.Error("it borrowed the permission of what it executed afterwards")
			}
		})
	}
}

// Another file in a program's place is another program: it asks, until somebody allows
// it too. The same content is the same program.
func TestReplaced(t *testing.T) {
	for name, replace := range map[string]func(t *testing.T, path string, evil []byte){
		"renamed over": func(t *testing.T, path string, evil []byte) {
			if err := os.WriteFile(path+".new", evil, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
		},
		"written in place": func(t *testing.T, path string, evil []byte) {
			if err := os.WriteFile(path, evil, 0o755); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			program := s.Home.Program("program")
			run := program.Start(t.Context(), "tcp", s.target.String())
			p := s.prompts(1)[0]
			s.answer(p, rule.Allow, rule.Always, prompt.DefaultScope(p.Flow))
			if out, err := run.Wait(); err != nil || !out[0].OK {
				t.Fatalf("%+v, %v", out, err)
			}
			good, err := os.ReadFile(program.Path)
			if err != nil {
				t.Fatal(err)
			}
			s.allowed(program, "again")
			s.service.Restart() // its checksum is made by now
			evil := append(append([]byte{}, good...), "evil"...)
			replace(t, program.Path, evil)
			run = program.Start(t.Context(), "tcp", s.target.String())
			p = s.prompts(1)[0]
			s.answer(p, rule.Block, rule.Once, prompt.DefaultScope(p.Flow))
			if out, _ := run.Wait(); len(out) != 1 || out[0].OK {
				t.Fatalf("replaced: %+v", out)
			}
			s.service.Restart()
			run = program.Start(t.Context(), "tcp", s.target.String())
			p = s.prompts(1)[0]
			s.answer(p, rule.Allow, rule.Always, prompt.DefaultScope(p.Flow))
			if out, err := run.Wait(); err != nil || !out[0].OK {
				t.Fatalf("allowed now: %+v, %v", out, err)
			}
			s.allowed(program, "the new one, again")
			replace(t, program.Path, good)
			s.allowed(program, "the old content")
		})
	}
}

// allowed runs a program and wants it to connect without anybody being asked.
func (s *scene) allowed(program *lab.Program, when string) {
	s.t.Helper()
	if out, err := program.Run(s.t.Context(), "-timeout", "3s", "tcp", s.target.String()); err != nil || len(out) != 1 || !out[0].OK {
		s.t.Fatalf("%s: %+v, %v", when, out, err)
	}
}

// In a mount namespace of one's own every file can be shown at an allowed path.
func TestShownElsewhere(t *testing.T) {
	s := newScene(t)
	good, evil := s.Home.Program("good"), s.Home.Program("evil")
	s.rule(good, rule.Allow, rule.Remote{})
	s.allowed(good, "the program itself")
	for name, mount := range map[string]string{
		"bind mount": fmt.Sprintf("mount --bind %s %s && exec %s", evil.Path, good.Path, good.Path),
		"chroot": fmt.Sprintf("mkdir -p %[1]s/root%[2]s && cp %[3]s %[1]s/root%[4]s && exec chroot %[1]s/root %[4]s",
			s.Dir, filepath.Dir(good.Path), evil.Path, good.Path),
	} {
		t.Run(name, func(t *testing.T) {
			wire := s.Remote.Wire()
			c := s.start("unshare", "-m", "sh", "-c", mount+" tcp "+s.target.String())
			p := s.prompts(1)[0]
			s.answer(p, rule.Block, rule.Once, prompt.DefaultScope(p.Flow))
			_ = c.Wait()
			if wire.Saw(lab.SYN(s.target)) {
				t.Error("it left")
			}
		})
	}
	s.allowed(good, "the program itself, afterwards")
}

// A program without a file at its path has no permission but what is answered.
func TestWithoutAFile(t *testing.T) {
	s := newScene(t)
	good := s.Home.Program("good")
	s.rule(good, rule.Allow, rule.Remote{})
	binary, err := os.ReadFile(good.Path)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(s.Dir, "copy")
	if err := os.WriteFile(copied, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, run := range map[string]string{
		"memfd":   fmt.Sprintf("f = os.memfd_create('good')\nos.write(f, open(%q, 'rb').read())\nos.execve(f, [%q, 'tcp', '%%s:%%d' %% TARGET], {})\n", good.Path, good.Path),
		"deleted": fmt.Sprintf("f = os.open(%q, os.O_RDONLY)\nos.remove(%q)\nos.execve(f, [%q, 'tcp', '%%s:%%d' %% TARGET], {})\n", copied, copied, good.Path),
	} {
		t.Run(name, func(t *testing.T) {
			c := s.start(python(t), s.script(name+".py", run))
			p := s.prompts(1)[0]
			if p.Flow.Process.Path == good.Path {
				t.Errorf("it passes for %s", good.Path)
			}
			s.answer(p, rule.Block, rule.Once, prompt.DefaultScope(p.Flow))
			if c.Wait() == nil {
				t.Error("it connected")
			}
		})
	}
}
