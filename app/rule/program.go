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

// normal returns p with its checksum in lower case.
func (p Program) normal() Program {
	p.SHA256 = strings.ToLower(strings.TrimSpace(p.SHA256))
	return p
}

// supported reports whether every operand that is set is one that Set knows.
func (p *Program) supported() bool { return p.Package == "" && p.App == "" }

// check says what is wrong with p, and what to do.
func (p *Program) check() error {
	for _, o := range []struct{ name, value string }{
		{"program.path", p.Path}, {"program.script", p.Script}, {"program.parent", p.Parent},
	} {
		if o.value == "" || o.name == "program.path" && !(flow.Program{Path: o.value}).IsFile() {
			continue
		}
		if err := checkPath(o.value); err != nil {
			return &OperandError{o.name, err}
		}
	}
	switch {
	case p.Package != "":
		return &OperandError{"program.package", errNotSupported}
	case p.App != "":
		return &OperandError{"program.app", errNotSupported}
	}
	if err := checkUnit(p.Unit); err != nil {
		return &OperandError{"program.unit", err}
	}
	if p.Path != "" && !(flow.Program{Path: p.Path}).IsFile() && (p.Script != "" || p.SHA256 != "" || p.Unit != "" || p.Parent != "") {
		return &OperandError{"program.path", badf("%s is no file: it has no script, checksum, unit or parent", p.Path)}
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
		return badf("%q is a folder: name a file", s)
	}
	return nil
}

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
	weightSHA256
	weightPath
	weightScript
)

// weight is how specific the rule is about programs.
func (r *Rule) weight() (w uint8) {
	add := func(set bool, n uint8) {
		if set {
			w |= n
		}
	}
	add(r.Program.Script != "", weightScript)
	add(r.Program.Path != "", weightPath)
	add(r.Program.SHA256 != "", weightSHA256)
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
		(p.Unit == "" || p.Unit == q.Unit) &&
		(p.Parent == "" || p.matchesParent(q))
}

// matchesScript: code from -c, -m or standard input is never a script, whatever
// script the interpreter went on to name.
func (p *Program) matchesScript(q *flow.Process) bool {
	return p.Script == q.Script && !q.Inline
}

func (p *Program) matchesParent(q *flow.Process) bool {
	for i := range q.Parents {
		if q.Parents[i].Path == p.Parent {
			return true
		}
	}
	return false
}
