package daemon_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sekisho/app/api"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/lab"
)

// somebody is an account without rights.
const somebody = 12345

// as starts a program as somebody.
func (s *scene) as(uid uint32, p *lab.Program, args ...string) *lab.Command {
	s.t.Helper()
	c := p.Command(s.t.Context(), args...).As(uid, uid)
	c.Env = append(os.Environ(), "HOME=/nonexistent")
	if err := c.Start(); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// openTo lets others than root look into the lab's folder, where programs are.
func openTo(t testing.TB, l *lab.Lab) {
	t.Helper()
	if err := os.Chmod(l.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
}

// shown is the one prompt that waits, as scripts read it.
func (s *scene) shown() api.PromptJSON {
	s.t.Helper()
	s.prompts(1)
	var all []api.PromptJSON
	if err := s.service.CtlJSON(s.t.Context(), &all, "prompts"); err != nil {
		s.t.Fatal(err)
	}
	all = slices.DeleteFunc(all, func(p api.PromptJSON) bool { return p.Prompt.State != prompt.Waiting })
	if len(all) != 1 {
		s.t.Fatalf("%d prompts wait", len(all))
	}
	return all[0]
}

func codes(all []prompt.Warning) []string {
	var c []string
	for _, w := range all {
		c = append(c, w.Code)
	}
	return c
}

// A page drops a downloader through the browser; it fetches the next stage, which phones
// home. Each of them is odd, and the person is told how.
func TestAttackChain(t *testing.T) {
	l := lab.New(t)
	openTo(t, l)
	home := l.Home.Disk("home", somebody)
	web := l.Remote.ServeWeb(80)
	read := func(p *lab.Program) []byte {
		b, err := os.ReadFile(p.Path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	browser := l.Home.Fetcher("firefox")
	web.Files = map[string][]byte{"/setup": read(browser), "/agent": read(l.Home.Program("agent"))}
	l.DNS.Set("page.lab", l.Remote.Addr4)
	l.DNS.Set("stage.lab", l.Remote.Addr4)
	bare := l.Remote.AddAddress("198.51.100.7")
	s := newSceneIn(t, l)
	s.allow(rule.Rule{Program: rule.Program{Path: browser.Path}})
	saved := s.as(somebody, browser, "http://page.lab/setup", filepath.Join(home, "setup"))
	if err := saved.Wait(); err != nil {
		t.Fatalf("the browser saves a file: %v", err)
	}
	step := func(program string, want []string, args ...string) (path string) {
		t.Helper()
		run := s.as(somebody, l.Home.At(filepath.Join(home, program)), args...)
		p := s.shown()
		if got := codes(p.Prompt.Warnings); !slices.Equal(got, want) {
			t.Errorf("%s: the prompt warns of %v, want %v", program, got, want)
		}
		for _, w := range p.Prompt.Warnings {
			if w.Text == "" {
				t.Errorf("%s: %s says nothing", program, w.Code)
			}
		}
		if r, err := s.service.Ctl(t.Context(), "answer", p.Prompt.ID, "allow"); err != nil || r.Code != 0 {
			t.Fatalf("%+v, %v", r, err)
		}
		if err := run.Wait(); err != nil {
			t.Errorf("%s, allowed once: %v", program, err)
		}
		var past []api.FlowJSON
		s.eventually("activity", func() bool {
			if err := s.service.CtlJSON(t.Context(), &past, "activity", "--program", p.Program.Path); err != nil {
				t.Fatal(err)
			}
			return len(past) > 0
		})
		if got := codes(past[len(past)-1].Warnings); !slices.Equal(got, want) {
			t.Errorf("%s: activity warns of %v, want %v", program, got, want)
		}
		return p.Program.Path
	}
	step("setup", []string{prompt.WarnByBrowser, prompt.WarnFresh}, "http://stage.lab/agent", filepath.Join(home, "agent"))
	path := step("agent", []string{prompt.WarnByFresh, prompt.WarnFresh, prompt.WarnNoName}, "tcp", bare.String()+":80")

	var programs []api.SeenProgramJSON
	if err := s.service.CtlJSON(t.Context(), &programs, "programs"); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(programs, func(p api.SeenProgramJSON) bool { return p.Program.Path == path })
	if i < 0 || len(programs) != 3 {
		t.Fatalf("programs: %+v", programs)
	}
	if p := programs[i]; p.Allowed != 1 || p.Provenance == nil || p.Provenance.Writer == nil || p.Provenance.Writer.Name != "setup" || !p.Provenance.Writer.Fresh {
		t.Errorf("the agent: %+v, from %+v", p, p.Provenance)
	}
}

// refused runs a program that nobody is asked about and reports whether it was stopped.
func (s *scene) refused(p *lab.Program) bool {
	s.t.Helper()
	out, err := p.Run(s.t.Context(), "-echo", "tcp", s.target.String())
	if err != nil || len(out) != 1 {
		s.t.Fatalf("%s: %+v, %v", p.Path, out, err)
	}
	return !out[0].OK
}

func (s *scene) mode(m api.Mode) {
	s.t.Helper()
	if err := s.api.SetMode(s.t.Context(), m, 0); err != nil {
		s.t.Fatal(err)
	}
}

// Rules by package, application and folder are about these programs and no others.
func TestRulesByProvenance(t *testing.T) {
	l := lab.New(t)
	openTo(t, l)
	packages := l.Home.Packages()
	tool, other, nearby, free := l.Home.Program("tool"), l.Home.Program("other"), l.Home.Program("tool"), l.Home.Program("free")
	packages.Install("tools", tool.Path)
	packages.Install("others", other.Path)
	app := l.Home.At("/var/lib/snapd/snap/maps/7/bin/maps")
	inside := filepath.Join(packages.Root, "snapd/snap/maps/7/bin")
	if err := os.MkdirAll(inside, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(l.Home.Program("maps").Path, filepath.Join(inside, "maps")); err != nil {
		t.Fatal(err)
	}
	all := map[string]*lab.Program{"tool": tool, "other": other, "nearby": nearby, "free": free, "app": app}
	s := newSceneIn(t, l)
	s.mode(api.ModeBlock)
	for _, c := range []struct {
		name    string
		program rule.Program
		passes  string
	}{
		{"package", rule.Program{Package: "tools"}, "tool"},
		{"app", rule.Program{App: "maps"}, "app"},
		{"folder", rule.Program{Folder: filepath.Dir(free.Path)}, "free"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := s.allow(rule.Rule{Program: c.program})
			for name, p := range all {
				if s.refused(p) != (name != c.passes) {
					t.Errorf("%s: %s passes %v", c.name, name, name != c.passes)
				}
			}
			if err := s.api.RemoveRule(t.Context(), r.ID); err != nil {
				t.Fatal(err)
			}
			if !s.refused(all[c.passes]) {
				t.Error("it passes without the rule")
			}
		})
	}
}

// What its package updates keeps its rules; what was changed by hand asks again, and the
// person is told.
func TestUpdatedAndModified(t *testing.T) {
	for _, by := range []string{"path", "package"} {
		t.Run(by, func(t *testing.T) {
			l := lab.New(t)
			packages := l.Home.Packages()
			tool := l.Home.Program("tool")
			packages.Install("tools", tool.Path)
			s := newSceneIn(t, l)
			if by == "path" {
				s.allow(rule.Rule{Program: rule.Program{Path: tool.Path}})
			} else {
				s.allow(rule.Rule{Program: rule.Program{Package: "tools"}})
			}
			if s.refused(tool) {
				t.Fatal("it is refused what its rule allows")
			}
			if err := tool.Replace("version 2"); err != nil {
				t.Fatal(err)
			}
			packages.Install("tools", tool.Path)
			if s.refused(tool) {
				t.Error("its package's update is refused")
			}
			s.service.Restart()
			if s.refused(tool) {
				t.Error("after a restart it is refused what its rule allows")
			}
			if err := tool.Replace("a backdoor"); err != nil {
				t.Fatal(err)
			}
			run := tool.Start(t.Context(), "tcp", s.target.String())
			p := s.shown()
			want := []string{prompt.WarnModified}
			if by == "path" {
				want = []string{prompt.WarnReplaced, prompt.WarnModified}
			}
			got := codes(p.Prompt.Warnings)
			for _, w := range want {
				if !slices.Contains(got, w) {
					t.Errorf("the prompt warns of %v, not of %s", got, w)
				}
			}
			if p.Program.Package != "tools" || p.Program.Integrity != "modified" {
				t.Errorf("the program: %+v", p.Program)
			}
			if r, err := s.service.Ctl(t.Context(), "answer", p.Prompt.ID, "block"); err != nil || r.Code != 0 {
				t.Fatalf("%+v, %v", r, err)
			}
			if out, _ := run.Wait(); len(out) != 1 || out[0].OK {
				t.Errorf("%+v", out)
			}
		})
	}
}

// A program that was moved may have the rules that it had before.
func TestMovedKeepsItsRules(t *testing.T) {
	s := newScene(t)
	old := s.Home.Program("Editor-1.2.AppImage")
	s.allow(rule.Rule{Program: rule.Program{Path: old.Path}})
	if s.refused(old) {
		t.Fatal("it is refused what its rule allows")
	}
	moved := s.Home.At(filepath.Join(filepath.Dir(s.Home.Program("x").Path), "editor"))
	s.eventually("its checksum is known", func() bool {
		b, err := os.ReadFile(old.Path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(moved.Path+".new", b, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(moved.Path+".new", moved.Path); err != nil {
			t.Fatal(err)
		}
		run := moved.Start(t.Context(), "-echo", "tcp", s.target.String())
		p := s.shown()
		if len(p.Prompt.Predecessors) == 0 {
			if r, err := s.service.Ctl(t.Context(), "answer", p.Prompt.ID, "block"); err != nil || r.Code != 0 {
				t.Fatalf("%+v, %v", r, err)
			}
			_, _ = run.Wait()
			return false
		}
		if !slices.Equal(p.Prompt.Predecessors, []string{old.Path}) {
			t.Errorf("predecessors %v, want %s", p.Prompt.Predecessors, old.Path)
		}
		if r, err := s.service.Ctl(t.Context(), "answer", p.Prompt.ID, "--like", "/bin/true"); err != nil || r.Code == 0 {
			t.Errorf("the rules of any program: %+v, %v", r, err)
		}
		if r, err := s.service.Ctl(t.Context(), "answer", p.Prompt.ID, "--like", old.Path); err != nil || r.Code != 0 {
			t.Fatalf("%+v, %v", r, err)
		}
		if out, err := run.Wait(); err != nil || len(out) != 1 || !out[0].OK {
			t.Errorf("%+v, %v", out, err)
		}
		return true
	})
	if s.refused(moved) {
		t.Error("it is asked about again")
	}
	rules, err := s.api.Rules(t.Context())
	if err != nil || len(rules) != 2 || rules[1].Program.Path != moved.Path || rules[1].Origin != rule.FromAnswer {
		t.Errorf("%+v, %v", rules, err)
	}
}
