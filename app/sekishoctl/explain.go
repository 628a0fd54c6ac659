package main

import (
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"sekisho/app/api"
	"sekisho/app/flow"
)

func (c *ctl) explain() *cobra.Command {
	var (
		q                       api.Question
		to, protocol, direction string
	)
	cmd := &cobra.Command{
		Use:   "explain --program PATH --to HOST[:PORT]",
		Short: "Say what would be decided, and why, step by step",
		Example: `  sekishoctl explain --program /usr/bin/curl --to example.com:443
  sekishoctl explain --program curl --to '[2001:db8::1]:53' --protocol udp
  sekishoctl explain --program /usr/sbin/sshd --to 192.0.2.7:22 --direction in`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if q.Program == "" || to == "" {
				return usagef("explain needs --program PATH and --to HOST[:PORT]")
			}
			var err error
			if q.To, q.Port, err = splitHost(to); err != nil {
				return err
			}
			if q.Protocol, err = flow.ParseProtocol(protocol); err != nil {
				return usagef("--protocol: %v", err)
			}
			if err := q.Direction.UnmarshalText([]byte(direction)); err != nil {
				return usagef("--direction: %v", err)
			}
			if q.Program = optional(q.Program); q.Program != "" {
				if q.Program, err = c.program(q.Program); err != nil {
					return err
				}
			}
			if q.Script != "" {
				if q.Script, err = c.script(q.Script); err != nil {
					return err
				}
			}
			e, err := c.service().Explain(cmd.Context(), q)
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(api.ToExplanationJSON(e))
			}
			return c.showExplanation(e)
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.Program, "program", "", "the program's file, kernel, forwarded, or any: one that no rule names")
	f.StringVar(&q.Script, "script", "", "the script that the program runs")
	f.StringVar(&to, "to", "", "the other end: a host name or address, and a port")
	f.StringVar(&protocol, "protocol", "tcp", "tcp, udp, icmp, …")
	f.StringVar(&direction, "direction", "out", "out (it connects) or in (it is reached: --to is by whom, and the program's own port)")
	f.StringVar(&q.User, "user", "", "whose program it is (administrators may ask for others)")
	return cmd
}

func (c *ctl) showExplanation(e api.Explanation) error {
	verdict := map[flow.Verdict]string{flow.Allow: "It would be allowed", flow.Block: "It would be blocked", flow.Waiting: "You would be asked"}[e.Decision.Verdict]
	if by := byWords(e.Decision.By); by != "" {
		verdict += ", by " + by
	}
	c.printf("%s.\n\n", verdict)
	t := c.table()
	for _, s := range e.Steps {
		mark := " "
		switch {
		case s.Decided:
			mark = ">"
		case s.Matched:
			mark = "+"
		}
		t.row(mark+" "+word(s.What), word(s.Why))
	}
	if err := t.end(); err != nil {
		return err
	}
	c.printf("\n> decided   + fits, but did not decide\n")
	return nil
}

// splitHost reads HOST, HOST:PORT, ADDR, ADDR:PORT and [ADDR]:PORT.
func splitHost(s string) (host string, port uint16, err error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.String(), 0, nil
	}
	host, number, err := net.SplitHostPort(s)
	if err != nil {
		if !strings.Contains(s, ":") {
			return s, 0, nil
		}
		return "", 0, usagef("--to %q: want HOST, HOST:PORT or [ADDRESS]:PORT", s)
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || n == 0 || host == "" {
		return "", 0, usagef("--to %q: want a host and a port from 1 to 65535", s)
	}
	return host, uint16(n), nil
}
