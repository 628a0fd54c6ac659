package main

import (
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"sekisho/app/api"
)

func (c *ctl) status() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show whether the firewall works, and how",
		Long: `Shows the mode, whether connections are filtered, how many rules there are and how
many connections wait for an answer, and anything that is wrong, with what to do.`,
		Example: "  sekishoctl status\n  sekishoctl status --json",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.service().Status(cmd.Context())
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(api.ToStatusJSON(s))
			}
			return c.showStatus(s, time.Now())
		},
	}
}

func (c *ctl) showStatus(s api.Status, now time.Time) error {
	t := c.table()
	t.row("Mode", modeWords(s, now))
	if s.Enforcing {
		t.row("Enforcing", "yes, since "+moment(s.Since, now))
	} else {
		t.row("Enforcing", "NO: nothing is filtered")
	}
	if s.NetworkProfile != "" {
		network := word(s.Network)
		if network == "" {
			network = "none"
		}
		t.row("Network", network+" ("+word(s.NetworkProfile)+")")
	}
	t.row("Rules", strconv.Itoa(s.Rules))
	waiting := strconv.Itoa(s.Waiting)
	if s.Waiting > 0 {
		waiting += " (sekishoctl ask)"
	}
	t.row("Waiting", waiting)
	t.row("Kernel", "Linux "+word(s.Kernel.Release)+", decisions in the "+word(s.Kernel.Decisions)+", queue "+word(s.Kernel.Queue))
	n := s.Counters
	t.row("Connections", number(n.Flows)+", of them "+number(n.Queued)+" held back until decided")
	t.row("Questions", number(n.Prompts)+", "+number(n.Answered)+" answered, "+number(n.Missed)+" missed")
	t.row("Lost", number(n.QueueDropped)+" packets dropped; blocked: "+number(n.OverLimit)+" over a limit, "+number(n.Unattributed)+" of unknown programs; "+
		number(n.EventsLost)+" events missed, "+number(n.NotSaved)+" not saved")
	t.row("Refused", number(n.Refused)+" undecided where nothing can be held, "+number(n.NotShown)+" of the refused not shown; "+
		number(n.Unidentified)+" calls of programs that could not be identified")
	t.row("Version", word(s.Version))
	if err := t.end(); err != nil {
		return err
	}
	for _, p := range s.Problems {
		c.printf("\nProblem: %s", word(p.What))
		if !p.Since.IsZero() {
			c.printf(" (since %s)", moment(p.Since, now))
		}
		c.printf("\n")
		if p.Do != "" {
			c.printf("  What to do: %s\n", word(p.Do))
		}
	}
	return nil
}

func number(n uint64) string { return strconv.FormatUint(n, 10) }

// modeSays is each mode in plain words.
var modeSays = map[api.Mode]string{
	api.ModeAsk:      "asks about what no rule decides",
	api.ModeLearn:    "allows what no rule decides, and notes it in the activity",
	api.ModeAllow:    "quietly allows what no rule decides",
	api.ModeBlock:    "quietly blocks what no rule decides",
	api.ModeLockdown: "blocks all but loopback, DHCP and the kernel's control messages, whatever the rules say",
	api.ModeOff:      "filters nothing",
}

func modeWords(s api.Status, now time.Time) string {
	words := word(string(s.Mode))
	if says := modeSays[s.Mode]; says != "" {
		words += ": " + says
	}
	if !s.ModeUntil.IsZero() {
		words += ", for another " + span(s.ModeUntil.Sub(now))
	}
	return words
}
