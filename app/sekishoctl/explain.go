package main

import (
	"context"
	"net"
	"net/netip"
	"os"
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
		Use:   "explain [CONNECTION-ID]",
		Short: "Say what stops a connection, and why, step by step",
		Long: `Says what Sekisho would decide about a connection, and what the rest of this computer
does to it: whether the name is found, whether there is a route, whether another packet
filter (ufw, firewalld, nft, iptables, …) stops it, who wrote that rule, and what would
change it. With the id of a connection that there is or was (sekishoctl activity --json
shows them) it says what decided it then, and what would be decided now.

--live makes one attempt, which leaves this computer if nothing stops it, and tells by the
kernel's own trace where its packets ended.`,
		Example: `  sekishoctl explain --program /usr/bin/curl --to example.com:443
  sekishoctl explain --program curl --to '[2001:db8::1]:53' --protocol udp
  sekishoctl explain --program /usr/sbin/sshd --to 192.0.2.7:22 --direction in
  sudo sekishoctl explain --program thunderbird --to mail.example.com:25 --live
  sekishoctl explain k2v8x-17`,
		Args: takes("[the ID of a connection]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if q.Program != "" || to != "" || q.Script != "" || q.User != "" {
					return usagef("explain needs the ID of a connection, or --program and --to, not both")
				}
				q.Flow = args[0]
				return c.explained(cmd.Context(), q)
			}
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
			if q.User == "" && os.Geteuid() == 0 {
				q.User = os.Getenv("SUDO_USER")
			}
			return c.explained(cmd.Context(), q)
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.Program, "program", "", "the program's file, kernel, forwarded, or any: one that no rule names")
	f.StringVar(&q.Script, "script", "", "the script that the program runs")
	f.StringVar(&to, "to", "", "the other end: a host name or address, and a port")
	f.StringVar(&protocol, "protocol", "tcp", "tcp, udp, icmp, …")
	f.StringVar(&direction, "direction", "out", "out (it connects) or in (it is reached: --to is by whom, and the program's own port)")
	f.StringVar(&q.User, "user", "", "whose program it is (default: yours, with sudo too; administrators may ask for others)")
	f.BoolVar(&q.Live, "live", false, "make one attempt under the kernel's trace (administrators)")
	return cmd
}

func (c *ctl) explained(ctx context.Context, q api.Question) error {
	e, err := c.service().Explain(ctx, q)
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(api.ToExplanationJSON(e))
	}
	return c.showExplanation(e)
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
