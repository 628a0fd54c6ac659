package rule

import (
	"strings"
	"testing"

	"sekisho/app/flow"
)

// What a program is by where it came from: a user's claim allows nothing, and blocks.
func TestMatchesOrigin(t *testing.T) {
	curl := flow.Program{Path: "/usr/bin/curl", Package: "curl"}
	with := func(p flow.Program, change func(*flow.Program)) flow.Program { change(&p); return p }
	firefox := flow.Program{Path: "/app/lib/firefox", App: "org.mozilla.firefox"}
	claimed := with(firefox, func(p *flow.Program) { p.OwnApp = true })
	modified := with(curl, func(p *flow.Program) { p.Integrity = flow.Modified })
	intact := with(curl, func(p *flow.Program) { p.Integrity = flow.Intact })
	krita := flow.Program{Path: "/tmp/.mount_x/AppRun", App: "/home/a/Krita.AppImage", OwnApp: true}
	python3 := flow.Program{Path: "/usr/bin/python3", Package: "python3"}
	script := flow.Program{Path: "/usr/bin/python3", Script: "/home/a/bin/sync.py"}
	inline := with(script, func(p *flow.Program) { p.Inline = true })
	game := flow.Program{Path: "/home/a/Games/tux/tux"}
	for _, c := range []struct {
		name         string
		operand      Program
		program      flow.Program
		allow, block bool
	}{
		{"package", Program{Package: "curl"}, curl, true, true},
		{"package, checked", Program{Package: "curl"}, intact, true, true},
		{"package, modified", Program{Package: "curl"}, modified, false, true},
		{"package and path", Program{Package: "curl", Path: "/usr/bin/curl"}, curl, true, true},
		{"package of an interpreter", Program{Package: "python3"}, python3, true, true},
		{"package of an interpreter, a script", Program{Package: "python3"}, with(python3, func(p *flow.Program) { p.Script = "/home/a/x.py" }), false, true},
		{"package of an interpreter, inline code", Program{Package: "python3"}, with(python3, func(p *flow.Program) { p.Inline = true }), false, true},
		{"package of an interpreter, named", Program{Package: "python3", Path: "/usr/bin/python3"}, with(python3, func(p *flow.Program) { p.Inline = true }), true, true},
		{"another package", Program{Package: "wget"}, curl, false, false},
		{"no package", Program{Package: "curl"}, game, false, false},
		{"app", Program{App: "org.mozilla.firefox"}, firefox, true, true},
		{"app, claimed", Program{App: "org.mozilla.firefox"}, claimed, false, true},
		{"app, only so named", Program{App: "org.mozilla.firefox.Locale"}, firefox, false, false},
		{"AppImage", Program{App: "/home/a/Krita.AppImage"}, krita, false, true},
		{"folder", Program{Folder: "/home/a/Games"}, game, true, true},
		{"folder, spelt with a slash", Program{Folder: "/home/a/Games/"}, game, true, true},
		{"folder, the file's own", Program{Folder: "/home/a/Games/tux"}, game, true, true},
		{"folder, the file itself", Program{Folder: "/home/a/Games/tux/tux"}, game, false, false},
		{"folder, only so named", Program{Folder: "/home/a/Game"}, game, false, false},
		{"folder of a script", Program{Folder: "/home/a"}, script, true, true},
		{"folder of its interpreter", Program{Folder: "/usr/bin"}, script, false, false},
		{"folder, inline code", Program{Folder: "/usr/bin"}, inline, false, false},
		{"folder, inline code that names a script", Program{Folder: "/home/a"}, inline, false, false},
		{"folder, the kernel", Program{Folder: "/usr"}, flow.Program{Path: flow.KernelPath}, false, false},
		{"folder, nobody", Program{Folder: "/usr"}, flow.Program{}, false, false},
	} {
		q := Query{Process: &flow.Process{Program: c.program}, Protocol: flow.TCP}
		for action, want := range map[Action]bool{Allow: c.allow, Block: c.block} {
			r := Rule{ID: "1", Enabled: true, Action: action, Program: c.operand}
			if err := ValidateOperands(r); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			if got := r.Matches(q, Clock{}); got != want {
				t.Errorf("%s: %s matches: %v", c.name, action, got)
			}
			s := NewSet([]Rule{r})
			if _, got := s.Decide(q, Clock{}); got != want {
				t.Errorf("%s: a set with %s decides: %v", c.name, action, got)
			}
			if got := s.Explain(q, Clock{})[:]; len(got) == 1 && got[0].Matched != want {
				t.Errorf("%s: %s is explained as %+v", c.name, action, got[0].Checks)
			}
		}
	}
}

func TestExplainsOrigin(t *testing.T) {
	p := flow.Program{
		Path: "/usr/bin/curl", Package: "curl", Integrity: flow.Modified, App: "org.curl.Curl", OwnApp: true,
	}
	inline := flow.Program{Path: "/usr/bin/sh", Inline: true}
	for _, c := range []struct {
		operand Program
		program flow.Program
		want    string
	}{
		{Program{Package: "curl"}, p, "the file is no longer what curl installed"},
		{Program{Package: "dash"}, flow.Program{Path: "/usr/bin/dash", Package: "dash", Inline: true}, "is given to run is not that package's"},
		{Program{Package: "wget"}, p, "package curl is not wget"},
		{Program{App: "org.curl.Curl"}, p, "any program of the user can say that it is part of org.curl.Curl"},
		{Program{App: "spotify"}, inline, "application is unknown, not spotify"},
		{Program{Folder: "/usr"}, p, "program /usr/bin/curl matches below /usr"},
		{Program{Folder: "/opt"}, p, "program /usr/bin/curl is not below /opt"},
		{Program{Folder: "/usr"}, inline, "code given to the interpreter directly is in no folder"},
	} {
		s := NewSet([]Rule{{ID: "1", Enabled: true, Action: Allow, Program: c.operand}})
		got := s.Explain(Query{Process: &flow.Process{Program: c.program}}, Clock{})
		if why := got[0].Checks[1].Why; !strings.Contains(why, c.want) {
			t.Errorf("%+v: %q, want %q", c.operand, why, c.want)
		}
	}
}

func TestNeedsIntegrity(t *testing.T) {
	s := NewSet([]Rule{
		{ID: "1", Enabled: true, Action: Allow, Program: Program{Package: "curl"}},
		{ID: "2", Enabled: true, Action: Block, Program: Program{Package: "wget"}},
		{ID: "3", Action: Allow, Program: Program{Package: "vim"}},
	})
	for pkg, want := range map[string]bool{"curl": true, "wget": false, "vim": false, "": false} {
		if got := s.NeedsIntegrity(pkg); got != want {
			t.Errorf("%q: %v", pkg, got)
		}
	}
}
