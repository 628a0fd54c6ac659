package rule

import (
	"errors"
	"path"
	"strings"

	"sekisho/app/flow"
)

// Sizes beyond which an operand is refused, in bytes.
const (
	maxPath = 4096
	maxUnit = 255
)

// normal returns p with its checksum in lower case and its folder without a slash behind.
func (p Program) normal() Program {
	p.SHA256 = strings.ToLower(strings.TrimSpace(p.SHA256))
	if len(p.Folder) > 1 {
		p.Folder = strings.TrimSuffix(p.Folder, "/")
	}
	return p
}

// check says what is wrong with p, and what to do.
func (p *Program) check() error {
	for _, o := range []struct{ name, value string }{
		{"program.path", p.Path}, {"program.script", p.Script}, {"program.folder", p.Folder}, {"program.parent", p.Parent},
	} {
		if o.value == "" || o.name == "program.path" && !(flow.Program{Path: o.value}).IsFile() {
			continue
		}
		if err := checkPath(o.value); err != nil {
			return &OperandError{o.name, err}
		}
	}
	if err := checkPackage(p.Package); err != nil {
		return &OperandError{"program.package", err}
	}
	if err := checkApp(p.App); err != nil {
		return &OperandError{"program.app", err}
	}
	if err := checkUnit(p.Unit); err != nil {
		return &OperandError{"program.unit", err}
	}
	if (p.Path == flow.KernelPath || p.Path == flow.ForwardedPath) && *p != (Program{Path: p.Path}) {
		return &OperandError{"program.path", badf("%s is no file: name nothing else of it", p.Path)}
	}
	if p.SHA256 != "" && !isSHA256(p.SHA256) {
		return &OperandError{"program.sha256", errors.New("want 64 hexadecimal digits, as sha256sum prints them")}
	}
	return nil
}

func checkPath(s string) error {
	if err := checkText(s, maxPath); err != nil {
		return err
	}
	if !strings.HasPrefix(s, "/") {
		return badf("%q is not an absolute path: begin it with /", s)
	}
	if c := path.Clean(s); c != s {
		return badf("%q is not a plain path: write %q", s, c)
	}
	if s == "/" {
		return badf("%q is a folder, and every program is in it: name a file, or a folder below", s)
	}
	return nil
}

func checkPackage(s string) error {
	if err := checkText(s, maxUnit); err != nil {
		return err
	}
	if strings.Trim(s, letters+"+._-") != "" {
		return badf("%q is not a package: give its name alone, such as curl", s)
	}
	return nil
}

// checkApp wants a Flatpak's id, a Snap's name or an AppImage's path.
func checkApp(s string) error {
	if strings.HasPrefix(s, "/") {
		return checkPath(s)
	}
	if err := checkText(s, maxUnit); err != nil {
		return err
	}
	if strings.Trim(s, letters+"._-") != "" || strings.Trim(s, ".-") != s {
		return badf("%q is not an application: write a Flatpak's id, a Snap's name or an AppImage's path", s)
	}
	return nil
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

func checkUnit(s string) error {
	if s == "" {
		return nil
	}
	if err := checkText(s, maxUnit); err != nil {
		return err
	}
	if strings.ContainsAny(s, "/ ") {
		return badf("%q is not a systemd unit: leave out spaces and slashes", s)
	}
	if i := strings.LastIndexByte(s, '.'); i <= 0 || i == len(s)-1 {
		return badf("%q is not a systemd unit: write its whole name, such as cron.service", s)
	}
	return nil
}

func isSHA256(s string) bool {
	if len(s) != 64 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// The weight of each program operand: a rule whose set operands add up to more is
// the more specific. Every weight is more than all that are below it together, so the
// narrowest operand counts first and each further one breaks a tie.
const (
	weightProcess = 1 << iota // until-it-quits, bound to one process
	weightParent
	weightUnit
	weightFolder
	weightPackage
	weightApp
	weightSHA256
	weightPath
	weightScript
)

// weight is how specific the rule is about programs.
func (r *Rule) weight() (w uint16) {
	add := func(set bool, n uint16) {
		if set {
			w |= n
		}
	}
	add(r.Program.Script != "", weightScript)
	add(r.Program.Path != "", weightPath)
	add(r.Program.SHA256 != "", weightSHA256)
	add(r.Program.App != "", weightApp)
	add(r.Program.Package != "", weightPackage)
	add(r.Program.Folder != "", weightFolder)
	add(r.Program.Unit != "", weightUnit)
	add(r.Program.Parent != "", weightParent)
	add(r.Lifetime.bound(), weightProcess)
	return w
}

// matches reports whether every operand that is set is true of process q. Facts that
// are unknown match nothing. What is passed on for others is no program of this machine's:
// a rule for any program says nothing of it.
func (p *Program) matches(q *flow.Process) bool {
	if q.Path == flow.ForwardedPath && p.Path != q.Path {
		return false
	}
	return (p.Path == "" || p.Path == q.Path) &&
		(p.Script == "" || p.matchesScript(q)) &&
		(p.SHA256 == "" || p.SHA256 == q.SHA256) &&
		(p.App == "" || p.App == q.App) &&
		(p.Package == "" || p.Package == q.Package) &&
		(p.Folder == "" || p.matchesFolder(q)) &&
		(p.Unit == "" || p.Unit == q.Unit) &&
		(p.Parent == "" || p.matchesParent(q))
}

// matchesScript: code from -c, -m or standard input is never a script, whatever
// script the interpreter went on to name.
func (p *Program) matchesScript(q *flow.Process) bool {
	return p.Script == q.Script && !q.Inline
}

// matchesFolder looks at what a person would call the program: the script, if it runs
// one. Code that is in no file is in no folder.
func (p *Program) matchesFolder(q *flow.Process) bool {
	rest, below := strings.CutPrefix(subject(q), p.Folder)
	return below && len(rest) > 1 && rest[0] == '/'
}

// subject is the file that the program is, "" if it is in none.
func subject(q *flow.Process) string {
	switch {
	case q.Inline:
		return ""
	case q.Script != "":
		return q.Script
	case !q.IsFile():
		return ""
	}
	return q.Path
}

func (p *Program) matchesParent(q *flow.Process) bool {
	for i := range q.Parents {
		if q.Parents[i].Path == p.Parent {
			return true
		}
	}
	return false
}
