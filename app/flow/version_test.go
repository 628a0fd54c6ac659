package flow

import (
	"slices"
	"strings"
	"testing"
)

func TestBecame(t *testing.T) {
	file := func(n uint64) Executable { return Executable{Inode: n, Ctime: 1} }
	a, b := strings.Repeat("a", 64), strings.Repeat("b", 64)
	curl := Version{Path: "/usr/bin/curl", Executable: file(1), SHA256: a, Package: "curl"}
	tool := Version{Path: "/home/a/bin/tool", Executable: file(1), SHA256: a}
	with := func(v Version, change func(*Version)) Version { change(&v); return v }
	for _, c := range []struct {
		name     string
		was, now Version
		is       Integrity
		want     Change
	}{
		{"itself", curl, curl, Intact, Same},
		{"touched", tool, with(tool, func(v *Version) { v.Executable = file(2) }), "", Same},
		{"its sum is not known yet", tool, with(tool, func(v *Version) { v.Executable, v.SHA256 = file(2), "" }), "", Replaced},
		{"an update", curl, with(curl, func(v *Version) { v.Executable, v.SHA256 = file(2), b }), Intact, Updated},
		{"an update without sums", curl, with(curl, func(v *Version) { v.Executable, v.SHA256 = file(2), b }), UnknownIntegrity, Updated},
		{"replaced by hand", curl, with(curl, func(v *Version) { v.Executable, v.SHA256 = file(2), b }), Modified, Replaced},
		{"no package's any more", curl, with(curl, func(v *Version) { v.Executable, v.SHA256, v.Package = file(2), b, "" }), "", Replaced},
		{"another package's", curl, with(curl, func(v *Version) { v.Executable, v.SHA256, v.Package = file(2), b, "evil" }), Intact, Replaced},
		{"a package's only now", tool, with(tool, func(v *Version) { v.Executable, v.SHA256, v.Package = file(2), b, "tool" }), Intact, Replaced},
		{"changed", tool, with(tool, func(v *Version) { v.Executable, v.SHA256 = file(2), b }), "", Replaced},
		{"nothing is known of the file", Version{Path: "/x"}, Version{Path: "/x"}, "", Replaced},
		{"moved", tool, with(tool, func(v *Version) { v.Path, v.Executable = "/opt/tool", file(2) }), "", Moved},
		{"a new version's folder", Version{Path: "/opt/idea-2024.1.4/bin/idea"}, Version{Path: "/opt/idea-2024.2/bin/idea"}, "", Renewed},
		{"a new version's name", Version{Path: "/usr/bin/python3.11"}, Version{Path: "/usr/bin/python3.12"}, "", Renewed},
		{"node", Version{Path: "/home/a/.nvm/versions/node/v18.19.0/bin/node"}, Version{Path: "/home/a/.nvm/versions/node/v20.0.0-rc1/bin/node"}, "", Renewed},
		{"an AppImage", Version{Path: "/tmp/.mount_KritaA/usr/bin/krita", App: "/home/a/Downloads/krita-5.2.2-x86_64.appimage"},
			Version{Path: "/tmp/.mount_KritaB/usr/bin/krita", App: "/home/a/Apps/krita-5.2.3-x86_64.appimage"}, "", Renewed},
		{"another AppImage", Version{Path: "/tmp/.mount_KritaA/usr/bin/krita", App: "/home/a/krita-5.2.2.appimage"},
			Version{Path: "/tmp/.mount_GimpA/usr/bin/krita", App: "/home/a/gimp-5.2.2.appimage"}, "", Different},
		{"another program", tool, Version{Path: "/home/a/bin/other", SHA256: b}, "", Different},
		{"a name that is nothing but a number", Version{Path: "/tmp/1234"}, Version{Path: "/tmp/1235"}, "", Different},
		{"a name that goes on", Version{Path: "/home/a/bin/tool"}, Version{Path: "/home/a/bin/toolbox2"}, "", Different},
	} {
		if got := c.was.Became(c.now, c.is); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	for c, want := range map[Change][2]bool{Same: {true, false}, Updated: {true, false}, Replaced: {}, Moved: {false, true}, Renewed: {false, true}, Different: {}} {
		if c.Keeps() != want[0] || c.Offers() != want[1] {
			t.Errorf("%s: keeps %v, offers %v", c, c.Keeps(), c.Offers())
		}
	}
}

func TestPredecessors(t *testing.T) {
	sum := strings.Repeat("a", 64)
	known := []Version{
		{Path: "/opt/x-1.9/x"}, {Path: "/opt/x-1.10/x"}, {Path: "/usr/bin/curl", Package: "curl"}, {Path: "/home/a/x", SHA256: sum}, {Path: "/opt/x-1.2/x"},
	}
	var got []string
	for _, v := range Predecessors(Version{Path: "/opt/x-2.0/x", SHA256: sum}, known) {
		got = append(got, v.Path)
	}
	if want := []string{"/home/a/x", "/opt/x-1.10/x", "/opt/x-1.9/x", "/opt/x-1.2/x"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
