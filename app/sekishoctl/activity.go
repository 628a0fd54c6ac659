package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/rule"
)

func (c *ctl) activity() *cobra.Command {
	var (
		a              api.ActivityFilter
		since, verdict string
	)
	cmd := &cobra.Command{
		Use:   "activity",
		Short: "Show what was allowed and blocked, and by what",
		Example: `  sekishoctl activity --since 1h
  sekishoctl activity --verdict block --follow
  sekishoctl activity --program /usr/bin/curl --json`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if a.Since, err = parseSince(since, time.Now()); err != nil {
				return err
			}
			if a.Since.After(time.Now()) {
				return usagef("--since %q has not come yet; want how long ago, or a moment that has passed", since)
			}
			if a.Follow && since == "" && a.Limit == 0 {
				a.Since = time.Now()
			}
			if verdict != "" {
				if err := a.Verdict.UnmarshalText([]byte(verdict)); err != nil || a.Verdict == flow.Waiting {
					return usagef("--verdict %q: want allow or block", verdict)
				}
			}
			if cmd.Flags().Changed("limit") && a.Limit < 1 {
				return usagef("--limit %d: want a number above zero", a.Limit)
			}
			if a.Program != "" {
				if a.Program, err = c.program(a.Program); err != nil {
					return err
				}
			}
			return c.showActivity(cmd.Context(), a)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&a.Follow, "follow", false, "go on showing what happens, until Ctrl-C; without --since and --limit only what is new")
	f.StringVar(&since, "since", "", "how long ago, such as 1h or 2d, or a day such as 2026-01-31")
	f.StringVar(&a.Program, "program", "", "only of this program")
	f.StringVar(&verdict, "verdict", "", "only what was allowed or blocked: allow or block")
	f.IntVar(&a.Limit, "limit", 0, "at most the newest so many")
	return cmd
}

func (c *ctl) showActivity(ctx context.Context, a api.ActivityFilter) error {
	if a.Follow {
		return c.service().Activity(ctx, a, c.flowLine())
	}
	flows := []flow.Flow{}
	if err := c.service().Activity(ctx, a, func(f flow.Flow) { flows = append(flows, f) }); err != nil {
		return err
	}
	if c.json {
		return c.printFlows(flows)
	}
	if len(flows) == 0 {
		c.printf("Nothing was decided that fits.\n")
		return nil
	}
	now := time.Now()
	t := c.table("TIME", "VERDICT", "PROGRAM", "", "REMOTE", "PROTOCOL", "BY", "WARNINGS")
	for _, f := range flows {
		t.row(moment(f.Time, now), verdictWord(f.Decision.Verdict), programOf(f), arrow(f), remoteOf(f), f.Protocol.String(), byWords(f.Decision.By), warningCodes(f.Warnings))
	}
	return t.end()
}

// parseSince turns how long ago, or a moment, into that moment.
func parseSince(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if kind, d, err := rule.ParseLifetime(s); err == nil && kind == rule.Until {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usagef("--since %q: want how long ago, such as 1h or 2d, or a day such as 2026-01-31", s)
}
