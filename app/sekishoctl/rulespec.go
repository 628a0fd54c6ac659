package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sekisho/app/flow"
	"sekisho/app/rule"
)

// ruleSpec is the flags that make a rule.
type ruleSpec struct {
	program, script, unit, parent, sha256 string
	action, direction, to, port, protocol string
	user, lifetime, note                  string
}

func (s *ruleSpec) flags(f *pflag.FlagSet) {
	f.StringVar(&s.program, "program", "", "the program's file, or any")
	f.StringVar(&s.script, "script", "", "the script that the program runs, such as backup.py with --program /usr/bin/python3")
	f.StringVar(&s.unit, "unit", "", "only programs of this systemd unit")
	f.StringVar(&s.parent, "parent", "", "only programs that this program started")
	f.StringVar(&s.sha256, "sha256", "", "only if the program's file has this checksum")
	f.StringVar(&s.action, "action", "", "allow or block")
	f.StringVar(&s.direction, "direction", "", "out (it connects), in (it is reached; not filtered yet) or both (default out)")
	f.StringVar(&s.to, "to", "", "the other end: a host name, *.domain, address, network, lan, list:NAME or any (default any)")
	f.StringVar(&s.port, "port", "", "443, 8000-8999, or 80,443 (default any)")
	f.StringVar(&s.protocol, "protocol", "", "tcp, udp, icmp, … (default any)")
	f.StringVar(&s.user, "user", "", "only programs of this user")
	f.StringVar(&s.lifetime, "for", "", "always, once, quit (until it quits), boot (until restart), or a span such as 15m, 1h, 2d (default always)")
	f.StringVar(&s.note, "note", "", "a note for yourself")
}

// apply puts the flags that were given into r, and gives the span of its lifetime.
func (s *ruleSpec) apply(c *ctl, cmd *cobra.Command, r *rule.Rule) (span time.Duration, err error) {
	given := cmd.Flags().Changed
	parse := func(flag string, f func() error) {
		if err != nil || !given(flag) {
			return
		}
		if e := f(); e != nil {
			err = usagef("--%s: %s", flag, oneLine(e))
		}
	}
	path := func(of *string, value string) func() error {
		return func() (e error) {
			if value == "any" || value == "" {
				*of = ""
				return nil
			}
			*of, e = c.resolve(value)
			return e
		}
	}
	parse("program", path(&r.Program.Path, s.program))
	parse("script", path(&r.Program.Script, s.script))
	parse("parent", path(&r.Program.Parent, s.parent))
	parse("unit", func() error { r.Program.Unit = optional(s.unit); return nil })
	parse("sha256", func() error { r.Program.SHA256 = strings.ToLower(optional(s.sha256)); return nil })
	parse("action", func() (e error) { r.Action, e = rule.ParseAction(s.action); return e })
	parse("direction", func() (e error) { r.Direction, e = rule.ParseDirection(s.direction); return e })
	parse("to", func() (e error) { r.Remote, e = rule.ParseRemote(s.to); return e })
	parse("port", func() (e error) {
		if r.Ports = nil; optional(s.port) != "" {
			r.Ports, e = rule.ParsePorts(s.port)
		}
		return e
	})
	parse("protocol", func() (e error) { r.Protocol, e = flow.ParseProtocol(s.protocol); return e })
	parse("user", func() error { r.User = optional(s.user); return nil })
	parse("note", func() error { r.Note = s.note; return nil })
	parse("for", func() (e error) {
		r.Lifetime = rule.Lifetime{}
		r.Lifetime.Kind, span, e = rule.ParseLifetime(s.lifetime)
		return e
	})
	if err != nil {
		return 0, err
	}
	if e := rule.ValidateOperands(*r); e != nil {
		return 0, usagef("%s", oneLine(e))
	}
	return span, nil
}

func optional(s string) string {
	if s == "any" {
		return ""
	}
	return s
}

// resolve gives the path that the kernel will know a program by: absolute and without
// symbolic links. It says so when that is another than was given. A program that is not
// there (yet) is allowed, with a warning.
func (c *ctl) resolve(given string) (string, error) {
	path := given
	if !strings.Contains(path, "/") {
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			if found, err := exec.LookPath(path); err == nil {
				path = found
			}
		}
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	switch real, err := filepath.EvalSymlinks(path); {
	case err == nil:
		path = real
	case errors.Is(err, fs.ErrNotExist):
		c.complain("warning: there is no %s (yet)", path)
	default:
		c.complain("warning: %v; taking %s as it is", err, path)
	}
	if path != given {
		c.complain("note: %s is %s", given, path)
	}
	return path, nil
}
