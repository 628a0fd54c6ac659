package prompt

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"sekisho/app/flow"
)

func TestWarnings(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	lately, before := now.Add(-2*time.Minute), now.Add(-25*time.Hour)
	const home = "/home/a/Downloads"
	at := func(file string, appeared time.Time, change ...func(*flow.Provenance)) flow.Provenance {
		p := flow.Provenance{File: file, Appeared: appeared, Writable: home}
		for _, c := range change {
			c(&p)
		}
		return p
	}
	by := func(path, name string, fresh bool) func(*flow.Provenance) {
		return func(p *flow.Provenance) { p.Writer = &flow.Writer{Path: path, Name: name, At: lately, Fresh: fresh} }
	}
	system := flow.Provenance{File: "/usr/bin/curl", Package: "curl", Appeared: lately}
	parents := func(paths ...string) (all []flow.Ancestor) {
		for _, p := range paths {
			all = append(all, flow.Ancestor{Path: p, Name: "the " + p[strings.LastIndexByte(p, '/')+1:]})
		}
		return all
	}
	const office, bird = "/usr/lib/libreoffice/program/soffice.bin", "/usr/lib/thunderbird/thunderbird"
	evil := flow.Process{Program: flow.Program{Path: home + "/evil"}}
	curl := flow.Process{Program: flow.Program{Path: "/usr/bin/curl", Package: "curl"}}
	with := func(p flow.Process, change func(*flow.Process)) *flow.Process { change(&p); return &p }
	for _, c := range []struct {
		name string
		p    *flow.Process
		from flow.Provenance
		want string
	}{
		{"a package's", &curl, system, ""},
		{"nobody", nil, flow.Provenance{}, ""},
		{"the kernel", &flow.Process{Program: flow.Program{Path: flow.KernelPath}}, flow.Provenance{}, ""},
		{"fresh", &evil, at(home+"/evil", lately), "fresh=" + home},
		{"fresh, the file itself is writable", &evil, at(home+"/evil", lately, func(p *flow.Provenance) { p.Writable = p.File }), "fresh=" + home},
		{"a day old", &evil, at(home+"/evil", before), "writable-folder=" + home},
		{"of no known age", &evil, at(home+"/evil", time.Time{}), "writable-folder=" + home},
		{"fresh, from a package", &evil, at(home+"/evil", lately, func(p *flow.Provenance) { p.Package, p.Writable = "x", "" }), ""},
		{"gone", &evil, at(home+"/evil", lately, func(p *flow.Provenance) { p.Gone = true }), "deleted=" + home + "/evil"},
		{"saved by a browser", &evil, at(home+"/evil", lately, by("/usr/lib/firefox-esr/firefox-esr", "Firefox", false)), "by-browser=Firefox fresh=" + home},
		{"saved by a mailer", &evil, at(home+"/evil", before, by(bird, "Thunderbird", false)), "by-mail=Thunderbird writable-folder=" + home},
		{"written by the fresh", &evil, at(home+"/evil", lately, by(home+"/stage1", "stage1", true)), "by-fresh=stage1 fresh=" + home},
		{"a fresh browser", &evil, at(home+"/evil", lately, by(home+"/firefox", "firefox", true)), "by-fresh=firefox fresh=" + home},
		{"written by a compiler", &evil, at(home+"/evil", lately, by("/usr/bin/ld", "ld", false)), "fresh=" + home},
		{"marked", &evil, at(home+"/evil", before, func(p *flow.Provenance) { p.Origin = "evil.example" }), "fetched=evil.example writable-folder=" + home},
		{"a package's, though a browser wrote it", &curl, flow.Provenance{File: "/usr/bin/curl", Package: "curl", Writer: &flow.Writer{Path: "/usr/bin/firefox", Name: "f"}}, ""},
		{"modified", with(curl, func(p *flow.Process) { p.Integrity = flow.Modified }), system, "modified=curl"},
		{"replaced", with(evil, func(p *flow.Process) { p.Replaced = true }), at(home+"/evil", before), "replaced=" + home + "/evil writable-folder=" + home},
		{"inline", with(evil, func(p *flow.Process) { p.Inline = true }), flow.Provenance{}, "inline-code="},
		{"from an office program, by a shell", with(curl, func(p *flow.Process) { p.Parents = parents("/bin/sh", office, "/usr/bin/gnome-shell") }), system, "from-office=the soffice.bin"},
		{"from a mailer", with(evil, func(p *flow.Process) { p.Parents = parents(bird) }), at(home+"/evil", lately), "from-office=the thunderbird fresh=" + home},
		{"a mailer's own part", with(curl, func(p *flow.Process) { p.Path, p.Parents = "/usr/lib/thunderbird/pingsender", parents(bird) }), system, ""},
		{"a browser that opens its link", with(curl, func(p *flow.Process) { p.Path, p.Parents = "/usr/lib/firefox/firefox", parents("/usr/bin/sh", bird) }), system, ""},
		{"a so called browser", with(evil, func(p *flow.Process) { p.Path, p.Parents = home+"/firefox", parents(bird) }), at(home+"/firefox", before), "from-office=the thunderbird writable-folder=" + home},
		{"beside a mailer in /usr/bin", with(curl, func(p *flow.Process) { p.Parents = parents("/usr/bin/evolution") }), system, "from-office=the evolution"},
		{"code inside an office program", with(curl, func(p *flow.Process) {
			p.Path, p.Inline, p.Parents = "/usr/lib/libreoffice/program/python", true, parents(office)
		}), system, "from-office=the soffice.bin inline-code="},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &flow.Flow{Process: c.p, Remote: flow.Endpoint{Name: "example.com", Addr: netip.MustParseAddr("203.0.113.9")}}
			var got []string
			for _, w := range Warnings(f, &c.from, now) {
				got = append(got, w.Code+"="+w.Value)
				if w.Text == "" || strings.HasSuffix(w.Text, ".") || !strings.Contains(w.Text, w.Value) && w.Code != WarnReplaced && w.Code != WarnDeleted && w.Code != WarnWritableFolder {
					t.Errorf("%s: the sentence is %q", w.Code, w.Text)
				}
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("%q, want %q", s, c.want)
			}
		})
	}
}

func TestWarnsOfBareAddress(t *testing.T) {
	p := &flow.Process{Program: flow.Program{Path: "/usr/bin/curl"}}
	for addr, want := range map[string]bool{
		"203.0.113.9": true, "::ffff:203.0.113.9": true, "2001:db8::1": true, "10.0.0.1": false, "192.168.1.1": false,
		"::ffff:10.0.0.1": false, "fd00::1": false, "fe80::1": false, "127.0.0.1": false, "224.0.0.251": false,
	} {
		for _, d := range []flow.Direction{flow.Out, flow.In} {
			for _, name := range []string{"", "example.com"} {
				f := &flow.Flow{Process: p, Direction: d, Remote: flow.Endpoint{Addr: netip.MustParseAddr(addr), Name: name}}
				got := len(Warnings(f, &flow.Provenance{}, time.Now())) > 0
				if got != (want && d == flow.Out && name == "") {
					t.Errorf("%s %s %q: warned %v", d, addr, name, got)
				}
			}
		}
	}
}
