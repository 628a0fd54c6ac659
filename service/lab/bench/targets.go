package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// target is a figure that the project has promised itself, and what it was in this run.
type target struct {
	What  string  `json:"what"`
	Value float64 `json:"value"`
	Limit float64 `json:"limit"`
	Least bool    `json:"at_least"` // else at most
	Unit  string  `json:"unit"`
	Met   bool    `json:"met"`
}

// targets compares the report with what is aimed at. Both sides of a ratio are at their
// best round: the machine has moods.
func (r *report) targets() (all []target) {
	most := func(what, unit string, value, limit float64) {
		all = append(all, target{what, value, limit, false, unit, value <= limit})
	}
	least := func(what, unit string, value, limit float64) {
		all = append(all, target{what, value, limit, true, unit, value >= limit})
	}
	var few, many float64
	for i, c := range r.Connect {
		with := fmt.Sprintf(" with %d rules", c.Rules)
		for _, q := range c.Ratios {
			switch q.Of {
			case "allowed":
				most("connect() allowed, p50"+with, "×", q.Best, 1.08)
				most("connect() allowed, p99"+with, "×", q.BestP99, 1.3)
				if i == 0 {
					few = q.Best
				}
				many = q.Best
			case "allowed-new":
				most("connect() allowed, always to a new address, p50"+with, "×", q.Best, 1.08)
			case "first":
				most("first decision without a person, added"+with, "µs", float64(q.Added)/1e3, 100)
			}
		}
		for _, s := range c.Sides {
			if s.Name == "blocked" {
				most("connect() denied, p50"+with, "µs", float64(s.Connect.P50)/1e3, 2)
			}
		}
	}
	if len(r.Connect) > 1 && few > 0 {
		most("allowed, most rules to fewest", "×", many/few, 1.05)
	}
	for _, w := range r.Work {
		switch w.Name {
		case "rate":
			least("new connections per second", "×", w.Best, .95)
		case "upload", "download":
			least("throughput, "+w.Name, "×", w.Best, .98)
		case "packets", "packets-to":
			least("small UDP packets per second, "+w.Name, "×", w.Best, .90)
		}
	}
	for _, m := range r.Memory {
		if m.Target > 0 {
			most("RSS, "+m.When, "MiB", mib(m.RSS), mib(m.Target))
		}
	}
	for _, s := range r.Start {
		most(fmt.Sprintf("%s with %d rules, p50", s.What, s.Rules), "ms", float64(s.Time.P50)/1e6, float64(s.Target)/1e6)
	}
	for _, a := range r.Ask {
		most(a.What+", p50", "ms", float64(a.Spread.P50)/1e6, float64(a.Target)/1e6)
	}
	return all
}

func printTargets(w io.Writer, all []target) error {
	fmt.Fprintf(w, "\nTargets\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, g := range all {
		verdict, bound := "met", "at most"
		if !g.Met {
			verdict = "MISSED"
		}
		if g.Least {
			bound = "at least"
		}
		fmt.Fprintf(t, "%s\t%s %s\t%s %s\t%s\n", g.What, short(g.Value), g.Unit, bound, short(g.Limit), verdict)
	}
	return t.Flush()
}

func short(v float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.3f", v), "0"), ".")
}
