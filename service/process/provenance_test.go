package process

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/app/flow"
)

func TestWritable(t *testing.T) {
	const uid, group = 12345, 23456
	put := func(t *testing.T, path string, mode os.FileMode, uid, gid int) {
		t.Helper()
		if err := os.Chown(path, uid, gid); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	type owned struct {
		mode     os.FileMode
		uid, gid int
		acl      []aclEntry
	}
	root := owned{mode: 0o755}
	acl := func(entries ...aclEntry) owned {
		entries = append([]aclEntry{{0x01, 7, 0xffffffff}}, entries...)
		return owned{mode: 0o755, acl: append(entries, aclEntry{aclOther, 5, 0xffffffff})}
	}
	for _, c := range []struct {
		name               string
		top, folder, file_ owned
		want               string
	}{
		{"root's", root, root, root, ""},
		{"the user's file", root, root, owned{mode: 0o700, uid: uid}, "/top/folder/file"},
		{"the user's file, without the right that they may give themselves", root, root, owned{mode: 0o500, uid: uid}, "/top/folder/file"},
		{"everybody's file", root, root, owned{mode: 0o757}, "/top/folder/file"},
		{"the user's folder", root, owned{mode: 0o700, uid: uid}, root, "/top/folder"},
		{"the user's folder above", owned{mode: 0o700, uid: uid}, root, root, "/top"},
		{"the group's folder", root, owned{mode: 0o775, gid: group}, root, "/top/folder"},
		{"another group's", root, owned{mode: 0o775, gid: 999}, root, ""},
		{"everybody's but the group's", root, owned{mode: 0o757, gid: group}, root, ""},
		{"like /tmp", root, owned{mode: os.ModeSticky | 0o777}, root, ""},
		{"like /tmp, and of the user", root, owned{mode: os.ModeSticky | 0o777}, owned{mode: 0o500, uid: uid}, "/top/folder/file"},
		{"a folder in one like /tmp", owned{mode: os.ModeSticky | 0o777}, root, root, ""},
		{"listed", root, acl(aclEntry{aclUser, 7, uid}, aclEntry{aclGroupObj, 5, 0xffffffff}, aclEntry{aclMask, 7, 0xffffffff}), root, "/top/folder"},
		{"listed, masked", root, acl(aclEntry{aclUser, 7, uid}, aclEntry{aclGroupObj, 5, 0xffffffff}, aclEntry{aclMask, 5, 0xffffffff}), root, ""},
		{"listed for another", root, acl(aclEntry{aclUser, 7, uid + 1}, aclEntry{aclGroupObj, 5, 0xffffffff}, aclEntry{aclMask, 7, 0xffffffff}), root, ""},
		{"listed by group", root, acl(aclEntry{aclGroupObj, 5, 0xffffffff}, aclEntry{aclGroup, 7, group}, aclEntry{aclMask, 7, 0xffffffff}), root, "/top/folder"},
		{"refused by list", root, acl(aclEntry{aclUser, 5, uid}, aclEntry{aclGroupObj, 5, 0xffffffff}, aclEntry{aclGroup, 7, group}, aclEntry{aclMask, 7, 0xffffffff}), root, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			file := write(t, filepath.Join(dir, "top/folder/file"), "", 0o755)
			for path, o := range map[string]owned{file: c.file_, filepath.Dir(file): c.folder, filepath.Join(dir, "top"): c.top} {
				put(t, path, o.mode, o.uid, o.gid)
				if o.acl == nil {
					continue
				}
				b := binary.LittleEndian.AppendUint32(nil, 2)
				for _, e := range o.acl {
					b = binary.LittleEndian.AppendUint16(b, e.tag)
					b = binary.LittleEndian.AppendUint16(b, e.perm)
					b = binary.LittleEndian.AppendUint32(b, e.id)
				}
				if err := unix.Setxattr(path, "system.posix_acl_access", b, 0); err != nil {
					t.Fatal(err)
				}
			}
			put(t, dir, 0o755, 0, 0)
			if got := writable(dir, "/top/folder/file", uid, []uint32{uid, group}); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
			// The kernel's own word, for a program of that account.
			if c.want == "" {
				touch := exec.Command("setpriv", fmt.Sprintf("--reuid=%d", uid), fmt.Sprintf("--regid=%d", uid), fmt.Sprintf("--groups=%d", group),
					"sh", "-c", "touch "+file+" || mv "+file+" "+file+"2 || touch "+filepath.Dir(file)+"/new || mv "+filepath.Dir(file)+" "+dir+"/top/other")
				if err := touch.Run(); err == nil && c.folder.mode&os.ModeSticky == 0 && c.top.mode&os.ModeSticky == 0 {
					t.Error("the kernel lets them")
				}
			}
		})
	}
}

func TestProvenance(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(which(t, "cat"))
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now().Add(-time.Second)
	file := write(t, filepath.Join(dir, "home/tool"), string(b), 0o755)
	if err := os.Chown(filepath.Dir(file), 12345, 12345); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-100 * flow.Day)
	if err := os.Chtimes(file, old, old); err != nil { // anybody can say that
		t.Fatal(err)
	}
	if err := unix.Setxattr(file, "user.xdg.origin.url", []byte("https://user:secret@evil.example:8443/a?b=c"), 0); err != nil {
		t.Fatal(err)
	}
	cmd := begin(t, dir, file)
	id := idOf(t, cmd.Process.Pid)
	tr := tracker(t, Config{Packages: NewPackages("")})
	tr.Exec(Exec{ID: id, UID: 12345, Path: file, Executable: identity(t, file)})
	p, _ := tr.Find(id)
	got := tr.Provenance(p)
	if got.File != file || got.Package != "" || got.Gone || got.Writable != filepath.Dir(file) || got.Origin != "evil.example" {
		t.Errorf("%+v", got)
	}
	if got.Appeared.Before(begun) || got.Appeared.After(time.Now()) || !got.Fresh(time.Now()) || got.Fresh(time.Now().Add(flow.Day)) {
		t.Errorf("it appeared %v", got.Appeared)
	}
	// What is at its path now is another file's business.
	if err := os.Rename(file, file+".old"); err != nil {
		t.Fatal(err)
	}
	if got = tr.Provenance(p); !got.Gone {
		t.Errorf("%+v", got)
	}
	write(t, file, "other", 0o755)
	if got = tr.Provenance(p); got.Gone || !got.Appeared.IsZero() || got.Writable != "" {
		t.Errorf("%+v", got)
	}

	// A package's program, and a script.
	sh := which(t, "sh")
	script := write(t, filepath.Join(dir, "home/x.sh"), "read x\n", 0o644)
	shell := begin(t, dir, sh, script)
	tr.Exec(Exec{ID: idOf(t, shell.Process.Pid), UID: 12345, Path: sh, Args: []string{"sh", script}, Dir: dir, Executable: identity(t, sh)})
	p, _ = tr.Find(idOf(t, shell.Process.Pid))
	got = tr.Provenance(p)
	if p.Package != "dash" || got.File != script || got.Package != "" || !got.Fresh(time.Now()) {
		t.Errorf("%q, %+v", p.Package, got)
	}
	cat := which(t, "cat")
	other := begin(t, dir, cat)
	tr.Exec(Exec{ID: idOf(t, other.Process.Pid), UID: 12345, Path: cat, Executable: identity(t, cat)})
	p, _ = tr.Find(idOf(t, other.Process.Pid))
	if got = tr.Provenance(p); p.Package != "coreutils" || got.Package != "coreutils" || got.Writable != "" || got.Fresh(time.Now()) {
		t.Errorf("%q, %+v", p.Package, got)
	}
	for _, nothing := range []flow.Process{{}, {Program: flow.Program{Path: flow.KernelPath}}, {Program: flow.Program{Path: sh, Inline: true}}} {
		if got := tr.Provenance(&nothing); got != (flow.Provenance{}) {
			t.Errorf("%+v", got)
		}
	}
}

func TestOrigin(t *testing.T) {
	file := write(t, filepath.Join(t.TempDir(), "f"), "", 0o644)
	for url, want := range map[string]string{
		"https://example.com/a": "example.com", "http://[2001:db8::1]:80/": "2001:db8::1", "file:///etc/passwd": "",
		"https://": "", "x": "", "https://a\u202e b/": "", "javascript:alert(1)": "", "https://example.com\x00": "example.com",
	} {
		if err := unix.Setxattr(file, "user.xdg.origin.url", []byte(url), 0); err != nil {
			t.Fatal(err)
		}
		if got := origin(file); got != want {
			t.Errorf("%q: %q, want %q", url, got, want)
		}
	}
}

// A user's file system can give any file's number and time; it is not that file.
func TestPackageNeedsTheFileSystem(t *testing.T) {
	cat := which(t, "cat")
	cmd := begin(t, "/", cat)
	id := idOf(t, cmd.Process.Pid)
	exe := identity(t, cat)
	for _, device := range []uint32{exe.Device, exe.Device + 1} {
		tr := tracker(t, Config{Packages: NewPackages("")})
		e := exe
		e.Device = device
		tr.Exec(Exec{ID: id, Path: cat, Executable: e})
		if p, _ := tr.Find(id); (p.Package == "coreutils") != (device == exe.Device) {
			t.Errorf("of device %d it is of %q", device, p.Package)
		}
	}
}

// What it costs to say who a process is, the first time.
func BenchmarkFindFirst(b *testing.B) {
	cat := which(b, "cat")
	cmd := begin(b, "/", cat)
	id := idOf(b, cmd.Process.Pid)
	exe := identity(b, cat)
	for _, packages := range []*Packages{nil, NewPackages("")} {
		b.Run(fmt.Sprintf("packages=%v", packages != nil), func(b *testing.B) {
			tr := tracker(b, Config{Packages: packages})
			for i := uint32(0); b.Loop(); i++ {
				tr.Exec(Exec{ID: id, Path: cat, Executable: exe, ExecID: i})
				if _, ok := tr.Find(id); !ok {
					b.Fatal("it is not found")
				}
			}
		})
	}
}

func BenchmarkProvenance(b *testing.B) {
	cat := which(b, "cat")
	cmd := begin(b, "/", cat)
	id := idOf(b, cmd.Process.Pid)
	tr := tracker(b, Config{})
	tr.Exec(Exec{ID: id, UID: 12345, Path: cat, Executable: identity(b, cat)})
	p, _ := tr.Find(id)
	for b.Loop() {
		if got := tr.Provenance(p); got.File != cat {
			b.Fatal(got)
		}
	}
}
