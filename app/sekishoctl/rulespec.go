package main

import (
	"fmt"
	"os/user"
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
	pkg, app, folder                      string
	action, direction, to, port, protocol string
	user, network, lifetime, note         string
}

func (s *ruleSpec) flags(f *pflag.FlagSet) {
	f.StringVar(&s.program, "program", "", "the program's file, any, kernel or forwarded")
	f.StringVar(&s.script, "script", "", "the script that the program runs, such as backup.py with --program /usr/bin/python3")
	f.StringVar(&s.pkg, "package", "", "only programs that this package of the system installed")
	f.StringVar(&s.app, "app", "", "only programs of this application: a Flatpak's id, a Snap's name or an AppImage's file")
	f.StringVar(&s.folder, "folder", "", "only programs, or scripts, that are in this folder or below")
	f.StringVar(&s.unit, "unit", "", "only programs of this systemd unit")
	f.StringVar(&s.parent, "parent", "", "only programs that this program started")
	f.StringVar(&s.sha256, "sha256", "", "only if the program's file has this checksum")
	f.StringVar(&s.action, "action", "", "allow or block")
	f.StringVar(&s.direction, "direction", "", "out (it connects), in (it is reached) or both (default out)")
	f.StringVar(&s.to, "to", "", "the other end: a host name, *.domain, address, network, lan, list:NAME or any (default any)")
	f.StringVar(&s.port, "port", "", "443, 8000-8999, or 80,443 (default any)")
	f.StringVar(&s.protocol, "protocol", "", "tcp, udp, icmp, … (default any)")
	f.StringVar(&s.user, "user", "", "only programs of this user")
	f.StringVar(&s.network, "network", "", "only on networks with these profiles, such as home,work (default any)")
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
	path := func(of *string, value string, find func(string) (string, error)) func() error {
		return func() (e error) {
			if *of = optional(value); *of != "" {
				*of, e = find(value)
			}
			return e
		}
	}
	parse("program", path(&r.Program.Path, s.program, c.program))
	parse("script", path(&r.Program.Script, s.script, c.script))
	parse("parent", path(&r.Program.Parent, s.parent, c.program))
	parse("package", func() error { r.Program.Package = optional(s.pkg); return nil })
	parse("app", func() error { r.Program.App = optional(s.app); return nil })
	parse("folder", path(&r.Program.Folder, s.folder, absolute))
	parse("unit", func() error { r.Program.Unit = optional(s.unit); return nil })
	parse("sha256", func() error { r.Program.SHA256 = strings.ToLower(optional(s.sha256)); return nil })
	parse("action", func() (e error) { r.Action, e = rule.ParseAction(s.action); return e })
	parse("direction", func() (e error) { r.Direction, e = rule.ParseDirection(s.direction); return e })
	parse("to", func() (e error) { r.Remote, e = rule.ParseRemote(s.to); return e })
	parse("port", func() (e error) { r.Ports, e = rule.ParsePorts(s.port); return e })
	parse("protocol", func() (e error) { r.Protocol, e = flow.ParseProtocol(s.protocol); return e })
	parse("user", func() error { r.User = optional(s.user); return checkAccount(s.user) })
	parse("network", func() error { r.Network = rule.NormalNetwork(optional(s.network)); return nil })
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

// checkAccount makes sure that this computer knows an account; a number may be of one
// that is known elsewhere.
func checkAccount(s string) error {
	if s == "any" || s != "" && strings.Trim(s, "0123456789") == "" {
		return nil
	}
	if _, err := user.Lookup(s); err != nil {
		return fmt.Errorf("there is no account %q; give a name, a number, or any", s)
	}
	return nil
}

// absolute is a folder as rules name it: from the root, its links followed.
func absolute(s string) (string, error) {
	dir, err := filepath.Abs(s)
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		return real, nil
	}
	return dir, nil
}

func optional(s string) string {
	if s == "any" {
		return ""
	}
	return s
}
