package main

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"sekisho/app/api"
	"sekisho/app/prompt"
)

func (c *ctl) prompts() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "prompts",
		Short: "Show the connections that wait for an answer",
		Long: `Shows what waits for an answer, and what was missed. Answer with sekishoctl answer,
or with sekishoctl ask, which goes through all of them. With --follow --json each
line is a prompt as without --follow, or {"gone": ID} for one that needs no answer any
more: it was answered or settled by a rule; what came of it is in sekishoctl activity.`,
		Example: "  sekishoctl prompts\n  sekishoctl prompts --follow --json",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if follow {
				return c.followPrompts(cmd.Context())
			}
			prompts, err := c.service().Prompts(cmd.Context())
			if err != nil {
				return err
			}
			if c.json {
				all := []api.PromptJSON{}
				for _, p := range prompts {
					all = append(all, api.ToPromptJSON(p))
				}
				return c.printJSON(all)
			}
			if len(prompts) == 0 {
				c.printf("Nothing waits for an answer.\n")
				return nil
			}
			now := time.Now()
			t := c.table("ID", "STATE", "CONNECTIONS", "PROGRAM", "QUESTION")
			for _, p := range prompts {
				t.row(word(p.ID), stateWords(p, now), strconv.Itoa(p.Flows), programOf(p.Flow), wants(p.Flow))
			}
			if err := t.end(); err != nil {
				return err
			}
			for _, p := range prompts {
				c.printWarnings(p)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&follow, "follow", false, "go on showing what comes and goes, until Ctrl-C")
	return cmd
}

// printWarnings says what is odd about a prompt's program.
func (c *ctl) printWarnings(p prompt.Prompt) {
	for _, w := range p.Warnings {
		c.printf("%s: %s.\n", word(p.ID), safe(w.Text))
	}
	for _, path := range p.Predecessors {
		c.printf("%s: it may be %s by another name: sekishoctl answer %s --like %s\n", word(p.ID), word(path), word(p.ID), word(path))
	}
}

func stateWords(p prompt.Prompt, now time.Time) string {
	switch p.State {
	case prompt.Missed:
		return "missed"
	case prompt.GaveUp:
		return "gave up"
	case prompt.Ended:
		return "program ended"
	}
	if left := p.Deadline.Sub(now); left > 0 {
		return "blocked in " + span(left)
	}
	return "waiting"
}

// followPrompts prints every prompt that is there, appears, changes or goes.
func (c *ctl) followPrompts(ctx context.Context) error {
	type version struct {
		generation uint64
		state      prompt.State
	}
	shown := make(map[string]version) // what was printed
	show := func(p prompt.Prompt) {
		v := version{p.Generation, p.State}
		if shown[p.ID] == v {
			return
		}
		shown[p.ID] = v
		if c.json {
			_ = c.printJSON(api.ToPromptJSON(p)) // a closed pipe ends the program by its signal
			return
		}
		c.printf("%s  %s  %s\n", word(p.ID), stateWords(p, time.Now()), wants(p.Flow))
	}
	first := true
	var failed error
	under, cancel := context.WithCancel(ctx)
	defer cancel()
	err := c.service().Watch(under, func(e api.Event) {
		if first {
			first = false
			prompts, err := c.service().Prompts(under)
			if err != nil {
				failed = err
				cancel()
				return
			}
			for _, p := range prompts {
				show(p)
			}
		}
		switch {
		case e.Prompt != nil:
			show(*e.Prompt)
		case e.Gone != "":
			delete(shown, e.Gone)
			if c.json {
				_ = c.printJSON(map[string]string{"gone": e.Gone})
				return
			}
			c.printf("%s  needs no answer any more\n", word(e.Gone))
		}
	})
	if failed != nil {
		return failed
	}
	return err
}
