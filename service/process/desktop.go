package process

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Entry is what a desktop entry calls a program.
type Entry struct {
	ID   string            // as in the menu specification: folder-name.desktop
	Name map[string]string // by language; "" is the plain name and always there
	Icon string            // icon name or absolute file name; may be empty
}

// In is the name in a language such as "ja" or "ja_JP", else the plain one.
func (e Entry) In(lang string) string {
	lang, _, _ = strings.Cut(lang, ".")
	if n, ok := e.Name[lang]; ok {
		return n
	}
	short, _, _ := strings.Cut(lang, "_")
	if n, ok := e.Name[short]; ok {
		return n
	}
	return e.Name[""]
}

const (
	desktopPause   = time.Minute // between two looks at the folders
	maxDesktopSize = 1 << 20
	maxDesktops    = 8192
)

// Where entries are, the first to name a program counting more.
var desktopFolders = []string{
	"usr/local/share/applications", "usr/share/applications", "var/lib/flatpak/exports/share/applications",
}

// searchPath is where an Exec line without a folder finds its program.
var searchPath = []string{"usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin", "usr/games", "usr/local/games"}

// Desktop names programs by the desktop entries of the system. An entry counts only if
// nobody but root could have written it, and names exactly the file that its Exec or
// TryExec resolves to: never an interpreter, a shell or another starter of programs.
// Its methods may be called from any goroutine.
type Desktop struct {
	root string

	mu      sync.Mutex
	built   bool
	looked  time.Time
	folders map[string]time.Time // with their mtimes, when the index was made
	named   map[string]candidate // by resolved path of the program, below root
	icons   map[string]string
	trust   map[string]bool // folders that only root can write to
}

// NewDesktop uses the entries of the system whose root folder is root; "/" is this one.
func NewDesktop(root string) *Desktop { return &Desktop{root: filepath.Clean(root)} }

// Lookup tells what the program with this path is called. The first call reads all
// entries. The caller makes sure that the file there is the one that runs.
func (d *Desktop) Lookup(path string) (Entry, bool) {
	if path == "" {
		return Entry{}, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.built {
		d.index()
	}
	c, ok := d.named[path]
	return c.Entry, ok
}

// Refresh reads the entries again if a folder has changed; it looks at most once a
// minute of now.
func (d *Desktop) Refresh(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.built && now.Sub(d.looked) < desktopPause && !now.Before(d.looked) {
		return
	}
	d.looked = now
	if !d.built || d.changed() {
		d.index()
	}
}

func (d *Desktop) changed() bool {
	for path, was := range d.folders {
		if !mtime(path).Equal(was) {
			return true
		}
	}
	return false
}

func mtime(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

func (d *Desktop) index() {
	d.built = true
	d.folders, d.named = map[string]time.Time{}, map[string]candidate{}
	d.icons, d.trust = map[string]string{}, map[string]bool{}
	seen := map[string]bool{}
	for _, folder := range desktopFolders {
		d.read(filepath.Join(d.root, folder), seen)
	}
}

// read takes in a folder and those below. An entry hides those of the same ID in later
// folders.
func (d *Desktop) read(folder string, seen map[string]bool) {
	d.folders[folder] = mtime(folder) // also where there is none: it may come
	//nolint:errcheck // what cannot be read names nothing
	filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil || len(seen) >= maxDesktops {
			return fs.SkipDir
		}
		if e.IsDir() {
			d.folders[path] = mtime(path)
			if !d.trustedFolder(path) {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".desktop" {
			return nil
		}
		id := strings.ReplaceAll(strings.TrimPrefix(path, folder+"/"), "/", "-")
		if !seen[id] && d.trusted(path) {
			seen[id] = true
			d.add(id, path)
		}
		return nil
	})
}

func (d *Desktop) add(id, path string) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxDesktopSize {
		return
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return
	}
	c, ok := parseDesktop(string(b))
	if !ok {
		return
	}
	c.ID = id
	for _, word := range []string{c.exec, c.try} {
		program := d.resolve(word)
		if program == "" || startsOthers(program) {
			continue
		}
		if old, taken := d.named[program]; !taken || better(c, old) {
			d.named[program] = c
		}
	}
}

// resolve finds the file that a word of an Exec line means, below root.
func (d *Desktop) resolve(word string) string {
	var tries []string
	switch {
	case word == "":
	case filepath.IsAbs(word):
		tries = []string{filepath.Join(d.root, word)}
	case !strings.Contains(word, "/"):
		for _, folder := range searchPath {
			tries = append(tries, filepath.Join(d.root, folder, word))
		}
	}
	for _, try := range tries {
		real, err := filepath.EvalSymlinks(try)
		if err != nil {
			continue
		}
		info, err := os.Stat(real)
		if err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return "/" + strings.TrimPrefix(strings.TrimPrefix(real, d.root), "/")
		}
	}
	return ""
}

// trusted reports whether nobody but root can change a file or put another in its
// place.
func (d *Desktop) trusted(path string) bool {
	real, err := filepath.EvalSymlinks(path)
	if err != nil || !rootOnly(real) {
		return false
	}
	return d.trustedFolder(filepath.Dir(path)) && d.trustedFolder(filepath.Dir(real))
}

func (d *Desktop) trustedFolder(path string) bool {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return false
	}
	ok, known := d.trust[real]
	if !known {
		ok = rootOnly(real) && (real == d.root || real == "/" || d.trustedFolder(filepath.Dir(real)))
		d.trust[real] = ok
	}
	return ok
}

// candidate is an entry with what decides which one names a program that has several.
type candidate struct {
	Entry
	exec, try string // first word of Exec; TryExec
	words     int    // of Exec besides the first
	hidden    bool   // NoDisplay
}

// better prefers an entry of the menu, then one that starts the program plainly, then
// the shorter ID. Of the same rank the first folder's stays.
func better(a, b candidate) bool {
	rank := func(c candidate) int {
		if c.hidden {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.words, b.words),
		cmp.Compare(len(a.ID), len(b.ID)), strings.Compare(a.ID, b.ID)) < 0
}

var starters = []string{
	"env", "flatpak", "snap", "sudo", "pkexec", "su", "su-to-root", "gksu", "kdesu", "xdg-open", "xdg-su", "gio",
	"gtk-launch", "gapplication", "dbus-launch", "dbus-run-session", "dbus-send", "gdbus", "busctl", "systemd-run",
	"systemctl", "setsid", "nohup", "nice", "ionice", "timeout", "exo-open", "kioclient", "kde-open", "wine", "wine-stable",
	"firejail", "bwrap", "electron", "sensible-browser", "x-terminal-emulator", "xvt", "run-parts", "script", "prime-run",
}

// startsOthers reports whether a program's job is to run others, so that an entry
// which names it means one of those.
func startsOthers(program string) bool {
	base := filepath.Base(program)
	return IsInterpreter(base) || slices.Contains(starters, strings.TrimRight(base, "0123456789.-"))
}
