package process

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sekisho/app/flow"
)

const (
	none   = "none"   // no interpreter
	inline = "inline" // code without a script
)

func TestScript(t *testing.T) {
	// Words are split at blanks; ␣ stands for a blank in a word. The folder is /w.
	tests := []struct{ exe, argv, want string }{
		{"/usr/bin/python3.11", "python3 x.py", "/w/x.py"},
		{"/usr/bin/python3.11", "python3 /opt/x.py a b", "/opt/x.py"},
		{"/usr/bin/python3.11", "python3 -u -B ./x.py -c", "/w/x.py"},
		{"/usr/bin/python3.11", "python3 -W ignore -X dev x.py", "/w/x.py"},
		{"/usr/bin/python3.11", "python3 -Wignore -Xdev x.py", "/w/x.py"},
		{"/usr/bin/python3.11", "python3 -uW ignore x.py", "/w/x.py"},
		{"/usr/bin/python3.11", "python3 --check-hash-based-pycs always x.py", "/w/x.py"},
		{"/usr/bin/python3.11", "python3 --check-hash-based-pycs=always x.py", "/w/x.py"},
		{"/usr/bin/python3.11", "python3 -c code x.py", inline},
		{"/usr/bin/python3.11", "python3 -uc code x.py", inline},
		{"/usr/bin/python3.11", "python3 -m http.server", inline},
		{"/usr/bin/python3.11", "python3 -Im pip", inline},
		{"/usr/bin/python3.11", "python3 - x.py", inline},
		{"/usr/bin/python3.11", "python3", inline},
		{"/usr/bin/python3.11", "", inline},
		{"/usr/bin/python3.11", "python3 -i", inline},
		{"/usr/bin/python3.11", "python3 /dev/stdin", inline},
		{"/usr/bin/python3.11", "python3 /dev/fd/3", inline},
		{"/usr/bin/python3.11", "python3 /proc/self/fd/3", inline},
		{"/usr/bin/python3.11", "python3 /opt/../dev/fd/3", inline},
		{"/usr/bin/python3.11", "python3 ../x.py", "/x.py"},
		{"/usr/bin/python3.11", "python3 a/../x.py", "/w/x.py"},
		{"/usr/bin/python3.11", "python3 /opt//a/./x.py", "/opt/a/x.py"},
		{"/usr/bin/python3.11", "python3 -- -c", "/w/-c"},
		{"/usr/bin/python", "python my␣file.py", "/w/my file.py"},
		{"/usr/bin/python2.7-dbg", "python x.py", "/w/x.py"},
		{"/usr/local/bin/python3.13t", "python x.py", "/w/x.py"},
		{"/usr/bin/pypy3", "pypy3 -X x x.py", "/w/x.py"},
		{"/usr/bin/perl", "perl x.pl", "/w/x.pl"},
		{"/usr/bin/perl", "perl -w -I lib x.pl", "/w/x.pl"},
		{"/usr/bin/perl", "perl -Ilib -MFoo=bar -T x.pl", "/w/x.pl"},
		{"/usr/bin/perl", "perl -MLWP::Simple -e code x.pl", inline},
		{"/usr/bin/perl", "perl -lne code", inline},
		{"/usr/bin/perl", "perl -i.e x.pl", "/w/x.pl"},
		{"/usr/bin/perl5.36.0", "perl -E say", inline},
		{"/usr/bin/ruby3.1", "ruby -I lib -r json x.rb", "/w/x.rb"},
		{"/usr/bin/ruby3.1", "ruby -rjson -w x.rb", "/w/x.rb"},
		{"/usr/bin/ruby3.1", "ruby -C /srv x.rb", "/srv/x.rb"},
		{"/usr/bin/ruby3.1", "ruby -C sub x.rb", "/w/sub/x.rb"},
		{"/usr/bin/ruby3.1", "ruby -ne code", inline},
		{"/usr/bin/ruby3.1", "ruby --encoding utf-8 x.rb", "/w/x.rb"},
		{"/usr/bin/node", "node x.js", "/w/x.js"},
		{"/usr/bin/node", "node -r dotenv/config --require y x.js", "/w/x.js"},
		{"/usr/bin/node", "node --require=y --max-old-space-size=4096 --inspect x.js", "/w/x.js"},
		{"/usr/bin/node", "node --import tsx x.ts", "/w/x.ts"},
		{"/usr/bin/node", "node inspect x.js", "/w/x.js"},
		{"/usr/bin/node", "node -e code", inline},
		{"/usr/bin/node", "node --eval=code x.js", inline},
		{"/usr/bin/node", "node -p 1", inline},
		{"/usr/bin/node", "node", inline},
		{"/usr/bin/nodejs", "nodejs /usr/bin/npm install", "/usr/bin/npm"},
		{"/usr/bin/deno", "deno run --allow-net -c deno.json x.ts", "/w/x.ts"},
		{"/usr/bin/deno", "deno x.ts", "/w/x.ts"},
		{"/usr/bin/deno", "deno run https://example.com/x.ts", inline},
		{"/usr/bin/deno", "deno eval code", inline},
		{"/usr/bin/bun", "bun run x.ts", "/w/x.ts"},
		{"/usr/bin/bun", "bun run dev", inline},
		{"/usr/bin/bun", "bun --cwd=/srv ./x.ts", "/srv/x.ts"},
		{"/usr/bin/bun", "bun -e code", inline},
		{"/usr/bin/bun", "bun install", inline},
		{"/usr/bin/php8.2", "php x.php", "/w/x.php"},
		{"/usr/bin/php8.2", "php -d a=b -f x.php y.php", "/w/x.php"},
		{"/usr/bin/php8.2", "php -da=b x.php", "/w/x.php"},
		{"/usr/bin/php8.2", "php -S localhost:80 -t www r.php", "/w/r.php"},
		{"/usr/bin/php8.2", "php -r code", inline},
		{"/usr/bin/lua5.4", "lua -l socket x.lua", "/w/x.lua"},
		{"/usr/bin/lua5.4", "lua -e code x.lua", inline},
		{"/usr/bin/luajit-2.1.0-beta3", "luajit -O3 x.lua", "/w/x.lua"},
		{"/usr/bin/bash", "bash x.sh", "/w/x.sh"},
		{"/usr/bin/bash", "bash -O extglob +O nullglob x.sh", "/w/x.sh"},
		{"/usr/bin/bash", "bash --rcfile r --norc x.sh", "/w/x.sh"},
		{"/usr/bin/bash", "bash -euo pipefail x.sh", "/w/x.sh"},
		{"/usr/bin/bash", "bash -euo pipefail -c code", inline},
		{"/usr/bin/bash", "bash -lc code", inline},
		{"/usr/bin/bash", "bash -s x.sh", inline},
		{"/usr/bin/bash", "-bash", inline},
		{"/usr/bin/bash", "bash /dev/fd/63", inline},
		{"/usr/bin/dash", "sh -e /etc/x.sh", "/etc/x.sh"},
		{"/usr/bin/dash", "sh -c code", inline},
		{"/usr/bin/zsh", "zsh -o errexit --emulate sh x.zsh", "/w/x.zsh"},
		{"/usr/bin/ksh93", "ksh -x x.ksh", "/w/x.ksh"},
		{"/usr/bin/fish", "fish --no-config x.fish", "/w/x.fish"},
		{"/usr/bin/fish", "fish -d all x.fish", "/w/x.fish"},
		{"/usr/bin/fish", "fish --command=code", inline},
		{"/bin/busybox", "sh x.sh", "/w/x.sh"},
		{"/bin/busybox", "busybox sh -e x.sh", "/w/x.sh"},
		{"/bin/busybox", "busybox ash -c code", inline},
		{"/bin/busybox", "-sh", inline},
		{"/bin/busybox", "wget http://x/", none},
		{"/bin/busybox", "busybox wget http://x/", none},
		{"/bin/busybox", "", none},
		{"/usr/bin/tclsh8.6", "tclsh -encoding utf-8 x.tcl", "/w/x.tcl"},
		{"/usr/bin/wish8.6", "wish x.tcl -f y", "/w/x.tcl"},
		{"/usr/bin/expect", "expect -f x.exp", "/w/x.exp"},
		{"/usr/bin/guile-3.0", "guile -L lib -s x.scm", "/w/x.scm"},
		{"/usr/bin/guile-3.0", "guile -c code", inline},
		{"/usr/bin/Rscript", "Rscript --vanilla x.R", "/w/x.R"},
		{"/usr/bin/Rscript", "Rscript -e code", inline},
		{"/usr/lib/R/bin/exec/R", "R --no-echo --file=x.R --args a", "/w/x.R"},
		{"/usr/lib/R/bin/exec/R", "R", inline},
		{"/usr/lib/jvm/java-17/bin/java", "java -Xmx1g -jar x.jar y", "/w/x.jar"},
		{"/usr/lib/jvm/java-17/bin/java", "java -cp a.jar:b.jar com.example.Main", inline},
		{"/usr/lib/jvm/java-17/bin/java", "java --module-path m -m a/b.C", inline},
		{"/usr/lib/jvm/java-17/bin/java", "java --source 21 Hello.java", "/w/Hello.java"},
		{"/usr/bin/mono-sgen", "mono --debug x.exe", "/w/x.exe"},
		{"/usr/bin/dotnet", "dotnet exec x.dll", "/w/x.dll"},
		{"/usr/bin/dotnet", "dotnet run", inline},
		{"/opt/microsoft/powershell/7/pwsh", "pwsh -NoProfile -ExecutionPolicy Bypass -File x.ps1", "/w/x.ps1"},
		{"/opt/microsoft/powershell/7/pwsh", "pwsh x.ps1", "/w/x.ps1"},
		{"/opt/microsoft/powershell/7/pwsh", "pwsh -Command code", inline},
		{"/usr/bin/gawk", "gawk -f x.awk", "/w/x.awk"},
		{"/usr/bin/gawk", "gawk code file", inline},
		{"/usr/bin/gjs", "gjs -I lib x.js", "/w/x.js"},
		{"/usr/bin/curl", "curl x.py", none},
		{"/usr/bin/osascript", "osascript x", none},
		{"/usr/sbin/php-fpm8.2", "php-fpm x", none},
		{"/home/u/python-updater", "python-updater x", none},
		{"", "python3 x.py", none},
	}
	for _, tt := range tests {
		var args []string
		for w := range strings.FieldsSeq(tt.argv) {
			args = append(args, strings.ReplaceAll(w, "␣", " "))
		}
		script, in := Script(tt.exe, args, "/w")
		got := script
		switch {
		case script == "" && in:
			got = inline
		case script == "":
			got = none
		case in:
			got += " and inline"
		}
		if got != tt.want {
			t.Errorf("%s: %s: %s, want %s", tt.exe, tt.argv, got, tt.want)
		}
	}
	if script, in := Script("/usr/bin/python3", []string{"python3", "x.py"}, ""); script != "" || !in {
		t.Errorf("a relative script from nowhere is %q, %v", script, in)
	}
}

// A ".." after a folder goes up from where that leads, which may be a link that is turned
// as soon as the file is open: such a path names no script.
func TestScriptAboveALink(t *testing.T) {
	dir := t.TempDir()
	trusted := write(t, filepath.Join(dir, "opt/a.py"), "", 0o644)
	write(t, filepath.Join(dir, "evil/opt/a.py"), "", 0o644)
	if err := os.MkdirAll(filepath.Join(dir, "evil/x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("evil/x", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for rel, want := range map[string]string{
		"opt/a.py":                trusted,
		"./opt/a.py":              trusted,
		"../x/../opt/a.py":        "",
		"./opt/../opt/a.py":       "",
		"link/../opt/a.py":        "",
		"opt/../link/../opt/a.py": "",
		dir + "/link/../opt/a.py": "",
		"gone/../opt/a.py":        "",
	} {
		tr := tracker(t, Config{})
		tr.Exec(Exec{ID: pid(1), Path: "/usr/bin/python3.11", Args: []string{"python3", rel}, Dir: dir})
		p, _ := tr.Find(pid(1))
		if p.Script != want || p.Inline != (want == "") {
			t.Errorf("%s is %q (inline %v), want %q", rel, p.Script, p.Inline, want)
		}
	}
}

// A process with a root folder of its own sees another file under that name.
func TestScriptInAnotherRoot(t *testing.T) {
	dir := t.TempDir()
	ours := write(t, filepath.Join(dir, "a.py"), "ours", 0o644)
	root := filepath.Join(dir, "root")
	link := func(target, name string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	stat := "5 (python3) S 0 0 0 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1 0 0"
	write(t, filepath.Join(dir, "proc/5/stat"), stat, 0o644)
	link("mnt:[1]", "proc/5/ns/mnt")
	link("mnt:[1]", "proc/self/ns/mnt")
	link(root, "proc/5/root")
	id := flow.ProcessID{PID: 5, Start: tick}
	find := func() (string, bool) {
		tr := tracker(t, Config{Proc: filepath.Join(dir, "proc")})
		tr.Exec(Exec{ID: id, Path: "/usr/bin/python3.11", Args: []string{"python3", ours}, Dir: "/"})
		p, _ := tr.Find(id)
		return p.Script, p.Inline
	}
	if s, in := find(); s != "" || !in {
		t.Errorf("a script that is not there is %q, %v", s, in)
	}
	write(t, filepath.Join(root, ours), "theirs", 0o644)
	if s, in := find(); s != "" || !in {
		t.Errorf("another file of the name is %q, %v", s, in)
	}
	if err := os.Remove(filepath.Join(root, ours)); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(ours, filepath.Join(root, ours)); err != nil {
		t.Fatal(err)
	}
	if s, in := find(); s != ours || in {
		t.Errorf("the same file is %q, %v", s, in)
	}
}

func FuzzScript(f *testing.F) {
	f.Add("/usr/bin/python3.11", "python3\x00-W\x00ignore\x00x.py", "/w")
	f.Add("/bin/busybox", "busybox\x00sh\x00-c", "/w")
	f.Add("/usr/bin/bash", "bash\x00-euo\x00pipefail\x00x", "/w")
	f.Add("/usr/bin/pwsh", "pwsh\x00-File", "")
	f.Fuzz(func(t *testing.T, exe, argv, dir string) {
		script, in := Script(exe, strings.Split(argv, "\x00"), dir)
		if script != "" && (in || !filepath.IsAbs(script) || filepath.Clean(script) != script) {
			t.Errorf("%q, %v", script, in)
		}
		if (script != "" || in) && !IsInterpreter(exe) {
			t.Errorf("%q is no interpreter, and runs %q", exe, script)
		}
	})
}
