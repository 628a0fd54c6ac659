package names

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestResolvers(t *testing.T) {
	root := t.TempDir()
	put := func(path, text string) {
		t.Helper()
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	now := start
	r := NewResolvers(root)
	r.clock = func() time.Time { return now }
	check := func(what string, want ...string) {
		t.Helper()
		now = now.Add(resolverPause)
		got := r.Servers()
		if !slices.Equal(got, addrs(want...)) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
		for _, a := range got {
			if !r.Has(a) {
				t.Errorf("%s: %v is not among them", what, a)
			}
		}
	}
	check("nothing there", "127.0.0.1", "::1")
	put("etc/resolv.conf", "# a comment\nnameserver 192.0.2.53 # mine\nnameserver  fe80::1%eth0\n;nameserver 192.0.2.66\noptions use-vc\n nameserver ::ffff:192.0.2.54\nnameserver\nnameserver example.com\nnameserver 224.0.0.251\nsearch nameserver 192.0.2.67\n")
	check("a file", "192.0.2.53", "fe80::1", "192.0.2.54")

	put("etc/resolv.conf", "nameserver 127.0.0.53\n")
	if got := r.Servers(); len(got) != 3 {
		t.Errorf("looked again at once: %v", got)
	}
	put("run/systemd/resolve/resolv.conf", "nameserver 198.51.100.1\nnameserver 127.0.0.53\nnameserver 2001:db8::53\n")
	check("a stub and whom it asks", "127.0.0.53", "198.51.100.1", "2001:db8::53")
	if r.Has(addrs("192.0.2.53")[0]) {
		t.Error("the server of before is still believed")
	}
	put("run/NetworkManager/no-stub-resolv.conf", "nameserver 198.51.100.2")
	check("NetworkManager's", "127.0.0.53", "198.51.100.1", "2001:db8::53", "198.51.100.2")

	// The same again, with a link in between.
	if err := os.Remove(filepath.Join(root, "etc/resolv.conf")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../run/NetworkManager/no-stub-resolv.conf", filepath.Join(root, "etc/resolv.conf")); err != nil {
		t.Fatal(err)
	}
	check("a link", "198.51.100.2", "198.51.100.1", "127.0.0.53", "2001:db8::53")
	put("run/NetworkManager/no-stub-resolv.conf", "nameserver 198.51.100.3")
	check("what it leads to changed", "198.51.100.3", "198.51.100.1", "127.0.0.53", "2001:db8::53")
	if err := os.RemoveAll(filepath.Join(root, "run/systemd")); err != nil {
		t.Fatal(err)
	}
	check("resolved stopped", "198.51.100.3")

	var many strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&many, "nameserver 10.0.%d.%d\n", i/256, i%256)
	}
	put("run/NetworkManager/no-stub-resolv.conf", many.String())
	if now = now.Add(resolverPause); len(r.Servers()) != maxResolvers {
		t.Errorf("%d servers", len(r.Servers()))
	}
	put("run/NetworkManager/no-stub-resolv.conf", "")
	if err := os.Remove(filepath.Join(root, "etc/resolv.conf")); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(root, "etc/resolv.conf"), 0o644); err != nil {
		t.Fatal(err)
	}
	check("a pipe that nobody writes to", "127.0.0.1", "::1")
}

func BenchmarkResolvers(b *testing.B) {
	r := NewResolvers(b.TempDir())
	a := addrs("127.0.0.1")[0]
	b.ReportAllocs()
	for b.Loop() {
		if !r.Has(a) {
			b.Fatal("not there")
		}
	}
}
