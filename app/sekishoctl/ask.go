package main

import (
	"github.com/spf13/cobra"

	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
)

func (c *ctl) ask() *cobra.Command {
	var missed bool
	cmd := &cobra.Command{
		Use:   "ask",
		Short: "Answer what waits, here in this terminal",
		Long: `Shows each connection that waits, in plain words, and reads your answer. It goes on
until you type q, press Ctrl-C, or the input ends. What you may type:

` + askHelp,
		Example: `  sekishoctl ask
  sudo sekishoctl ask            system programs too
  sekishoctl ask --missed        what nobody answered in time, for the next time
  echo 'a always' | sekishoctl ask`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a := asker{service: c.service(), in: newLines(c.in), out: c.out, missed: missed}
			if c.json {
				a.out = c.err // stdout is for the answers
			}
			a.given = func(p prompt.Prompt, answer prompt.Answer, r *rule.Rule) {
				if !c.json {
					c.printf("%s\n", given(p.Flow, answer, r))
					return
				}
				_ = c.printJSON(struct { // a closed pipe ends the program by its signal
					Answered string       `json:"answered"`
					Verdict  flow.Verdict `json:"verdict"`
					Rule     *rule.Rule   `json:"rule,omitempty"`
				}{p.ID, verdictOf(answer.Action), r})
			}
			if isTerminal(c.in) && !missed {
				c.complain("waiting for questions; q or Ctrl-C ends")
			}
			return a.run(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&missed, "missed", false, "ask about what was missed too, and end when nothing is left; the answer is for the next time")
	return cmd
}
