package rule

import (
	"strings"
	"testing"

	"sekisho/app/flow"
)

func TestTrust(t *testing.T) {
	const packaged = "some-package"
	trust := Trust{
		Interpreter: func(p string) bool { return strings.HasPrefix(p, "/usr/bin/python3") },
		RootsOwn:    func(p string) bool { return !strings.HasPrefix(p, "/opt/shared/") },
	}
	at := func(path string) *flow.Process {
		return &flow.Process{Program: flow.Program{Path: path, Package: packaged}}
	}
	with := func(path string, change func(*flow.Process)) *flow.Process {
		p := at(path)
		change(p)
		return p
	}
	for _, c := range []struct {
		name string
		p    *flow.Process
		want Distrust
	}{
		{"a browser", at("/usr/lib/firefox/firefox"), ""},
		{"one outside /usr", at("/opt/google/chrome/chrome"), ""},
		{"a mail program", at("/usr/bin/thunderbird"), ""},
		{"a system program", at("/usr/libexec/geoclue"), ""},
		{"the name of a fetcher is the beginning of its own", at("/usr/bin/curlew"), ""},
		{"the name of a fetcher is its end", at("/usr/bin/filezilla-ssh-askpass"), ""},
		{"a folder of that name", at("/usr/lib/ssh/unrelated"), ""},

		{"nothing known", nil, DistrustUnknown},
		{"no path", at(""), DistrustUnknown},
		{"the kernel", at(flow.KernelPath), DistrustUnknown},
		{"passed on for others", at(flow.ForwardedPath), DistrustUnknown},
		{"no package", with("/home/a/firefox", func(p *flow.Process) { p.Package = "" }), DistrustNoPackage},
		{"in a container", with("/usr/bin/thunderbird", func(p *flow.Process) { p.Container = "docker:2f1a" }), DistrustNoPackage},
		{"of an application", with("/usr/bin/thunderbird", func(p *flow.Process) { p.App = "org.mozilla.Thunderbird" }), DistrustNoPackage},
		{"intact", with("/usr/bin/thunderbird", func(p *flow.Process) { p.Integrity = flow.Intact }), ""},
		{"replaced", with("/usr/lib/firefox/firefox", func(p *flow.Process) { p.Replaced = true }), DistrustReplaced},
		{"deleted", at("/usr/lib/firefox/firefox (deleted)"), DistrustReplaced},
		{"modified", with("/usr/lib/firefox/firefox", func(p *flow.Process) { p.Integrity = flow.Modified }), DistrustReplaced},
		{"in a folder of a group", at("/opt/shared/tool"), DistrustNotRoots},
		{"a script of a package", with("/usr/bin/python3.13", func(p *flow.Process) { p.Script = "/usr/bin/gajim" }), DistrustScript},
		{"a script of some other interpreter", with("/usr/bin/newlang", func(p *flow.Process) { p.Script = "/usr/bin/gajim" }), DistrustScript},
		{"code on the command line", with("/usr/bin/newlang", func(p *flow.Process) { p.Inline = true }), DistrustScript},

		{"an interpreter that the service knows", at("/usr/bin/python3.13"), DistrustInterpreter},
		{"an interpreter with a version", at("/usr/bin/lua5.4"), DistrustInterpreter},
		{"with more than a version", at("/usr/bin/perl5.36-x86_64-linux-gnu"), DistrustInterpreter},
		{"a shell", at("/usr/bin/dash"), DistrustInterpreter},
		{"the dynamic linker", at("/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"), DistrustInterpreter},
		{"an older one", at("/usr/lib/x86_64-linux-gnu/ld-2.31.so"), DistrustInterpreter},
		{"that of musl", at("/lib/ld-musl-x86_64.so.1"), DistrustInterpreter},
		{"an emulator", at("/usr/bin/qemu-x86_64-static"), DistrustInterpreter},
		{"another machine", at("/usr/bin/qemu-system-x86_64"), DistrustInterpreter},
		{"many programs in one file", at("/usr/bin/busybox"), DistrustInterpreter},
		{"an editor with a language", at("/usr/bin/vim.gtk3"), DistrustInterpreter},
		{"another", at("/usr/bin/emacs-29.4"), DistrustInterpreter},

		{"curl", at("/usr/bin/curl"), DistrustFetcher},
		{"wget2", at("/usr/bin/wget2"), DistrustFetcher},
		{"one of several", at("/usr/bin/nc.openbsd"), DistrustFetcher},
		{"ssh", at("/usr/bin/ssh"), DistrustFetcher},
		{"what git starts", at("/usr/lib/git-core/git-remote-http"), DistrustFetcher},
		{"apt's fetcher, which takes orders from whoever starts it", at("/usr/lib/apt/methods/http"), DistrustFetcher},
		{"carries other programs' traffic", at("/usr/bin/pasta.avx2"), DistrustFetcher},
		{"a proxy", at("/usr/bin/tor"), DistrustFetcher},
		{"asks any name server", at("/usr/bin/dig"), DistrustFetcher},
		{"fetches pictures from anywhere", at("/usr/bin/convert-im6.q16"), DistrustFetcher},
		{"sends any text anywhere", at("/usr/bin/logger"), DistrustFetcher},
		{"a launcher of Java, which takes agents", at("/usr/lib/jvm/java-17-openjdk-amd64/bin/keytool"), DistrustFetcher},
		{"capital letters", at("/opt/x/NetCat"), DistrustFetcher},
		{"the desktop's fetcher", at("/usr/libexec/gvfs/gvfsd-http"), DistrustFetcher},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := trust.Judge(c.p, flow.Out); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
	if got := trust.Judge(at("/usr/lib/firefox/firefox"), flow.In); got != DistrustIncoming {
		t.Errorf("incoming: %q", got)
	}
}
