package main

import (
	"context"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekisho/app/api"
)

func (c *ctl) lists() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lists",
		Short: "Show and change the blocklists",
		Long: `Shows the lists of names and addresses that are blocked, or warned of, whatever program
asks. A list comes before your rules, but for a rule that names the very destination
(a host, *.domain, address, network or range). A list can block and warn, and never
allow. Everybody may see and test lists; administrators change them.`,
		Example: `  sekishoctl lists catalogue
  sudo sekishoctl lists add urlhaus
  sudo sekishoctl lists add "My hosts" https://example.com/hosts
  sekishoctl lists test ads.example.com`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return c.helpOr("sekishoctl lists")(cmd, args)
			}
			return c.showLists(cmd.Context())
		},
	}
	cmd.SuggestionsMinimumDistance = 2
	cmd.AddCommand(c.listsAdd(), c.listsUpdate(), c.listsRemove(), c.listsSwitch(true), c.listsSwitch(false),
		c.listsTest(), c.listsCatalogue(), c.listsExcept(), c.listsSenders())
	return cmd
}

func (c *ctl) showLists(ctx context.Context) error {
	all, err := c.service().Lists(ctx)
	if err != nil {
		return err
	}
	if c.json {
		if all == nil {
			all = []api.ListState{}
		}
		return c.printJSON(map[string]any{"lists": all})
	}
	if len(all) == 0 {
		c.printf("There are no lists. Well-known ones: sekishoctl lists catalogue\n")
		return nil
	}
	now := time.Now()
	t := c.table("NAME", "ON", "AGAINST", "ACTION", "ENTRIES", "HITS", "UPDATED", "NEXT", "STATE")
	for _, l := range all {
		on := "yes"
		if !l.On {
			on = "no"
		}
		t.row(word(l.ID), on, word(l.Category), word(l.Action), strconv.Itoa(l.Entries()), strconv.FormatUint(l.Hits, 10),
			moment(l.Checked, now), moment(l.Due, now), listState(&l))
	}
	return t.end()
}

// listState says in a few words how a list is.
func listState(l *api.ListState) string {
	switch {
	case l.Error != "" && l.Entries() > 0:
		return word(l.Error) + "; the last good copy stays in use; " + word(l.Do)
	case l.Error != "":
		return word(l.Error) + "; " + word(l.Do)
	case l.Busy:
		return "waits for its text"
	case l.Broken > 0:
		return count(l.Broken, "line was", "lines were") + " not understood"
	}
	return ""
}

// listID makes an id of a name: "My hosts" is my-hosts.
func listID(name string) string {
	id := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z' || '0' <= r && r <= '9':
			return r
		}
		return '-'
	}, strings.ToLower(name))
	for strings.Contains(id, "--") {
		id = strings.ReplaceAll(id, "--", "-")
	}
	id = strings.Trim(id, "-")
	return strings.Trim(id[:min(len(id), 64)], "-")
}

// findList gives the list that a person means by a name.
func (c *ctl) findList(ctx context.Context, name string) (api.ListState, error) {
	all, err := c.service().Lists(ctx)
	if err != nil {
		return api.ListState{}, err
	}
	for _, l := range all {
		if l.ID == name || l.Name == name || l.ID == listID(name) {
			return l, nil
		}
	}
	return api.ListState{}, api.Errorf(api.NotFound, "there is no list %s; sekishoctl lists shows those that there are", name)
}

func (c *ctl) listsAdd() *cobra.Command {
	var (
		l     api.List
		every time.Duration
	)
	cmd := &cobra.Command{
		Use:   "add NAME [URL|FILE]",
		Short: "Subscribe to a list, or read one from a file",
		Long: `Subscribes to the list at a web address, which is fetched now and then every day; or reads
a file once (add it again after a change: remove NAME first). A name of the catalogue
needs no address. A list that is none, that would cut this computer off, or that is
too long, is refused.`,
		Example: `  sudo sekishoctl lists add urlhaus
  sudo sekishoctl lists add ads https://example.com/hosts.txt --category ads
  sudo sekishoctl lists add neighbours ./networks.txt --action warn`,
		Args: takes("a NAME", "[URL|FILE]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if l.ID = listID(args[0]); l.ID == "" {
				return usagef("%q is no name for a list: it needs a letter from a to z, or a digit", args[0])
			}
			l.Name, l.On, l.Every = args[0], true, api.Seconds(every)
			file := ""
			switch {
			case len(args) == 1:
				if err := c.known(cmd, &l); err != nil {
					return err
				}
			case strings.Contains(args[1], "://"):
				l.URL = args[1]
			default:
				file = args[1]
			}
			if file == "" {
				if err := c.service().SaveList(ctx, l, true); err != nil {
					return err
				}
				if err := c.update(ctx, l.ID); err != nil {
					return api.Errorf(api.CodeOf(err), "%v; the list stays and is tried again, sekishoctl lists remove %s takes it out", err, l.ID)
				}
				return c.added(ctx, l.ID)
			}
			f, err := os.Open(file)
			if err != nil {
				return fileError("read", file, err)
			}
			defer f.Close()
			if err := c.service().SaveList(ctx, l, true); err != nil {
				return err
			}
			if err := c.service().ImportList(ctx, l.ID, f); err != nil {
				_ = c.service().RemoveList(ctx, l.ID) // without a text it is nothing
				return badFile(file, err)
			}
			return c.added(ctx, l.ID)
		},
	}
	f := cmd.Flags()
	f.StringVar(&l.Format, "format", "auto", "auto (found by content), hosts, names, dnsmasq, adblock, rpz, networks, ipset or urls")
	f.StringVar(&l.Category, "category", "own", "what it is against: malware, ads, tracking or own")
	f.StringVar(&l.Action, "action", "block", "block, or warn: say so when you are asked")
	f.BoolVar(&l.Insecure, "insecure", false, "let it come over plain http, where anybody on the way can change it")
	f.DurationVar(&every, "every", 0, "how often to fetch it, 1h to 720h (a day if not given)")
	return cmd
}

// known fills in what the catalogue says of a list; what is given counts more.
func (c *ctl) known(cmd *cobra.Command, l *api.List) error {
	all, err := c.service().KnownLists(cmd.Context())
	if err != nil {
		return err
	}
	for _, k := range all {
		if k.Zone && k.ID == l.Name {
			return usagef("%s is asked about mail senders: sekishoctl lists dnsbl --add %s", l.Name, l.Name)
		}
		if k.ID != l.ID {
			continue
		}
		l.Name, l.URL = k.Name, k.URL
		flags := cmd.Flags()
		if !flags.Changed("format") {
			l.Format = k.Format
		}
		if !flags.Changed("category") {
			l.Category = k.Category
		}
		if !flags.Changed("every") {
			l.Every = k.Every
		}
		return nil
	}
	return usagef("%s is not in the catalogue, so say where it is: a web address or a file (sekishoctl lists catalogue shows what needs none)", l.Name)
}

func (c *ctl) added(ctx context.Context, id string) error {
	l, err := c.findList(ctx, id)
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(l)
	}
	c.printf("List %s has %s.\n", word(l.ID), count(l.Entries(), "entry", "entries"))
	if l.Broken > 0 && len(l.First) > 0 {
		c.printf("%s not understood; the first is line %d: %s\n", count(l.Broken, "line was", "lines were"), l.First[0].Line, word(l.First[0].Why))
	}
	return nil
}

// update fetches, and tells a terminal how far it is.
func (c *ctl) update(ctx context.Context, id string) error {
	stage := ""
	return c.service().UpdateLists(ctx, id, func(p api.ListProgress) {
		if c.json || p.Stage == stage {
			return
		}
		if stage = p.Stage; stage == "fetching" || stage == "compiling" {
			what := "lists"
			if p.List != "" {
				what = p.List
			}
			c.printf("%s: %s\n", word(what), word(stage))
		}
	})
}

func (c *ctl) listsUpdate() *cobra.Command {
	return &cobra.Command{
		Use:     "update [NAME]",
		Short:   "Fetch a list now, or all that are on",
		Example: "  sudo sekishoctl lists update\n  sudo sekishoctl lists update urlhaus",
		Args:    takes("[NAME]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id := ""
			if len(args) > 0 {
				l, err := c.findList(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				id = l.ID
			}
			if err := c.update(cmd.Context(), id); err != nil {
				return err
			}
			return c.showLists(cmd.Context())
		},
	}
}

func (c *ctl) listsRemove() *cobra.Command {
	return &cobra.Command{
		Use:     "remove NAME",
		Short:   "Remove a list and its copy",
		Example: "  sudo sekishoctl lists remove urlhaus",
		Args:    takes("the NAME of a list"),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := c.findList(cmd.Context(), args[0])
			if err == nil {
				err = c.service().RemoveList(cmd.Context(), l.ID)
			}
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(map[string]any{"id": l.ID, "removed": true})
			}
			c.printf("List %s is gone.\n", word(l.ID))
			return nil
		},
	}
}

func (c *ctl) listsSwitch(on bool) *cobra.Command {
	cmd := &cobra.Command{
		Use: "enable NAME", Short: "Switch a list on", Example: "  sudo sekishoctl lists enable urlhaus",
		Args: takes("the NAME of a list"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.changeList(cmd.Context(), args[0], func(l *api.List) error {
				l.On = on
				return nil
			})
		},
	}
	if !on {
		cmd.Use, cmd.Short, cmd.Example = "disable NAME", "Switch a list off, and keep it", "  sudo sekishoctl lists disable urlhaus"
	}
	return cmd
}

// changeList changes the choices for a list and says how it is then.
func (c *ctl) changeList(ctx context.Context, name string, f func(*api.List) error) error {
	s, err := c.findList(ctx, name)
	if err != nil {
		return err
	}
	if err := f(&s.List); err != nil {
		return err
	}
	if err := c.service().SaveList(ctx, s.List, false); err != nil {
		return err
	}
	if c.json {
		return c.printJSON(s.List)
	}
	on := "on"
	if !s.On {
		on = "off"
	}
	c.printf("List %s is %s, with %s.\n", word(s.ID), on, count(len(s.Exceptions), "exception", "exceptions"))
	return nil
}

func (c *ctl) listsTest() *cobra.Command {
	return &cobra.Command{
		Use:   "test HOST|ADDRESS",
		Short: "Say on which lists a host or an address is",
		Long: `Looks a name or an address up in all lists that are on. Exceptions for single programs
don't count here; sekishoctl explain says what holds for a program.`,
		Example: "  sekishoctl lists test ads.example.com\n  sekishoctl lists test 192.0.2.7",
		Args:    takes("a HOST or ADDRESS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			hits, err := c.service().TestLists(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if c.json {
				if hits == nil {
					hits = []api.ListHit{}
				}
				return c.printJSON(map[string]any{"what": args[0], "hits": hits})
			}
			if len(hits) == 0 {
				c.printf("%s is on none of the lists that are on.\n", word(args[0]))
				return nil
			}
			t := c.table("LIST", "AGAINST", "ACTION", "ENTRY")
			for _, h := range hits {
				t.row(word(h.List), word(h.Category), word(h.Action), word(h.Entry))
			}
			return t.end()
		},
	}
}
