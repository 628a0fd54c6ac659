package process

import (
	"bytes"
	"context"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/app/flow"
)

// A small Debian system: merged folders, a diversion, an alternative, a configuration file.
func debian(t testing.TB) string {
	root := t.TempDir()
	put := func(path, content string) { write(t, filepath.Join(root, path), content, 0o644) }
	link := func(path, to string) {
		if err := os.Symlink(to, filepath.Join(root, path)); err != nil {
			t.Fatal(err)
		}
	}
	put("usr/bin/ls", "ls\n")
	put("usr/bin/mawk", "mawk\n")
	put("usr/bin/perf", "perf's wrapper\n")
	put("usr/bin/perf.real", "perf\n")
	put("usr/bin/tool", "the administrator's\n")
	put("usr/bin/tool.dist", "tool\n")
	put("etc/tool.conf", "a=1\n")
	put("usr/bin/own", "own\n")
	put("etc/alternatives/README", "")
	link("bin", "usr/bin")
	link("usr/bin/awk", "/etc/alternatives/awk")
	link("etc/alternatives/awk", "/usr/bin/mawk")
	put("var/lib/dpkg/status", "Package: tool\nStatus: install ok installed\nArchitecture: amd64\nConffiles:\n"+
		" /etc/tool.conf 4acf3afac254a23650e51d54f03b5b24 obsolete\n\n"+
		"Package: toolbox\nArchitecture: amd64\nConffiles:\n /etc/tool.conf 00000000000000000000000000000000\n")
	put("var/lib/dpkg/info/coreutils.list", "/.\n/bin\n/bin/ls\n")
	put("var/lib/dpkg/info/coreutils.md5sums", "06e5a5e8f2b8a1e0f3d8d5ba3a0a8c7f  bin/ls\n")
	put("var/lib/dpkg/info/mawk:amd64.list", "/.\n/usr\n/usr/bin\n/usr/bin/mawk\n")
	put("var/lib/dpkg/info/perf.list", "/usr/bin/perf\n")
	put("var/lib/dpkg/info/wrapper.list", "/usr/bin/perf\n")
	put("var/lib/dpkg/info/tool.list", "/usr/bin/tool\n/etc\n/etc/tool.conf\n")
	put("var/lib/dpkg/info/own.list", "/usr/bin/own\n")
	put("var/lib/dpkg/diversions", "/bin/perf\n/bin/perf.real\nwrapper\n/usr/bin/tool\n/usr/bin/tool.dist\n:\n")
	return root
}

func TestPackages(t *testing.T) {
	root := debian(t)
	// The sum of what is there, and of other content.
	sums := filepath.Join(root, "var/lib/dpkg/info")
	write(t, filepath.Join(sums, "coreutils.md5sums"), md5Hex("ls\n")+"  bin/ls\n", 0o644)
	write(t, filepath.Join(sums, "mawk:amd64.md5sums"), md5Hex("gawk\n")+"  usr/bin/mawk\n", 0o644)
	write(t, filepath.Join(sums, "perf.md5sums"), md5Hex("perf\n")+"  usr/bin/perf\n", 0o644)
	write(t, filepath.Join(sums, "tool.md5sums"), md5Hex("tool\n")+"  usr/bin/tool\n", 0o644)
	if err := os.Chown(filepath.Join(root, "usr/bin/own"), 12345, 12345); err != nil {
		t.Fatal(err)
	}
	p := NewPackages(root)
	for path, want := range map[string]struct {
		name string
		is   flow.Integrity
	}{
		"/usr/bin/ls":        {"coreutils", flow.Intact}, // listed as /bin/ls
		"/bin/ls":            {"coreutils", flow.Intact},
		"/usr/bin/mawk":      {"mawk", flow.Modified},
		"/usr/bin/awk":       {"mawk", flow.Modified},          // an alternative
		"/usr/bin/perf":      {"wrapper", ""},                  // it has no sums
		"/usr/bin/perf.real": {"perf", flow.Intact},            // diverted by wrapper
		"/usr/bin/tool":      {"", ""},                         // diverted by the administrator
		"/usr/bin/tool.dist": {"tool", flow.Intact},            //
		"/etc/tool.conf":     {"tool", flow.Modified},          // of the right paragraph
		"/usr/bin/own":       {"", flow.UnknownIntegrity},      // somebody else may replace it
		"/usr/bin/l":         {"", ""}, "usr/bin/ls": {"", ""}, // no path
		"/etc/group": {"", ""}, "": {"", ""}, "/usr/bin/ls\n": {"", ""},
	} {
		if got := p.Of(path); got != want.name {
			t.Errorf("%q is of %q, want %q", path, got, want.name)
		}
		if got := p.Check(path, flow.Executable{}); got != want.is {
			t.Errorf("%q is %q, want %q", path, got, want.is)
		}
	}
}

// What is modified, put back and replaced is noticed; another file than the one that runs
// says nothing.
func TestCheckFollowsTheFile(t *testing.T) {
	root := debian(t)
	file := filepath.Join(root, "usr/bin/ls")
	write(t, filepath.Join(root, "var/lib/dpkg/info/coreutils.md5sums"), md5Hex("ls\n")+"  bin/ls\n", 0o644)
	p := NewPackages(root)
	is := func(want flow.Integrity, exe flow.Executable) {
		t.Helper()
		for range 2 { // the second time it is remembered
			if got := p.Check("/usr/bin/ls", exe); got != want {
				t.Fatalf("it is %q, want %q", got, want)
			}
		}
	}
	is(flow.Intact, executable(t, file))
	before := executable(t, file)
	write(t, file, "sl\n", 0o755) // of the same size
	is(flow.Modified, flow.Executable{})
	is(flow.UnknownIntegrity, before)
	write(t, file, "ls\n", 0o755)
	is(flow.Intact, executable(t, file))
	// An update: the file, then its sum. As long as dpkg is at work nobody can tell.
	write(t, file, "ls 2\n", 0o755)
	lock, err := os.Create(filepath.Join(root, "var/lib/dpkg/lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := unix.FcntlFlock(lock.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}); err != nil {
		t.Fatal(err)
	}
	is(flow.UnknownIntegrity, executable(t, file))
	lock.Close()
	is(flow.Modified, executable(t, file))
	write(t, filepath.Join(root, "var/lib/dpkg/info/coreutils.md5sums"), md5Hex("ls 2\n")+"  bin/ls\n", 0o644)
	write(t, filepath.Join(root, "var/lib/dpkg/status"), "Package: coreutils\n\n", 0o644)
	time.Sleep(1100 * time.Millisecond) // it is not read anew all the time
	is(flow.Intact, executable(t, file))
}

// A package that comes later is known, its files are not those of one that went.
func TestPackagesChange(t *testing.T) {
	root := debian(t)
	p := NewPackages(root)
	if got := p.Of("/usr/bin/own"); got != "own" {
		t.Fatalf("it is of %q", got)
	}
	info := filepath.Join(root, "var/lib/dpkg/info")
	if err := os.Rename(filepath.Join(info, "own.list"), filepath.Join(info, "other.list")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(info, "new.list"), "/usr/bin/new\n", 0o644)
	write(t, filepath.Join(root, "usr/bin/new"), "", 0o755)
	time.Sleep(1100 * time.Millisecond) // it is not read anew all the time
	// What is unknown is looked for anew; what is known only by Run.
	for _, c := range [][2]string{{"/usr/bin/own", "own"}, {"/usr/bin/new", "new"}, {"/usr/bin/own", "other"}} {
		path, want := c[0], c[1]
		if got := p.Of(path); got != want {
			t.Errorf("%s is of %q, want %q", path, got, want)
		}
	}
}

func TestPackagesRun(t *testing.T) {
	p := NewPackages(debian(t))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- p.Run(ctx) }()
	for p.files.Generation() == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-ended; err != nil || p.Problem() != nil {
		t.Error(err, p.Problem())
	}
}

// realPackages are files of n installed packages of this machine, as dpkg itself tells.
func realPackages(t testing.TB, n int) map[string][]string {
	t.Helper()
	out, err := exec.Command("dpkg-query", "-W", "-f", "${binary:Package}\n").Output()
	if err != nil {
		t.Fatalf("dpkg-query: %v", err)
	}
	all := strings.Fields(string(out))
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	must := []string{"coreutils", "dash", "bash", "libc6:amd64", "mawk", "perl-base"}
	all = append(slices.DeleteFunc(must, func(s string) bool { return !slices.Contains(all, s) }), all...)
	owners := map[string][]string{}
	for _, name := range slices.Compact(all[:n]) {
		out, err := exec.Command("dpkg", "-L", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		for path := range strings.Lines(string(out)) {
			path = strings.TrimSuffix(path, "\n")
			plain, _, _ := strings.Cut(name, ":")
			if info, err := os.Stat(path); err == nil && !info.IsDir() && strings.HasPrefix(path, "/") {
				owners[path] = append(owners[path], plain)
			}
		}
	}
	return owners
}

// Every file of 50 packages of this machine, by dpkg's own word: under its listed name, and
// under the one by which the kernel knows it.
func TestFilesOf50Packages(t *testing.T) {
	p := NewPackages("")
	p.Of("/usr/bin/env")
	owners := realPackages(t, 50)
	if len(owners) < 1000 {
		t.Fatalf("only %d files", len(owners))
	}
	wrong := 0
	for path, names := range owners {
		folder, err := filepath.EvalSymlinks(filepath.Dir(path))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{path, filepath.Join(folder, filepath.Base(path))} {
			o, _, _ := p.owner(path)
			if !slices.Contains(names, o.Package) && !divertedHere(t, path, o.Package) {
				if wrong++; wrong < 10 {
					t.Errorf("%s is of %q, dpkg says %q", path, o.Package, names)
				}
			}
		}
	}
	t.Logf("%d files", len(owners))
}

// divertedHere reports whether dpkg says that a file is another package's than the one that
// lists it, because it was diverted.
func divertedHere(t *testing.T, path, owner string) bool {
	out, err := exec.Command("dpkg", "-S", path).Output()
	return err == nil && bytes.Contains(out, []byte("diversion")) && bytes.Contains(out, []byte(owner+":"))
}

// The programs of those packages are what was installed, and an altered copy is not.
func TestProgramsOf50PackagesAreIntact(t *testing.T) {
	p := NewPackages("")
	count := map[flow.Integrity]int{}
	for path := range maps.Keys(realPackages(t, 50)) {
		if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 && p.Of(path) != "" {
			is := p.Check(path, executable(t, path))
			count[is]++
			if is == flow.Modified {
				out, _ := exec.Command("dpkg", "-V", p.Of(path)).Output()
				if !bytes.Contains(out, []byte(path)) {
					t.Errorf("%s is modified; dpkg finds nothing:\n%s", path, out)
				}
			}
		}
	}
	if count[flow.Intact] < 100 {
		t.Errorf("%v", count)
	}
	t.Log(count)
}

func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc / 1024)
}

func BenchmarkPackagesFirst(b *testing.B) {
	b.ReportAllocs()
	before := heap()
	var p *Packages
	for b.Loop() {
		p = NewPackages("")
		p.Of("/usr/bin/env")
	}
	b.ReportMetric(float64(heap()-before), "KiB-kept")
	runtime.KeepAlive(p)
}

func BenchmarkPackagesOf(b *testing.B) {
	p := NewPackages("")
	paths := slices.Collect(maps.Keys(realPackages(b, 50)))
	p.Of("/usr/bin/env")
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		p.Of(paths[i%len(paths)])
	}
}

func BenchmarkPackagesCheck(b *testing.B) {
	p := NewPackages("")
	exe := executable(b, "/usr/bin/env")
	for b.Loop() {
		if p.Check("/usr/bin/env", exe) != flow.Intact {
			b.Fatal("it is not intact")
		}
	}
}
