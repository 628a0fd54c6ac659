package prompt

import (
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sekisho/app/flow"
)

// Warnings are the facts about f's program that should make a person look twice, the
// gravest first: what is known of its file is in p.
func Warnings(f *flow.Flow, p *flow.Provenance, now time.Time) []Warning {
	q := f.Process
	if q == nil || !q.IsFile() {
		return nil
	}
	var all warnings
	if q.Replaced {
		all.add(WarnReplaced, "Another file than the one that was allowed is in the program's place", q.Path)
	}
	if q.Integrity == flow.Modified {
		all.add(WarnModified, "Its file is no longer what the package "+q.Package+" installed", q.Package)
	}
	if by := startedByOffice(q); by != "" {
		all.add(WarnFromOffice, "It was started by "+by+", which has no reason to start programs", by)
	}
	all.writer(p)
	all.place(p, now)
	if q.Inline {
		all.add(WarnInlineCode, "It runs code from its command line or input, not from a file", "")
	}
	if bare(f) {
		all.add(WarnNoName, "It connects to a bare address that it never looked up", "")
	}
	return all
}

type warnings []Warning

func (w *warnings) add(code, text, value string) {
	*w = append(*w, Warning{Code: code, Text: text, Value: value})
}

// writer is about who put the file there.
func (w *warnings) writer(p *flow.Provenance) {
	by := p.Writer
	switch {
	case p.Package != "":
	case by != nil && by.Fresh:
		w.add(WarnByFresh, "Its file was written by "+by.Name+", which was itself new", by.Name)
	case by != nil && isOne(mailers, by.Path):
		w.add(WarnByMail, "Its file was saved by "+by.Name+", a mail program", by.Name)
	case by != nil && isOne(browsers, by.Path):
		w.add(WarnByBrowser, "Its file was saved by "+by.Name+", a browser", by.Name)
	case p.Origin != "":
		w.add(WarnFetched, "Its file was fetched from "+p.Origin, p.Origin)
	}
}

// place is about where the file is, and since when.
func (w *warnings) place(p *flow.Provenance, now time.Time) {
	folder := p.Writable
	if folder != "" && folder == p.File {
		folder = filepath.Dir(p.File)
	}
	switch {
	case p.Gone:
		w.add(WarnDeleted, "The program's file is gone", p.File)
	case p.Fresh(now):
		w.add(WarnFresh, "It appeared within the last day in "+folder+", from no package", folder)
	case folder != "":
		w.add(WarnWritableFolder, "The program is in a folder that its user can write to", folder)
	}
}

// bare reports whether the other end is an address on the internet that has no name.
func bare(f *flow.Flow) bool {
	a := f.Remote.Addr.Unmap()
	return f.Direction == flow.Out && f.Remote.Name == "" && a.IsGlobalUnicast() && !a.IsPrivate()
}

// startedByOffice is the name of the office or mail program that a process descends from.
// Such a program's own parts, and a browser that opens one of its links, are no surprise.
func startedByOffice(q *flow.Process) string {
	for _, a := range q.Parents {
		if a.Path == "" || !isOne(offices, a.Path) && !isOne(mailers, a.Path) {
			continue
		}
		own := filepath.Dir(a.Path) == filepath.Dir(q.Path) && !slices.Contains(shared, filepath.Dir(a.Path)) || a.Path == q.Path
		if own && q.Script == "" && !q.Inline || q.Package != "" && (isOne(browsers, q.Path) || isOne(mailers, q.Path) || isOne(offices, q.Path)) {
			return ""
		}
		return a.Name
	}
	return ""
}

// shared are folders that many programs are in.
var shared = []string{"/usr/bin", "/bin", "/usr/local/bin", "/snap/bin", "/app/bin"}

// Programs by the names of their files. A program that merely calls itself so gets a
// warning that it need not have; nothing is allowed by them.
var (
	browsers = strings.Fields(`firefox firefox-bin firefox-esr firefox.real librewolf waterfox floorp zen
		chromium chromium-browser chrome google-chrome brave brave-browser msedge microsoft-edge opera vivaldi vivaldi-bin
		epiphany epiphany-browser epiphany-search-provider WebKitNetworkProcess WebKitWebProcess konqueror falkon midori
		qutebrowser min surf nyxt luakit dillo links lynx w3m elinks seamonkey palemoon basilisk`)
	mailers = strings.Fields(`thunderbird thunderbird-bin thunderbird-esr betterbird betterbird-bin evolution geary kmail
		kontact claws-mail sylpheed balsa trojita mailspring mutt neomutt alpine aerc`)
	offices = strings.Fields(`soffice.bin soffice libreoffice oosplash wps et wpp wpspdf DesktopEditors
		onlyoffice-desktopeditors abiword gnumeric calligrawords calligrasheets calligrastage
		evince okular atril xreader papers zathura mupdf qpdfview acroread FoxitReader masterpdfeditor5`)
)

// isOne reports whether a path's file has one of the names.
func isOne(names []string, path string) bool { return slices.Contains(names, filepath.Base(path)) }
