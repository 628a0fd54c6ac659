package main

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekisho/app/api"
	"sekisho/app/flow"
)

// listSays is what the lists of the catalogue are against.
var listSays = map[string]string{
	"list.about.ads":               "advertising",
	"list.about.ads_malware":       "advertising, tracking and malware",
	"list.about.ads_tracking":      "advertising and tracking",
	"list.about.attackers":         "addresses that attack other computers",
	"list.about.command_servers":   "servers that malware takes its orders from",
	"list.about.hidden_trackers":   "trackers that hide behind a site's own name",
	"list.about.hijacked_networks": "networks that criminals run or have taken over",
	"list.about.mail_senders":      "mail senders; told the address of each new one (lists dnsbl)",
	"list.about.malware_sites":     "sites that spread malware or steal passwords",
}

func (c *ctl) listsCatalogue() *cobra.Command {
	return &cobra.Command{
		Use:     "catalogue",
		Short:   "Show well-known lists that can be added by name",
		Long:    "Shows well-known lists. None is in use before you add it.",
		Example: "  sekishoctl lists catalogue\n  sudo sekishoctl lists add urlhaus",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := c.service().KnownLists(cmd.Context())
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(map[string]any{"catalogue": all})
			}
			t := c.table("NAME", "AGAINST", "LICENCE", "HOME")
			for _, k := range all {
				licence := k.Licence
				if licence == "" {
					licence = "-"
				}
				t.row(word(k.ID), listSays[k.About], word(licence), word(k.Home))
			}
			return t.end()
		},
	}
}

func (c *ctl) listsExcept() *cobra.Command {
	var (
		program, script string
		remove          bool
	)
	cmd := &cobra.Command{
		Use:   "except NAME ENTRY",
		Short: "Make a list silent about a host, or about a program",
		Long: `Makes a list silent about an entry (a name with all below it, an address or a network),
for every program or with --program for one. The entry "any" is everything: then the
list says nothing at all about that program.`,
		Example: `  sudo sekishoctl lists except ads shop.example.com
  sudo sekishoctl lists except ads any --program /usr/bin/curl
  sudo sekishoctl lists except ads shop.example.com --remove`,
		Args: takes("the NAME of a list", "an ENTRY, or any"),
		RunE: func(cmd *cobra.Command, args []string) error {
			x := api.ListException{Entry: args[1]}
			if strings.EqualFold(x.Entry, "any") {
				x.Entry = ""
			}
			if program != "" {
				var err error
				p := flow.Program{}
				if p.Path, err = c.program(program); err == nil && script != "" {
					p.Script, err = c.script(script)
				}
				if err != nil {
					return err
				}
				x.Program = p.Key()
			} else if script != "" {
				return usagef("--script needs --program: the interpreter that runs it")
			}
			if x == (api.ListException{}) {
				return usagef("an exception of everything for every program: sekishoctl lists disable %s does that", args[0])
			}
			return c.changeList(cmd.Context(), args[0], func(l *api.List) error {
				i := slices.Index(l.Exceptions, x)
				switch {
				case remove && i < 0:
					return api.Errorf(api.NotFound, "list %s has no such exception; sekishoctl lists --json shows those that it has", l.ID)
				case remove:
					l.Exceptions = slices.Delete(l.Exceptions, i, i+1)
				case i < 0:
					l.Exceptions = append(l.Exceptions, x)
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&program, "program", "", "for this program alone")
	cmd.Flags().StringVar(&script, "script", "", "for this script alone, which the program runs")
	cmd.Flags().BoolVar(&remove, "remove", false, "take the exception back")
	return cmd
}

func (c *ctl) listsSenders() *cobra.Command {
	var (
		add, remove []string
		ports       []uint
		deadline    time.Duration
	)
	cmd := &cobra.Command{
		Use:   "dnsbl",
		Short: "Show and change which DNS-based lists are asked about mail senders",
		Long: `A computer that takes in mail can ask DNS-based lists about each new sender before the
session is set up, and drop who is listed. Whoever runs the zone learns the address of
each sender. A sender waits for at most the deadline; a zone that doesn't answer lists
nobody.`,
		Example: `  sekishoctl lists dnsbl
  sudo sekishoctl lists dnsbl --add zen.spamhaus.org
  sudo sekishoctl lists dnsbl --port 25 --deadline 500ms`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.service().SenderLists(cmd.Context())
			if err != nil {
				return err
			}
			for _, z := range add {
				if !slices.Contains(s.Zones, z) {
					s.Zones = append(s.Zones, z)
				}
			}
			for _, z := range remove {
				i := slices.Index(s.Zones, z)
				if i < 0 {
					return api.Errorf(api.NotFound, "the zone %s is not asked; sekishoctl lists dnsbl shows those that are", z)
				}
				s.Zones = slices.Delete(s.Zones, i, i+1)
			}
			if cmd.Flags().Changed("port") {
				s.Ports = nil
				for _, p := range ports {
					if p == 0 || p > 65535 {
						return usagef("--port %d: want 1 to 65535", p)
					}
					s.Ports = append(s.Ports, uint16(p))
				}
			}
			if cmd.Flags().Changed("deadline") {
				s.Deadline = api.Seconds(deadline)
			}
			if changedAny(cmd, "add", "remove", "port", "deadline") {
				if err := c.service().SetSenderLists(cmd.Context(), s); err != nil {
					return err
				}
			}
			return c.showSenders(s)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&add, "add", nil, "ask this zone too")
	f.StringSliceVar(&remove, "remove", nil, "ask this zone no more")
	f.UintSliceVar(&ports, "port", nil, "about those who come to these ports (25, 465 and 587 if never given)")
	f.DurationVar(&deadline, "deadline", 0, "how long a sender waits at most, up to 5s")
	return cmd
}

func (c *ctl) showSenders(s api.SenderLists) error {
	if c.json {
		return c.printJSON(s)
	}
	if len(s.Zones) == 0 {
		c.printf("No zone is asked. Well-known ones: sekishoctl lists catalogue\n")
		return nil
	}
	ports := make([]string, len(s.Ports))
	for i, p := range s.Ports {
		ports[i] = strconv.Itoa(int(p))
	}
	t := c.table()
	t.row("zones", word(strings.Join(s.Zones, ", ")))
	t.row("ports", strings.Join(ports, ", "))
	t.row("deadline", time.Duration(s.Deadline).String())
	t.row("senders", strconv.FormatUint(s.Counters.Checked, 10)+" checked, "+strconv.FormatUint(s.Counters.Listed, 10)+" listed, "+
		strconv.FormatUint(s.Counters.Late, 10)+" not waited for")
	return t.end()
}
