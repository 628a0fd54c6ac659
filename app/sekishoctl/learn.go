package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"sekisho/app/api"
	"sekisho/app/rule"
)

// learnJSON is what was learnt as scripts read it.
type learnJSON struct {
	Proposals []api.Proposal    `json:"proposals"`
	Left      int               `json:"left"`
	Skipped   map[string]uint64 `json:"skipped"`
}

func (c *ctl) learn() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "learn [accept|drop ID…]",
		Short: "Turn what mode learn let through into rules",
		Long: `Proposes rules for what was let through while the mode was to learn (administrators
only). What a warning or a list speaks against is let through, but not learnt.

accept makes rules of proposals; change one afterwards with sekishoctl rule edit. drop
forgets them: you are asked once the mode is to ask. What you say nothing to stays.`,
		Example: `  sudo sekishoctl mode learn --for 1h
  sudo sekishoctl learn
  sudo sekishoctl learn accept all`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := c.service().Learned(cmd.Context())
			if err != nil {
				return err
			}
			if c.json {
				if l.Proposals == nil {
					l.Proposals = []api.Proposal{}
				}
				return c.printJSON(learnJSON(l))
			}
			return c.showLearned(l)
		},
	}
	cmd.AddCommand(&cobra.Command{
		Use:     "accept ID…",
		Short:   "Make rules of proposals",
		Long:    `Makes rules of proposals, all of them or none. "all" stands for every one that is proposed.`,
		Example: "  sudo sekishoctl learn accept learn-0123456789ab\n  sudo sekishoctl learn accept all",
		Args:    someIDs,
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := c.proposals(cmd, args)
			if err != nil {
				return err
			}
			rules, err := c.service().AcceptLearned(cmd.Context(), ids, nil)
			if err != nil {
				return err
			}
			if c.json {
				return c.printRules(rules, clock())
			}
			for _, r := range rules {
				c.printf("%s  %s\n", word(r.ID), sentence(r, clock()))
			}
			return nil
		},
	}, &cobra.Command{
		Use:     "drop ID…",
		Short:   "Forget proposals",
		Long:    `Forgets what proposals were made of. "all" stands for every one that is proposed.`,
		Example: "  sudo sekishoctl learn drop learn-0123456789ab",
		Args:    someIDs,
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := c.proposals(cmd, args)
			if err != nil {
				return err
			}
			return c.service().DropLearned(cmd.Context(), ids)
		},
	})
	return cmd
}

func someIDs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usagef("%s needs the ID of a proposal, or all", cmd.CommandPath())
	}
	return nil
}

// proposals are the ids that args name.
func (c *ctl) proposals(cmd *cobra.Command, args []string) ([]string, error) {
	if len(args) != 1 || args[0] != "all" {
		return args, nil
	}
	l, err := c.service().Learned(cmd.Context())
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, p := range l.Proposals {
		ids = append(ids, p.ID)
	}
	if len(ids) == 0 {
		return nil, &usageError{"nothing is proposed"}
	}
	return ids, nil
}

func (c *ctl) showLearned(l api.Learned) error {
	if len(l.Proposals) == 0 {
		c.printf("Nothing is proposed. Let programs connect for a while with: sekishoctl mode learn --for 1h\n")
		return nil
	}
	for _, p := range l.Proposals {
		c.printf("%s  %s\n", word(p.ID), sentence(p.Rule, clock()))
		of := fmt.Sprintf("seen %s, with %s", times(p.Flows), hosts(p.Hosts))
		if len(p.Examples) > 1 || len(p.Examples) == 1 && p.Rule.Remote.String() != p.Examples[0] {
			of += ": " + word(strings.Join(p.Examples, ", "))
		}
		c.printf("    %s\n", of)
		if p.Interpreter {
			c.printf("    warning: it is for whatever %s runs\n", word(p.Rule.Program.Path))
		}
		if len(p.Overrides) > 0 {
			c.printf("    warning: it would win over rules that block: %s\n", word(strings.Join(p.Overrides, ", ")))
		}
		if p.Rule.Remote == (rule.Remote{}) && p.Breadth == "anything" {
			c.printf("    warning: it is for any destination at any port\n")
		}
	}
	if l.Left > 0 {
		c.printf("Of what was seen beside that, no rule can be made: %d\n", l.Left)
	}
	return nil
}

func times(n uint64) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func hosts(n int) string {
	if n == 1 {
		return "one host"
	}
	return fmt.Sprintf("%d hosts", n)
}
