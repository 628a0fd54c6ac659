package process

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestPackages(t *testing.T) {
	dir := t.TempDir()
	put := func(name, content string) {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("status", "")
	put("info/coreutils.list", "/.\n/bin\n/bin/ls\n/usr/bin/env\n")
	put("info/libc6:amd64.list", "/.\n/etc/passwd\n")
	p := NewPackages(dir)
	for path, want := range map[string]string{
		"/usr/bin/env": "coreutils",
		"/usr/bin/ls":  "coreutils", // listed as /bin/ls
		"/etc/passwd":  "libc6",
		"/bin":         "coreutils",
		"/usr/bin/en":  "",
		"usr/bin/env":  "",
		"/etc/group":   "",
		"":             "",
	} {
		if got := p.Of(path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
	// A file that somebody else may replace is no package's, whatever the list says.
	put("info/mine.list", "/.\n"+filepath.Join(dir, "own")+"\n")
	put("own", "")
	later := time.Now().Add(time.Minute)
	if err := os.Chtimes(filepath.Join(dir, "status"), later, later); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(filepath.Join(dir, "own"), 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if got := p.Of(filepath.Join(dir, "own")); got != "" {
		t.Errorf("a user's file is of package %q", got)
	}
}

// The machine's own database.
func TestPackagesOfThisMachine(t *testing.T) {
	env, err := filepath.EvalSymlinks("/usr/bin/env")
	if err != nil {
		t.Fatal(err)
	}
	if got := NewPackages("").Of(env); got != "coreutils" && got != "rust-coreutils" {
		t.Errorf("%s is of %q", env, got)
	}
}

func BenchmarkPackagesNew(b *testing.B) {
	for b.Loop() {
		NewPackages("").Of("/usr/bin/env")
	}
}
