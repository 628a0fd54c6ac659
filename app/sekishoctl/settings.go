package main

import (
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekisho/app/api"
)

func (c *ctl) settings() *cobra.Command {
	var (
		set     api.Settings
		on, off []string
	)
	cmd := &cobra.Command{
		Use:   "settings",
		Short: "Show or change the settings",
		Long:  `Shows the settings, or changes those that are given (administrators only).`,
		Example: `  sekishoctl settings
  sudo sekishoctl settings --deadline 90s
  sudo sekishoctl settings --unattended block --when-stopped closed`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.service().Settings(cmd.Context())
			if err != nil {
				return err
			}
			flags := cmd.Flags()
			if flags.Changed("deadline") {
				s.Deadline = set.Deadline
			}
			if flags.Changed("unattended") {
				s.Unattended = set.Unattended
			}
			if flags.Changed("when-stopped") {
				s.WhenStopped = set.WhenStopped
			}
			for _, name := range off {
				if !slices.Contains(s.DisabledPresets, name) {
					s.DisabledPresets = append(s.DisabledPresets, name)
				}
			}
			s.DisabledPresets = slices.DeleteFunc(s.DisabledPresets, func(n string) bool { return slices.Contains(on, n) })
			if changedAny(cmd, "deadline", "unattended", "when-stopped", "preset-on", "preset-off") {
				if err := c.service().SetSettings(cmd.Context(), s); err != nil {
					return err
				}
			}
			return c.showSettings(s)
		},
	}
	f := cmd.Flags()
	f.DurationVar(&set.Deadline, "deadline", time.Minute, "how long a connection waits for an answer, 1s to 100s")
	f.StringVar(&set.Unattended, "unattended", "", "when nobody can answer: block, or allow-packaged (allow programs from packages)")
	f.StringVar(&set.WhenStopped, "when-stopped", "", "when the service is stopped: open (all may connect) or closed")
	f.StringSliceVar(&on, "preset-on", nil, "switch a built-in rule on, by its name")
	f.StringSliceVar(&off, "preset-off", nil, "switch a built-in rule off, by its name")
	return cmd
}

func changedAny(cmd *cobra.Command, names ...string) bool {
	return slices.ContainsFunc(names, cmd.Flags().Changed)
}

func (c *ctl) showSettings(s api.Settings) error {
	if c.json {
		return c.printJSON(api.ToSettingsJSON(s))
	}
	unattended := map[string]string{
		"block": "what waits is blocked", "allow-packaged": "programs from packages are allowed, the rest is blocked",
	}
	stopped := map[string]string{
		"open": "everything may connect", "closed": "what no rule decides stays blocked",
	}
	t := c.table()
	t.row("deadline", word(s.Deadline.String()), "how long a connection waits for an answer")
	t.row("unattended", word(s.Unattended), "when nobody can answer, "+unattended[s.Unattended])
	t.row("when-stopped", word(s.WhenStopped), "when the service is stopped, "+stopped[s.WhenStopped])
	t.row("trust", onOff(s.Trust), strings.SplitN(trustWords(s.Trust), ": ", 2)[1])
	if len(s.DisabledPresets) > 0 {
		t.row("presets off", word(strings.Join(s.DisabledPresets, ", ")))
	}
	return t.end()
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}
