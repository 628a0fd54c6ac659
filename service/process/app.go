package process

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"sekisho/app/flow"
)

// Where applications are that only root installs.
const flatpakApps = "/var/lib/flatpak/app/"

var snapFolders = []string{"/snap/", "/var/lib/snapd/snap/"}

// app names the application that a program is part of, and says whether any program of
// its user could be taken for it (own).
//
// Proven is what was executed: a file that only root could have put into the folder of a
// Flatpak or a Snap, by its identity. What runs inside of a sandbox but is not of the
// application (a runtime's shell, a Flatpak in the user's home) is known by what the
// sandbox says of itself, and an AppImage by its mount: a user can make both at will.
func (t *Tracker) app(id flow.ProcessID, path string, exe flow.Executable) (app string, own bool) {
	if path == "" {
		return "", false
	}
	for _, folder := range snapFolders {
		if name := firstFolder(path, folder); name != "" && t.proc.isFile(path, exe) && OwnedByRoot(path) {
			return name, false
		}
	}
	_, foreign := t.proc.root(id)
	if foreign {
		for _, here := range t.proc.ours(id, path) {
			if name := firstFolder(here, flatpakApps); name != "" && t.proc.isFile(here, exe) && OwnedByRoot(here) {
				return name, false
			}
		}
		if name := flatpakInfo(t.proc.file(id.PID, "root/.flatpak-info")); name != "" && t.proc.is(id) {
			return name, true
		}
	}
	if image := t.appImage(id, path); image != "" {
		return image, true
	}
	return "", false
}

// firstFolder is the folder below one that a path is in.
func firstFolder(path, folder string) string {
	rest, ok := strings.CutPrefix(path, folder)
	name, _, deeper := strings.Cut(rest, "/")
	if !ok || !deeper || name == "bin" {
		return ""
	}
	return name
}

// flatpakInfo reads the id from what Flatpak puts into each sandbox's root folder. Anybody
// may have made that folder: what is there must be a plain file, and nobody waits for it.
func flatpakInfo(path string) string {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	in := false
	for lines := bufio.NewScanner(io.LimitReader(f, 1<<16)); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "[") {
			in = line == "[Application]"
		}
		if name, ok := strings.CutPrefix(line, "name="); in && ok && plainName(name) && strings.Contains(name, ".") {
			return name
		}
	}
	return ""
}

func plainName(s string) bool {
	return s != "" && len(s) <= 255 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_'
	})
}

// appImage is the file of the AppImage that a program is in: its runtime mounts itself at
// .mount_…, under the file's name, and goes on serving what is there.
func (t *Tracker) appImage(id flow.ProcessID, path string) string {
	if !strings.Contains(path, "/.mount_") {
		return ""
	}
	m, _, ok := under(t.proc.mounts("self"), path)
	if !ok || !strings.HasPrefix(filepath.Base(m.point), ".mount_") || !strings.HasPrefix(m.kind, "fuse") {
		return ""
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	var found string
	for e := t.alive.Front(); e != nil; e = e.Next() {
		r := e.Value.(*record)
		if r.image == nil || filepath.Base(r.image.path) != m.source || strings.HasPrefix(r.image.path, m.point+"/") {
			continue
		}
		if found = r.image.path; r.parent == id { // it was this process that began as the AppImage
			break
		}
	}
	return found
}

// appOfUnit names the Snap or Flatpak of a unit that its launcher made:
// snap.NAME.APP-….scope or .service, app-flatpak-ID-PID.scope.
func appOfUnit(unit string) string {
	if rest, ok := strings.CutPrefix(unit, "snap."); ok {
		if name, _, ok := strings.Cut(rest, "."); ok && plainName(name) {
			return name
		}
	}
	if rest, ok := strings.CutPrefix(strings.TrimSuffix(unit, ".scope"), "app-flatpak-"); ok {
		if i := strings.LastIndexByte(rest, '-'); i > 0 && plainName(rest[:i]) && strings.Contains(rest[:i], ".") {
			return rest[:i]
		}
	}
	return ""
}
