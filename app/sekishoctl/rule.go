package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"sekisho/app/api"
	"sekisho/app/rule"
)

func (c *ctl) rule() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rule",
		Short: "Make, show and change rules",
		Long: `A rule says whether a program may connect: to where, on which port, for how long.
The most specific rule wins, so their order does not matter; sekishoctl explain shows
which one decides. Everybody may keep rules about their own programs; rules for all
users are an administrator's.`,
		Args: cobra.ArbitraryArgs,
		RunE: c.helpOr("sekishoctl rule"),
	}
	cmd.SuggestionsMinimumDistance = 2
	cmd.AddCommand(c.ruleAdd(), c.ruleList(), c.ruleShow(), c.ruleEdit(), c.ruleSwitch(true), c.ruleSwitch(false),
		c.ruleRemove(), c.ruleExport(), c.ruleImport())
	return cmd
}

func (c *ctl) ruleList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the rules as sentences",
		Example: "  sekishoctl rule list\n  sekishoctl rule list --json",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			rules, err := c.service().Rules(cmd.Context())
			if err != nil {
				return err
			}
			now := clock()
			if c.json {
				return c.printRules(rules, now)
			}
			if len(rules) == 0 {
				c.printf("There are no rules yet. Make one with: sekishoctl rule add --program PATH --action allow\n")
				return nil
			}
			t := c.table("ID", "ON", "HITS", "LAST USED", "RULE")
			for _, r := range rules {
				on := "yes"
				if !r.Enabled {
					on = "no"
				}
				t.row(word(r.ID), on, strconv.FormatUint(r.Hits, 10), moment(r.LastUsed, now.Wall), sentence(r, now))
			}
			return t.end()
		},
	}
}

func (c *ctl) printRules(rules []rule.Rule, now rule.Clock) error {
	list := struct {
		Version int               `json:"version"`
		Rules   []json.RawMessage `json:"rules"`
	}{rule.Version, []json.RawMessage{}}
	for _, r := range rules {
		b, err := rule.MarshalListed(r, now)
		if err != nil {
			return err
		}
		list.Rules = append(list.Rules, b)
	}
	return c.printJSON(list)
}

func (c *ctl) ruleShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show ID",
		Short:   "Show everything about one rule",
		Example: "  sekishoctl rule show 12",
		Args:    takes("the ID of a rule"),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := c.findRule(cmd, args[0])
			if err != nil {
				return err
			}
			now := clock()
			if c.json {
				b, err := rule.MarshalListed(r, now)
				if err != nil {
					return err
				}
				return c.printJSON(json.RawMessage(b))
			}
			c.printf("%s\n", sentence(r, now))
			t := c.table()
			on := "yes"
			if !r.Enabled {
				on = "no"
			}
			t.row("  on", on)
			if r.Note != "" {
				t.row("  note", word(r.Note))
			}
			t.row("  made", moment(r.Created, now.Wall)+" by "+word(r.By)+" ("+word(string(r.Origin))+")")
			t.row("  hits", strconv.FormatUint(r.Hits, 10))
			if !r.LastUsed.IsZero() {
				t.row("  last used", moment(r.LastUsed, now.Wall))
			}
			return t.end()
		},
	}
}

// findRule gives the rule with an id.
func (c *ctl) findRule(cmd *cobra.Command, id string) (rule.Rule, error) {
	rules, err := c.service().Rules(cmd.Context())
	if err != nil {
		return rule.Rule{}, err
	}
	for _, r := range rules {
		if r.ID == id {
			return r, nil
		}
	}
	if administers(os.Geteuid()) {
		return rule.Rule{}, api.Errorf(api.NotFound, "there is no rule %s; sekishoctl rule list shows those that there are", id)
	}
	return rule.Rule{}, api.Errorf(api.NotPermitted, "you have no rule %s of your own; sekishoctl rule list shows yours, all others are an administrator's (sudo)", id)
}

func (c *ctl) ruleSwitch(on bool) *cobra.Command {
	cmd := &cobra.Command{
		Use: "enable ID", Short: "Switch a rule on", Example: "  sekishoctl rule enable 12",
		Args: takes("the ID of a rule"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := c.service().EnableRule(cmd.Context(), args[0], on); err != nil {
				return err
			}
			if c.json {
				return c.printJSON(map[string]any{"id": args[0], "enabled": on})
			}
			if on {
				c.printf("Rule %s is on.\n", word(args[0]))
			} else {
				c.printf("Rule %s is off.\n", word(args[0]))
			}
			return nil
		},
	}
	if !on {
		cmd.Use, cmd.Short, cmd.Example = "disable ID", "Switch a rule off, and keep it", "  sekishoctl rule disable 12"
	}
	return cmd
}

func (c *ctl) ruleRemove() *cobra.Command {
	return &cobra.Command{
		Use:     "remove ID…",
		Short:   "Remove rules for good",
		Long:    "Removes rules for good, one after the other; it ends at the first that cannot be removed.",
		Example: "  sekishoctl rule remove 12\n  sekishoctl rule remove 12 15 16",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("%s needs the ID of a rule", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, id := range args {
				if err := c.service().RemoveRule(cmd.Context(), id); err != nil {
					return err
				}
				if !c.json {
					c.printf("Rule %s is gone.\n", word(id))
				} else if err := c.printJSON(map[string]any{"id": id, "removed": true}); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (c *ctl) ruleExport() *cobra.Command {
	return &cobra.Command{
		Use:   "export [FILE]",
		Short: "Write the rules to a file, or to the terminal",
		Example: `  sekishoctl rule export rules.json
  sekishoctl rule export | less`,
		Args: takes("[FILE]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			rules, err := c.service().Rules(cmd.Context())
			if err != nil {
				return err
			}
			b, err := rule.WriteFile(rules)
			if err != nil {
				return err
			}
			if len(args) == 0 || args[0] == "-" {
				_, err := c.out.Write(escapeJSON(b))
				return err
			}
			if err := writeWhole(args[0], func(f *os.File) error { _, err := f.Write(b); return err }); err != nil {
				return err
			}
			if c.json {
				return c.printJSON(map[string]any{"file": args[0], "rules": len(rules)})
			}
			c.printf("%s written to %s.\n", count(len(rules), "rule", "rules"), word(args[0]))
			return nil
		},
	}
}

// writeWhole writes a file that is there whole or not at all, for its owner alone.
func writeWhole(path string, write func(*os.File) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fileError("write", path, err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // does nothing once it is renamed
	err = write(f)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if api.CodeOf(err) != api.Failed || err == nil {
		return err
	}
	return fileError("write", path, err)
}

// fileError says what could not be done with a file, without the name of a temporary
// one; errors of the service pass.
func fileError(do, path string, err error) error {
	var ours *api.Error
	if errors.As(err, &ours) {
		return ours
	}
	var of *os.PathError
	if errors.As(err, &of) {
		err = of.Err
	}
	return api.Errorf(api.Failed, "%s %s: %v", do, path, err)
}

func (c *ctl) ruleImport() *cobra.Command {
	var merge, replace bool
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Add the rules of a file, or put them in place of all",
		Long: `Reads a file that rule export wrote (administrators only). With --replace its rules
take the place of all that there are, which are written to a file beside it first (and
a terminal is asked whether you are sure); otherwise they are added. If one rule is
bad, nothing changes and the line is named.`,
		Example: `  sudo sekishoctl rule import rules.json
  sudo sekishoctl rule import --replace rules.json
  sudo sekishoctl rule import - < rules.json`,
		Args: takes("a FILE that rule export wrote"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if merge && replace {
				return usagef("--merge and --replace at once; choose one")
			}
			b, err := c.readFile(args[0], api.MaxImport)
			if err != nil {
				return err
			}
			if _, err := rule.ReadFile(b); err != nil {
				return api.Errorf(api.Failed, "%s: %v; nothing was changed", args[0], err)
			}
			before := ""
			if replace {
				if before, err = c.keepRules(cmd.Context(), args[0]); err != nil {
					return err
				}
			}
			n, err := c.service().ImportRules(cmd.Context(), b, replace)
			if err != nil {
				if replace {
					_ = os.Remove(before) // nothing was replaced
				}
				return badFile(args[0], err)
			}
			if c.json && replace {
				return c.printJSON(map[string]any{"added": n, "replaced": replace, "before": before})
			}
			if c.json {
				return c.printJSON(map[string]any{"added": n, "replaced": replace})
			}
			if replace {
				c.printf("%s in place of all that there were, which are in %s.\n", count(n, "rule is", "rules are"), word(before))
			} else {
				c.printf("%s added.\n", count(n, "rule", "rules"))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&merge, "merge", false, "add to the rules that there are (what happens by itself)")
	cmd.Flags().BoolVar(&replace, "replace", false, "put the file's rules in place of all")
	return cmd
}

// keepRules asks whether to replace the rules, and writes those that there are to a
// file beside the one that replaces them.
func (c *ctl) keepRules(ctx context.Context, file string) (before string, err error) {
	if err := c.sure(ctx, "Put the file's rules in place of all that there are?"); err != nil {
		return "", err
	}
	rules, err := c.service().Rules(ctx)
	if err != nil {
		return "", err
	}
	b, err := rule.WriteFile(rules)
	if err != nil {
		return "", err
	}
	return keepBefore(file, ".json", func(f *os.File) error { _, err := f.Write(b); return err })
}
