package process

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// system is a made-up root folder. Its files are root's, as the tests run as root.
func system(t *testing.T, files map[string]string) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "root")
	for name, content := range files {
		mode := os.FileMode(0o644)
		if filepath.Base(filepath.Dir(name)) == "bin" || filepath.Base(filepath.Dir(name)) == "app" {
			mode = 0o755
		}
		write(t, filepath.Join(root, name), content, mode)
	}
	return root
}

func entry(lines ...string) string {
	s := "[Desktop Entry]\nType=Application\n"
	for _, l := range lines {
		s += l + "\n"
	}
	return s
}

const apps = "usr/share/applications/"

func TestDesktopNames(t *testing.T) {
	root := system(t, map[string]string{
		"usr/bin/editor": "", "usr/bin/hidden": "", "usr/bin/tryer": "", "usr/bin/office": "", "usr/bin/python3.11": "", "usr/bin/env": "",
		"usr/bin/flatpak": "", "usr/bin/sh": "", "usr/bin/xterm": "", "usr/bin/both": "", "usr/bin/spaced name": "",
		"opt/app/thing": "", "usr/local/bin/tool": "", "usr/bin/notes": "", "usr/bin/gone-entry": "",
		apps + "editor.desktop": entry("Name=Editor", "Name[ja]=エディター", "Name[pt_BR]=Editor BR", "Icon=editor-icon", "Exec=editor --new-window %U") +
			"[Desktop Action x]\nName=Other\nExec=office\n",
		apps + "hidden.desktop":                     entry("Name=Hidden", "Exec=hidden", "NoDisplay=true"),
		apps + "tryer.desktop":                      entry("Name=Tryer", "TryExec=tryer", "Exec=sh -c tryer"),
		apps + "office-writer.desktop":              entry("Name=Writer", "Exec=office --writer %U"),
		apps + "office-start.desktop":               entry("Name=Office", "Exec=/usr/bin/office %U"),
		apps + "office-a.desktop":                   entry("Name=Invisible", "Exec=office", "NoDisplay=true"),
		apps + "py.desktop":                         entry("Name=Script", "Exec=python3.11 /opt/x.py"),
		apps + "env.desktop":                        entry("Name=With env", "Exec=env A=b editor"),
		apps + "flat.desktop":                       entry("Name=Flat", "Exec=/usr/bin/flatpak run org.x"),
		apps + "shell.desktop":                      entry("Name=Shell", "Exec=sh /opt/x.sh"),
		apps + "mc.desktop":                         entry("Name=Commander", "Exec=xterm -e mc"),
		apps + "thing.desktop":                      entry("Name=Thing", `Exec="/opt/app/thing" "a b" %f`),
		apps + "spaced.desktop":                     entry("Name=Spaced", `Exec="/usr/bin/spaced name"`),
		apps + "link.desktop":                       entry("Name=Link", "Exec=tool"),
		apps + "deleted.desktop":                    entry("Name=Deleted", "Exec=gone-entry", "Hidden=true"),
		apps + "type.desktop":                       "[Desktop Entry]\nType=Link\nName=Type\nExec=gone-entry\n",
		apps + "nameless.desktop":                   entry("Exec=gone-entry"),
		apps + "absent.desktop":                     entry("Name=Absent", "Exec=absent"),
		apps + "relative.desktop":                   entry("Name=Relative", "Exec=../bin/gone-entry"),
		apps + "kde/notes.desktop":                  entry("Name=No\u202etes\x07", "Exec=notes"),
		apps + "both.desktop":                       entry("Name=Second", "Exec=both"),
		"usr/local/share/applications/both.desktop": entry("Name=First", "Exec=both"),
	})
	if err := os.Symlink("../local/bin/tool", filepath.Join(root, "usr/bin/tool-link")); err != nil {
		t.Fatal(err)
	}
	d := NewDesktop(root)
	for path, want := range map[string]string{
		"/usr/bin/editor": "Editor editor.desktop", "/usr/bin/hidden": "Hidden hidden.desktop", "/usr/bin/tryer": "Tryer tryer.desktop",
		"/usr/bin/office": "Office office-start.desktop", "/opt/app/thing": "Thing thing.desktop", "/usr/bin/spaced name": "Spaced spaced.desktop",
		"/usr/local/bin/tool": "Link link.desktop", "/usr/bin/notes": "Notes kde-notes.desktop", "/usr/bin/both": "First both.desktop",
		"/usr/bin/python3.11": "", "/usr/bin/env": "", "/usr/bin/flatpak": "", "/usr/bin/sh": "", "/usr/bin/xterm": "",
		"/usr/bin/gone-entry": "", "/usr/bin/absent": "", "": "", "editor": "",
	} {
		e, ok := d.Lookup(path)
		got := ""
		if ok {
			got = e.Name[""] + " " + e.ID
		}
		if got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	e, _ := d.Lookup("/usr/bin/editor")
	for lang, want := range map[string]string{"": "Editor", "ja": "エディター", "ja_JP.UTF-8": "エディター", "pt_BR": "Editor BR", "pt": "Editor", "de": "Editor"} {
		if got := e.In(lang); got != want {
			t.Errorf("in %q: %q, want %q", lang, got, want)
		}
	}
	if e.Icon != "editor-icon" {
		t.Errorf("icon %q", e.Icon)
	}
}

// Only what nobody but root could have written counts.
func TestDesktopTrust(t *testing.T) {
	good := entry("Name=Good", "Exec=prog")
	for name, tt := range map[string]struct {
		change func(root string) error
		want   bool
	}{
		"as installed":     {func(string) error { return nil }, true},
		"file of a user":   {func(r string) error { return os.Chown(r+"/"+apps+"x.desktop", 1000, 1000) }, false},
		"file for all":     {func(r string) error { return os.Chmod(r+"/"+apps+"x.desktop", 0o666) }, false},
		"file for a group": {func(r string) error { return os.Chmod(r+"/"+apps+"x.desktop", 0o664) }, false},
		"folder of a user": {func(r string) error { return os.Chown(r+"/"+apps, 1000, 1000) }, false},
		"folder for all":   {func(r string) error { return os.Chmod(r+"/"+apps, 0o777) }, false},
		"folder above":     {func(r string) error { return os.Chmod(r+"/usr/share", 0o777) }, false},
		"sticky folder":    {func(r string) error { return os.Chmod(r+"/usr", 0o777|os.ModeSticky) }, false},
		"link to a user's": {func(r string) error { return link(r, 1000) }, false},
		"link to a root's": {func(r string) error { return link(r, 0) }, true},
		"link to nowhere": {func(r string) error {
			os.Remove(r + "/" + apps + "x.desktop")
			return os.Symlink("y", r+"/"+apps+"x.desktop")
		}, false},
		"too large": {func(r string) error { return os.Truncate(r+"/"+apps+"x.desktop", maxDesktopSize+1) }, false},
		"a folder that is called so": {func(r string) error {
			os.Remove(r + "/" + apps + "x.desktop")
			return os.Mkdir(r+"/"+apps+"x.desktop", 0o755)
		}, false},
	} {
		root := system(t, map[string]string{"usr/bin/prog": "", apps + "x.desktop": good})
		if err := tt.change(root); err != nil {
			t.Fatal(err)
		}
		if _, ok := NewDesktop(root).Lookup("/usr/bin/prog"); ok != tt.want {
			t.Errorf("%s: named %v, want %v", name, ok, tt.want)
		}
	}
}

// link moves the entry to a folder of uid and leaves a link, as Flatpak's exports do.
func link(root string, uid int) error {
	if err := os.MkdirAll(root+"/var/app", 0o755); err != nil {
		return err
	}
	if err := os.Rename(root+"/"+apps+"x.desktop", root+"/var/app/x.desktop"); err != nil {
		return err
	}
	if err := os.Chown(root+"/var/app", uid, uid); err != nil {
		return err
	}
	return os.Symlink("../../../var/app/x.desktop", root+"/"+apps+"x.desktop")
}

func TestDesktopRefresh(t *testing.T) {
	root := system(t, map[string]string{"usr/bin/a": "", "usr/bin/b": "", "usr/bin/c": "", apps + "a.desktop": entry("Name=A", "Exec=a")})
	d, now := NewDesktop(root), noon
	named := func(path string) bool { _, ok := d.Lookup(path); return ok }
	d.Refresh(now)
	write(t, filepath.Join(root, apps, "b.desktop"), entry("Name=B", "Exec=b"), 0o644)
	touch(t, filepath.Join(root, apps), 1)
	d.Refresh(now.Add(desktopPause - 1))
	if !named("/usr/bin/a") || named("/usr/bin/b") {
		t.Error("it looked again too early")
	}
	d.Refresh(now.Add(desktopPause))
	if !named("/usr/bin/b") {
		t.Error("a new entry is not seen")
	}
	// A folder that was not there, and one below.
	write(t, filepath.Join(root, "usr/local/share/applications/sub/c.desktop"), entry("Name=C", "Exec=c"), 0o644)
	d.Refresh(now.Add(3 * desktopPause))
	if !named("/usr/bin/c") {
		t.Error("a new folder is not seen")
	}
	if err := os.Remove(filepath.Join(root, "usr/local/share/applications/sub/c.desktop")); err != nil {
		t.Fatal(err)
	}
	touch(t, filepath.Join(root, "usr/local/share/applications/sub"), 2)
	d.Refresh(now.Add(5 * desktopPause))
	if named("/usr/bin/c") {
		t.Error("a removed entry still names")
	}
}

func touch(t *testing.T, path string, hours int) {
	t.Helper()
	at := time.Now().Add(time.Duration(hours) * time.Hour)
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func TestIconFile(t *testing.T) {
	hi := "usr/share/icons/hicolor/"
	root := system(t, map[string]string{
		hi + "16x16/apps/a.png": "", hi + "48x48/apps/a.png": "", hi + "256x256/apps/a.png": "", hi + "scalable/apps/a.svg": "",
		hi + "16x16/apps/b.png": "", hi + "scalable/apps/b.svg": "", hi + "64x64/apps/c.png": "", hi + "48x48/apps/c.png": "",
		"usr/share/pixmaps/d.xpm": "", "usr/local/share/icons/hicolor/48x48/apps/org.e.png": "", hi + "48x48/apps/f.png": "", "etc/passwd": "",
		"var/lib/flatpak/exports/share/icons/hicolor/128x128/apps/org.g.App.png": "",
	})
	if err := os.Chmod(filepath.Join(root, hi, "48x48/apps/f.png"), 0o666); err != nil {
		t.Fatal(err)
	}
	d := NewDesktop(root)
	for icon, want := range map[string]string{
		"a": hi + "48x48/apps/a.png", "a.png": hi + "48x48/apps/a.png", "b": hi + "scalable/apps/b.svg", "c": hi + "64x64/apps/c.png",
		"d": "usr/share/pixmaps/d.xpm", "/usr/share/pixmaps/d.xpm": "usr/share/pixmaps/d.xpm", "org.e": "usr/local/share/icons/hicolor/48x48/apps/org.e.png",
		"org.g.App": "var/lib/flatpak/exports/share/icons/hicolor/128x128/apps/org.g.App.png",
		"f":         "", "none": "", "": "", "../apps/a": "", "/etc/passwd": "", "/usr/share/pixmaps/none.png": "", "/usr/share/pixmaps/../../../etc/passwd": "",
	} {
		if want != "" {
			want = filepath.Join(root, want)
		}
		for range 2 {
			if got := d.IconFile(icon); got != want {
				t.Errorf("%q is %q, want %q", icon, got, want)
			}
		}
	}
}

// The name belongs to the file that the entry means, not to its path.
func TestFindNamesByIdentity(t *testing.T) {
	real := which(t, "cat")
	root := system(t, map[string]string{apps + "cat.desktop": entry("Name=Cat", "Exec="+real, "Icon=cat"),
		real: "", "usr/share/icons/hicolor/48x48/apps/cat.png": ""})
	if err := os.Chmod(filepath.Join(root, real), 0o755); err != nil {
		t.Fatal(err)
	}
	tr := tracker(t, Config{Desktop: NewDesktop(root)})
	tr.Exec(Exec{ID: pid(1), Path: real, Executable: executable(t, real)})
	if p, _ := tr.Find(pid(1)); p.Name != "Cat" || p.Icon != filepath.Join(root, "usr/share/icons/hicolor/48x48/apps/cat.png") {
		t.Errorf("%q with icon %q", p.Name, p.Icon)
	}
	other := executable(t, real)
	other.Inode++
	tr.Exec(Exec{ID: pid(2), Path: real, Executable: other})
	if p, _ := tr.Find(pid(2)); p.Name != "cat" || p.Icon != "" {
		t.Errorf("another file under that path is %q with icon %q", p.Name, p.Icon)
	}
	tr.Exec(Exec{ID: pid(3), Path: real})
	if p, _ := tr.Find(pid(3)); p.Name != "cat" {
		t.Errorf("a file of unknown identity is %q", p.Name)
	}
}

func TestSplitExec(t *testing.T) {
	for in, want := range map[string][]string{
		"":                     nil,
		"  a  b\tc ":           {"a", "b", "c"},
		`"a b" c`:              {"a b", "c"},
		`"a \"b\" \\ \$ c" ""`: {`a "b" \ $ c`, ""},
		`a"b c"d`:              {"ab cd"},
		`"unclosed x`:          {"unclosed x"},
		`a\b`:                  {`a\b`},
	} {
		if got := splitExec(in); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// This machine's own menu: whatever it holds, no interpreter is named, and icons exist.
func TestDesktopOfThisMachine(t *testing.T) {
	d := NewDesktop("/")
	d.Refresh(noon)
	for path, c := range d.named {
		if IsInterpreter(path) || c.Name[""] == "" {
			t.Errorf("%s is named %+v", path, c.Entry)
		}
		if file := d.IconFile(c.Icon); file != "" {
			if _, err := os.Stat(file); err != nil {
				t.Error(err)
			}
		}
	}
}

func BenchmarkDesktopIndex(b *testing.B) {
	root := b.TempDir()
	for i := range 200 {
		write(b, filepath.Join(root, "usr/bin", fmt.Sprint("p", i)), "", 0o755)
		write(b, filepath.Join(root, apps, fmt.Sprint("p", i, ".desktop")), entry("Name=P", fmt.Sprint("Exec=p", i)), 0o644)
	}
	d := NewDesktop(root)
	for b.Loop() {
		d.index()
	}
}
