package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"sekisho/app/api"
	"sekisho/app/flow"
)

func (c *ctl) connections() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:     "connections",
		Short:   "Show the connections that there are now",
		Example: "  sekishoctl connections\n  sekishoctl connections --follow",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if follow { // which begins with those that there are
				return c.service().FollowConnections(cmd.Context(), c.flowLine())
			}
			flows, err := c.service().Connections(cmd.Context())
			if err != nil {
				return err
			}
			if c.json {
				return c.printFlows(flows)
			}
			if len(flows) == 0 {
				c.printf("There are no connections.\n")
				return nil
			}
			now := time.Now()
			t := c.table("SINCE", "PROGRAM", "PID", "", "REMOTE", "PROTOCOL", "SENT", "RECEIVED", "VERDICT")
			for _, f := range flows {
				t.row(moment(f.Time, now), programOf(f), pidOf(f), arrow(f), remoteOf(f), f.Protocol.String(),
					size(f.Bytes.Sent), size(f.Bytes.Received), decisionWords(f))
			}
			return t.end()
		},
	}
	cmd.Flags().BoolVar(&follow, "follow", false, "go on showing what opens, changes and closes, until Ctrl-C")
	return cmd
}

// printFlows prints flows as one JSON value.
func (c *ctl) printFlows(flows []flow.Flow) error {
	all := []api.FlowJSON{}
	for _, f := range flows {
		all = append(all, api.ToFlowJSON(f))
	}
	return c.printJSON(all)
}

// flowLine makes a function that prints a flow on a line of its own.
func (c *ctl) flowLine() func(flow.Flow) {
	return func(f flow.Flow) {
		if c.json {
			_ = c.printJSON(api.ToFlowJSON(f)) // a closed pipe ends the program by its signal
			return
		}
		state := ""
		if f.State == flow.Closed {
			state = fmt.Sprintf("  closed, %s sent, %s received", size(f.Bytes.Sent), size(f.Bytes.Received))
		}
		c.printf("%s  %s  %s %s %s  %s%s\n", moment(f.Time, time.Now()), decisionWords(f), programOf(f), arrow(f), remoteOf(f), f.Protocol, state)
	}
}

func decisionWords(f flow.Flow) string {
	words := verdictWord(f.Decision.Verdict)
	if by := byWords(f.Decision.By); by != "" {
		words += " by " + by
	}
	return words
}

func arrow(f flow.Flow) string {
	if f.Direction == flow.In {
		return "<-"
	}
	return "->"
}

func pidOf(f flow.Flow) string {
	if f.Process == nil || f.Process.PID == 0 {
		return "-"
	}
	return fmt.Sprint(f.Process.PID)
}
