package main

import (
	"cmp"
	"strings"

	"github.com/spf13/cobra"

	"sekisho/app/api"
	"sekisho/app/rule"
)

func (c *ctl) networks() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "networks [name ID PROFILE]",
		Short: "Show the networks and say which is home",
		Long: `Shows the networks that this computer is on and those that were named, each with its
profile: ` + strings.Join(rule.Networks, ", ") + `, or a name of your own. A rule may hold in some of
them only (rule add --network home,work).

A network that nobody named is public. As long as you have named none at all, you are
asked about who comes in; from the first one on, nobody comes in on public networks
unless a rule says so.`,
		Example: `  sekishoctl networks
  sudo sekishoctl networks name gateway:00:11:22:33:44:55 home`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.showNetworks(cmd) },
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "name ID PROFILE",
		Short: "Say what a network is",
		Long: `Says which profile a network has (administrators only): ` + strings.Join(rule.Networks, ", ") + `, or a name
of your own. "none" forgets what was said.`,
		Example: "  sudo sekishoctl networks name gateway:00:11:22:33:44:55 home",
		Args:    takes("the ID of a network", "a PROFILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			profile := args[1]
			if profile == "none" {
				profile = ""
			} else if err := rule.CheckProfile(rule.NormalNetwork(profile)); err != nil {
				return usagef("%s", oneLine(err))
			}
			return c.service().NameNetwork(cmd.Context(), args[0], profile)
		},
	})
	return cmd
}

func (c *ctl) showNetworks(cmd *cobra.Command) error {
	all, err := c.service().Networks(cmd.Context())
	if err != nil {
		return err
	}
	if c.json {
		if all == nil {
			all = []api.Network{}
		}
		return c.printJSON(all)
	}
	if len(all) == 0 {
		c.printf("This computer is on no network.\n")
		return nil
	}
	t := c.table("NETWORK", "KIND", "HERE", "PROFILE", "ID")
	for _, n := range all {
		here := yesNo(n.Here)
		if n.Primary {
			here = "yes, the way out"
		}
		t.row(word(n.Name), word(n.Kind), here, profileWords(n), cmp.Or(word(n.ID), "(it can't be known again)"))
	}
	return t.end()
}

func profileWords(n api.Network) string {
	switch {
	case n.Profile == "":
		return "none: it is on this computer"
	case !n.Known && n.Profile == rule.NetworkPublic:
		return "public: nobody has named it"
	case n.Weak && n.Known:
		return word(n.Profile) + " (others could make one that looks the same)"
	}
	return word(n.Profile)
}
