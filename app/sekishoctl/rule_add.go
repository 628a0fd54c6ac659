package main

import (
	"encoding/json"
	"regexp"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sekisho/app/rule"
)

func (c *ctl) ruleAdd() *cobra.Command {
	var (
		s   ruleSpec
		off bool
	)
	cmd := &cobra.Command{
		Use:   "add --program PATH --action allow|block",
		Short: "Make a rule",
		Long: `Makes a rule and prints its id. What is not given means any: without --to the
program may connect anywhere (or nowhere), without --port on any port.

With --direction in the rule is about who reaches the program: --to is where they come
from, and --port is the program's own. What this computer says to itself is left alone
unless --to names it, as localhost or 127.0.0.0/8 does.

--program kernel is what the kernel itself sends and answers, --program forwarded what
passes through this computer for others, such as containers; rules for any program are
not about the latter. A file of that name here is ./kernel.`,
		Example: `  sekishoctl rule add --program /usr/bin/curl --action allow
  sekishoctl rule add --program /usr/bin/curl --action allow --to example.com --port 443 --protocol tcp
  sekishoctl rule add --program /usr/bin/python3 --script ~/backup.py --action allow --to '*.example.com'
  sekishoctl rule add --package thunderbird --action allow --port 993
  sekishoctl rule add --folder ~/Downloads --action block
  sekishoctl rule add --program firefox --action block --to lan --for 1h
  sekishoctl rule add --program /usr/sbin/sshd --action allow --direction in --to 192.168.0.0/16 --port 22
  sudo sekishoctl rule add --program any --action block --to 203.0.113.0/24`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if s.program+s.script+s.pkg+s.app+s.folder+s.unit+s.parent+s.sha256 == "" {
				return usagef("which program? say --program PATH, or --program any for every program")
			}
			if s.action == "" {
				return usagef("--action allow or --action block?")
			}
			r := rule.Rule{Enabled: !off, Origin: rule.FromCommand, Lifetime: rule.Lifetime{Kind: rule.Always}}
			span, err := s.apply(c, cmd, &r)
			if err != nil {
				return err
			}
			saved, err := c.service().AddRule(cmd.Context(), r, span)
			if err != nil {
				return err
			}
			c.warnOf(saved)
			if c.json {
				return c.printRule(saved)
			}
			c.printf("%s\n", word(saved.ID))
			return nil
		},
	}
	s.flags(cmd.Flags())
	cmd.Flags().BoolVar(&off, "off", false, "make it switched off")
	return cmd
}

func (c *ctl) ruleEdit() *cobra.Command {
	var s ruleSpec
	cmd := &cobra.Command{
		Use:   "edit ID",
		Short: "Change a rule",
		Long:  `Changes what is given and leaves the rest. "any" takes a condition away: --to any.`,
		Example: `  sekishoctl rule edit 12 --port 443
  sekishoctl rule edit 12 --to any --for 1h
  sekishoctl rule edit 12 --note "for the backup"`,
		Args: takes("the ID of a rule"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !anyChanged(cmd) {
				return usagef("what should change? give at least one flag")
			}
			r, err := c.findRule(cmd, args[0])
			if err != nil {
				return err
			}
			span, err := s.apply(c, cmd, &r)
			if err != nil {
				return err
			}
			saved, err := c.service().EditRule(cmd.Context(), r, span)
			if err != nil {
				return err
			}
			c.warnOf(saved)
			if c.json {
				return c.printRule(saved)
			}
			c.printf("%s\n", sentence(saved, clock()))
			return nil
		},
	}
	s.flags(cmd.Flags())
	return cmd
}

// warnOf says where a rule that was saved does less, or more, than it seems to.
func (c *ctl) warnOf(r rule.Rule) {
	everything := r.Program == (rule.Program{}) && r.User == "" && r.Remote.IsAny() && len(r.Ports) == 0 && r.Protocol == 0
	if everything && r.Action == rule.Allow && r.Enabled {
		what := map[rule.Direction]string{
			rule.Out: "lets every program of every user connect anywhere", rule.In: "lets anybody reach every program",
			rule.Both: "lets every program connect anywhere and anybody reach it",
		}
		c.complain("warning: this %s; sekishoctl rule remove %s takes it back", what[r.Direction], r.ID)
	}
	if r.Action == rule.Allow && r.Enabled && loader.MatchString(r.Program.Path) {
		c.complain("warning: %s loads other programs, so anybody can have any of them pass for it; sekishoctl rule remove %s takes it back", word(r.Program.Path), r.ID)
	}
}

// loader matches the dynamic loaders' files of glibc and musl (ld.so(8)): who executes one
// with a program as its argument is the loader, as far as can be known.
var loader = regexp.MustCompile(`/ld(64)?(-[^/]+)?\.so(\.[0-9]+)?$`)

// anyChanged reports whether one of the command's own flags was given.
func anyChanged(cmd *cobra.Command) bool {
	changed := false
	cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) { changed = changed || f.Changed })
	return changed
}

func (c *ctl) printRule(r rule.Rule) error {
	b, err := rule.MarshalListed(r, clock())
	if err != nil {
		return err
	}
	return c.printJSON(json.RawMessage(b))
}
