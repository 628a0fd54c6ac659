package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
)

func (c *ctl) answer() *cobra.Command {
	var wanted, to, port, like string
	cmd := &cobra.Command{
		Use:   "answer ID allow|block",
		Short: "Answer one connection that waits",
		Long: `Answers one of the connections that sekishoctl prompts shows. Without more it counts
once, for what is asked. With --for it becomes a rule; --to and --port say what the
rule is about:

  --to host-port    this host on this port (what happens by itself)
  --to host         all of this host
  --to port         any host on this port
  --to any          whatever the program does
  --to DESTINATION  another name, *.domain, address or network that covers it

A program that was moved, or that is another version of one with rules, can have these:
with --like the answer is that the rules of that program hold for this one too. The
prompt's "predecessors" in --json says which ones are offered.`,
		Example: `  sekishoctl answer p7 allow
  sekishoctl answer p7 allow --for always --to host
  sekishoctl answer p7 allow --for 1h --to '*.example.com' --port 443
  sekishoctl answer p7 block --for always --to any
  sekishoctl answer p7 --like ~/Apps/Editor-1.2`,
		Args: takes("the ID that sekishoctl prompts shows", "[allow or block]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var (
				a   prompt.Answer
				err error
			)
			if cmd.Flags().Changed("like") {
				if len(args) > 1 || cmd.Flags().Changed("for") || cmd.Flags().Changed("to") || cmd.Flags().Changed("port") {
					return usagef("--like answers with the rules of the other program: leave out the rest")
				}
				return c.answerLike(cmd.Context(), args[0], like)
			}
			if len(args) < 2 {
				return usagef("%s needs allow or block", cmd.CommandPath())
			}
			if a.Action, err = rule.ParseAction(args[1]); err != nil {
				return usagef("answer %q: want allow or block", args[1])
			}
			if a.Lifetime, a.For, err = rule.ParseLifetime(wanted); err != nil {
				return usagef("--for: %s", oneLine(err))
			}
			f, err := c.asked(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if a.Scope, err = scopeOf(f, to, port); err != nil {
				return err
			}
			return c.give(cmd.Context(), args[0], f, a)
		},
	}
	cmd.Flags().StringVar(&wanted, "for", "once", "once, quit (until it quits), boot (until restart), always, or a span such as 15m or 1h")
	cmd.Flags().StringVar(&like, "like", "", "with the rules of this program, which the prompt offers")
	cmd.Flags().StringVar(&to, "to", "", "host-port, host, port, any, or a destination")
	cmd.Flags().StringVar(&port, "port", "", "a port, or any")
	return cmd
}

// answerLike lets the rules of another program hold for the one that is asked about.
func (c *ctl) answerLike(ctx context.Context, id, like string) error {
	path, err := filepath.Abs(like)
	if err != nil {
		return usagef("--like: %s", oneLine(err))
	}
	if _, err := c.service().Answer(ctx, id, prompt.Answer{Like: path}); err != nil {
		return err
	}
	if c.json {
		return c.printJSON(struct {
			Answered string `json:"answered"`
			Like     string `json:"like"`
		}{id, path})
	}
	c.printf("The rules of %s hold for it too.\n", word(path))
	return nil
}

// asked finds the flow that waits under an id, a prompt's or its own.
func (c *ctl) asked(ctx context.Context, id string) (flow.Flow, error) {
	prompts, err := c.service().Prompts(ctx)
	if err != nil {
		return flow.Flow{}, err
	}
	for _, p := range prompts {
		if p.ID == id || p.Flow.ID == id {
			return p.Flow, nil
		}
	}
	flows, err := c.service().Connections(ctx) // a later flow of a prompt
	if err != nil {
		return flow.Flow{}, err
	}
	for _, f := range flows {
		if f.ID == id && f.Decision.Verdict == flow.Waiting {
			return f, nil
		}
	}
	// The service knows whether it is somebody else's; only the form is judged here.
	if administers(os.Geteuid()) {
		return flow.Flow{}, api.Errorf(api.NotFound, "nothing waits as %s; sekishoctl prompts shows what does", id)
	}
	return flow.Flow{}, api.Errorf(api.NotFound, "nothing of yours waits as %q; sekishoctl prompts shows what does, sudo sekishoctl prompts everybody's", id)
}

// scopeOf turns --to and --port into what an answer is about.
func scopeOf(f flow.Flow, to, port string) (prompt.Scope, error) {
	host, number := prompt.Destination(f), prompt.Service(f)
	switch prompt.ScopeKind(to) {
	case "":
	case prompt.HostAndPort:
	case prompt.Host:
		number = 0
	case prompt.Port:
		host = ""
	case prompt.Anything:
		host, number = "", 0
	default:
		r, err := rule.ParseRemote(to)
		if err != nil {
			return prompt.Scope{}, usagef("--to: %s", oneLine(err))
		}
		host, number = r.String(), 0
	}
	switch port {
	case "":
	case "any":
		number = 0
	default:
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return prompt.Scope{}, usagef("--port %q: want a number from 1 to 65535, or any", port)
		}
		number = uint16(n)
	}
	s, err := prompt.ParseScope(host, number)
	if err != nil {
		return prompt.Scope{}, usagef("--to: %s", oneLine(err))
	}
	return s, nil
}

// give answers and says what came of it.
func (c *ctl) give(ctx context.Context, id string, f flow.Flow, a prompt.Answer) error {
	r, err := c.service().Answer(ctx, id, a)
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(struct {
			Answered string       `json:"answered"`
			Verdict  flow.Verdict `json:"verdict"`
			Rule     *rule.Rule   `json:"rule,omitempty"`
		}{id, verdictOf(a.Action), r})
	}
	c.printf("%s\n", given(f, a, r))
	return nil
}

func verdictOf(a rule.Action) flow.Verdict {
	if a == rule.Block {
		return flow.Block
	}
	return flow.Allow
}

func given(f flow.Flow, a prompt.Answer, r *rule.Rule) string {
	if r != nil {
		return "Rule " + word(r.ID) + ": " + sentence(*r, clock()) + "."
	}
	if a.Action == rule.Block {
		return "Blocked, this once: " + wants(f) + "."
	}
	return "Allowed, this once: " + wants(f) + "."
}
