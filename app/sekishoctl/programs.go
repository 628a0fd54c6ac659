package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekisho/app/api"
	"sekisho/app/flow"
)

func (c *ctl) programs() *cobra.Command {
	return &cobra.Command{
		Use:   "programs",
		Short: "Show the programs that used the network, and where they came from",
		Long: `Shows the programs of the history, those that connected last first: what installed
them, since when their files are there, which rules are about them, and how often they
were allowed and blocked.`,
		Example: "  sekishoctl programs\n  sekishoctl programs --json",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := c.service().Programs(cmd.Context())
			if err != nil {
				return err
			}
			if c.json {
				list := []api.SeenProgramJSON{}
				for _, p := range all {
					list = append(list, api.ToSeenProgramJSON(p))
				}
				return c.printJSON(list)
			}
			if len(all) == 0 {
				c.printf("No program has used the network yet.\n")
				return nil
			}
			now := time.Now()
			t := c.table("LAST", "ALLOWED", "BLOCKED", "RULES", "FROM", "PROGRAM", "WARNINGS")
			for _, p := range all {
				t.row(moment(p.Last, now), strconv.FormatUint(p.Allowed, 10), strconv.FormatUint(p.Blocked, 10), ruleIDs(p.Rules),
					cameFrom(&p), programOf(flow.Flow{Process: &p.Process}), warningCodes(p.Warnings))
			}
			return t.end()
		},
	}
}

// ruleIDs names a few rules.
func ruleIDs(ids []string) string {
	if len(ids) == 0 {
		return "-"
	}
	words := make([]string, 0, 4)
	for _, id := range ids[:min(len(ids), 3)] {
		words = append(words, word(id))
	}
	if len(ids) > 3 {
		words = append(words, "…")
	}
	return strings.Join(words, ",")
}

// cameFrom is what brought a program: its package, its app, or what wrote its file.
func cameFrom(p *api.SeenProgram) string {
	switch from := &p.Provenance; {
	case p.Process.Script != "" && from.Package != "":
		return "package " + word(from.Package)
	case p.Process.Script == "" && p.Process.Package != "":
		return "package " + word(p.Process.Package)
	case p.Process.App != "":
		return "app " + word(p.Process.App)
	case from.Writer != nil:
		return "written by " + word(from.Writer.Name)
	case from.Origin != "":
		return "fetched from " + word(from.Origin)
	}
	return "-"
}

// warningCodes are the names of warnings, for a column.
func warningCodes(all []flow.Warning) string {
	codes := make([]string, len(all))
	for i, w := range all {
		codes[i] = word(w.Code)
	}
	return strings.Join(codes, ",")
}
