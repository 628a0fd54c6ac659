package main

import (
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekisho/app/api"
	"sekisho/app/rule"
)

func (c *ctl) mode() *cobra.Command {
	var wanted string
	cmd := &cobra.Command{
		Use:   "mode [ask|learn|allow|block|lockdown|off]",
		Short: "Show or set what happens to what no rule decides",
		Long: `Shows the mode, or sets it (administrators only):

  ask        ask about what no rule decides
  learn      allow it, and note it for sekishoctl learn
  allow      quietly allow it
  block      quietly block it
  lockdown   block all but this machine's own loopback, DHCP and the kernel's
             control messages (ICMP, IGMP), whatever the rules say
  off        filter nothing

With --for the old mode comes back by itself.`,
		Example: `  sekishoctl mode
  sudo sekishoctl mode ask
  sudo sekishoctl mode allow --for 15m`,
		Args:      takes("[MODE]"),
		ValidArgs: modeNames(),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				if wanted != "" {
					return usagef("--for needs a mode, as in: mode allow --for 15m")
				}
			} else if err := c.setMode(cmd, args[0], wanted); err != nil {
				return err
			}
			s, err := c.service().Status(cmd.Context())
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(struct {
					Mode  api.Mode  `json:"mode"`
					Until time.Time `json:"mode_until,omitzero"`
				}{s.Mode, s.ModeUntil.UTC()})
			}
			c.printf("%s\n", modeWords(s, time.Now()))
			return nil
		},
	}
	cmd.Flags().StringVar(&wanted, "for", "", "how long, such as 15m or 1h; then the old mode comes back")
	return cmd
}

func (c *ctl) setMode(cmd *cobra.Command, name, wanted string) error {
	if !slices.Contains(modeNames(), name) {
		return usagef("there is no mode %q; want %s", name, strings.Join(modeNames(), ", "))
	}
	var span time.Duration
	if wanted != "" {
		kind, d, err := rule.ParseLifetime(wanted)
		if err != nil || kind != rule.Until {
			return usagef("--for %q: want a span such as 15m, 1h or 2d", wanted)
		}
		span = d
	}
	return c.service().SetMode(cmd.Context(), api.Mode(name), span)
}

func modeNames() []string {
	names := make([]string, len(api.Modes))
	for i, m := range api.Modes {
		names[i] = string(m)
	}
	return names
}
