package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sekisho/app/api"
	"sekisho/app/rule"
)

// presetSays is what each preset does, in plain words.
var presetSays = map[string]string{
	rule.PresetLoopback: "programs of this computer may talk among themselves",
	rule.PresetDHCP:     "the system may ask the network for its address",
	rule.PresetKernel:   "the kernel may answer pings and keep the network running",
	rule.PresetResolver: "programs may look up names at the name servers that the system uses",
	rule.PresetTime:     "the system may set its clock",
	rule.PresetUpdates:  "the system may fetch its updates",
	rule.PresetMDNS:     "the system may find names and services of the local network, but not of a public one",
	rule.PresetPrinters: "the print service may reach printers of the local network",
	rule.PresetLists:    "the firewall may fetch the blocklists that you have chosen",
	rule.PresetPublic:   "nobody comes in on a public network, once you have named a network (sekishoctl networks)",
}

// presetJSON is a preset as scripts read it.
type presetJSON struct {
	Name      string      `json:"name"`
	Enabled   bool        `json:"enabled"`
	Essential bool        `json:"essential"` // holds in lockdown too
	What      string      `json:"what"`
	Rules     []rule.Rule `json:"rules"`
}

func (c *ctl) presets() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "presets [enable|disable NAME]",
		Short: "Show and switch the built-in rules",
		Long: `Shows the built-in rules for what every computer needs, by their names. They are asked
after your own rules. With --json their rules are listed too, but for those about the
name servers that the system uses at the moment.`,
		Example: `  sekishoctl presets
  sudo sekishoctl presets disable printers`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.service().Settings(cmd.Context())
			if err != nil {
				return err
			}
			return c.showPresets(s)
		},
	}
	cmd.AddCommand(c.presetSwitch("enable", "Switch a built-in rule on"), c.presetSwitch("disable", "Switch a built-in rule off"))
	return cmd
}

func (c *ctl) presetSwitch(verb, short string) *cobra.Command {
	return &cobra.Command{
		Use:       verb + " NAME",
		Short:     short,
		Example:   "  sudo sekishoctl presets " + verb + " printers",
		Args:      takes("the NAME of a preset"),
		ValidArgs: rule.PresetNames(),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := args[0]
			if !slices.Contains(rule.PresetNames(), name) {
				return usagef("there is no preset %q; want %s", name, strings.Join(rule.PresetNames(), ", "))
			}
			s, err := c.service().Settings(cmd.Context())
			if err != nil {
				return err
			}
			s.DisabledPresets = slices.DeleteFunc(s.DisabledPresets, func(n string) bool { return n == name })
			if verb == "disable" {
				s.DisabledPresets = append(s.DisabledPresets, name)
			}
			if err := c.service().SetSettings(cmd.Context(), s); err != nil {
				return err
			}
			return c.showPresets(s)
		},
	}
}

func (c *ctl) showPresets(s api.Settings) error {
	var all []presetJSON
	for _, p := range rule.Presets(nil) {
		rules := p.Rules
		if rules == nil {
			rules = []rule.Rule{}
		}
		all = append(all, presetJSON{p.Name, !slices.Contains(s.DisabledPresets, p.Name), p.Essential, presetSays[p.Name], rules})
	}
	if c.json {
		return c.printJSON(all)
	}
	t := c.table("NAME", "ON", "WHAT")
	for _, p := range all {
		t.row(p.Name, yesNo(p.Enabled), p.What)
	}
	return t.end()
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func (c *ctl) trust() *cobra.Command {
	return &cobra.Command{
		Use:   "trust [on|off]",
		Short: "Show or switch whether programs from packages may connect",
		Long: `Shows whether programs that this system's packages installed may connect without being
asked about, or switches that (administrators only). It is off unless you switch it on.

What no rule decides is meant, and only what goes out. Interpreters, shells and programs
that fetch or send whatever they are told (curl, wget, ssh, nc and their like) are left
out, as is what was changed since it was installed.`,
		Example:   "  sekishoctl trust\n  sudo sekishoctl trust on",
		Args:      takes("[on|off]"),
		ValidArgs: []string{"on", "off"},
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.service().Settings(cmd.Context())
			if err != nil {
				return err
			}
			if len(args) > 0 {
				if args[0] != "on" && args[0] != "off" {
					return usagef("trust %q: want on or off", args[0])
				}
				s.Trust = args[0] == "on"
				if err := c.service().SetSettings(cmd.Context(), s); err != nil {
					return err
				}
			}
			if c.json {
				return c.printJSON(map[string]bool{"trust": s.Trust})
			}
			c.printf("%s\n", trustWords(s.Trust))
			return nil
		},
	}
}

func trustWords(on bool) string {
	if on {
		return "on: programs from packages may connect, except interpreters, shells and fetchers"
	}
	return "off: programs from packages are asked about like others"
}
