package main

import (
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/app/rule"
	"sekisho/service/lab"
)

// warm is how many connections of a round are not timed.
const warm = 10

// connects is what connect() costs while the service has that many rules.
type connects struct {
	Rules  int          `json:"rules"`
	Rounds int          `json:"rounds"`
	Each   int          `json:"connections_in_a_round"`
	Sides  []sideFigure `json:"sides"`
	Ratios []ratio      `json:"ratios"`
}

// cast is the programs that connect. It lives until the end: several measurements
// share one program.
type cast struct {
	bare, allowed, there, port, blocked *runner

	allowedProgram *lab.Program
}

// side is one of those whose rounds alternate.
type side struct {
	name, what string
	runner     *runner
	spread     bool   // to a new destination each time
	six        bool   // over IPv6
	errno      string // how each connect() ends; "": well
	queued     bool   // each visits the queue; otherwise none does
	filtered   bool

	rounds, lives [][]time.Duration
	visits        uint64
}

// newCast starts the programs. The decision about port's depends on the destination, so
// the kernel cannot know it all; a destination that it has not seen is the service's.
func (sc *scene) newCast() *cast {
	start := func(p *lab.Program, r rule.Rule) *runner {
		r.Program.Path = p.Path
		sc.rule(r)
		return sc.run(p, true)
	}
	with := func(name string, r rule.Rule) *runner { return start(sc.Home.Program(name), r) }
	allowed := sc.Home.Program("allowed")
	c := &cast{
		allowedProgram: allowed,

		bare:    sc.run(sc.bare.Program("bare"), false),
		allowed: start(allowed, rule.Rule{Action: rule.Allow}),
		there:   with("there", rule.Rule{Action: rule.Allow, Remote: rule.Remote{Address: sc.target.Addr()}}),
		port:    with("port", rule.Rule{Action: rule.Allow, Ports: []rule.PortRange{{From: port, To: port}}}),
		blocked: with("blocked", rule.Rule{Action: rule.Block}),
	}
	// From now on the kernel knows this destination too.
	sc.time("there", c.there, round{Count: 1, CPU: sc.cpus()[0], Target: sc.target})
	return c
}

func (sc *scene) endCast(c *cast) {
	for _, r := range []*runner{c.bare, c.allowed, c.there, c.port, c.blocked} {
		sc.s.Must("end", r.quit())
	}
}

// sides lists who is compared; all of them, or those that the number of rules may touch.
func (c *cast) sides(all bool) []*side {
	some := []*side{
		{name: "bare", what: "a host without firewall", runner: c.bare},
		{name: "allowed", what: "a program that is allowed everywhere, decided in the kernel", runner: c.allowed, filtered: true},
		{name: "bare-new", what: "a host without firewall, a new destination each time", runner: c.bare, spread: true},
		{name: "allowed-new", what: "a program that is allowed everywhere, a new destination each time", runner: c.allowed, spread: true, filtered: true},
		{name: "first", what: "a program with a rule for the port, a new destination each time: decided by the service", runner: c.port, spread: true, queued: true, filtered: true},
		{name: "blocked", what: "a blocked program, until its error", runner: c.blocked, errno: "EPERM", filtered: true},
	}
	if !all {
		return some
	}
	return append(some,
		&side{name: "allowed-there", what: "a program that is allowed to this destination, decided in the kernel", runner: c.there, filtered: true},
		&side{name: "bare-6", what: "a host without firewall, over IPv6", runner: c.bare, six: true},
		&side{name: "allowed-6", what: "a program that is allowed everywhere, over IPv6", runner: c.allowed, six: true, filtered: true})
}

// against says with which side another is compared.
var against = map[string]string{"allowed": "bare", "allowed-there": "bare", "allowed-6": "bare-6", "allowed-new": "bare-new", "first": "bare-new"}

// connects alternates short rounds of all sides: the machine has moods, and each side is
// to get its share of all of them.
func (sc *scene) connects(sides []*side, rules, rounds, each int) connects {
	cpus := sc.cpus()
	for i := range rounds {
		order := slices.Clone(sides)
		if i/len(cpus)%2 == 1 {
			slices.Reverse(order)
		}
		// Who goes to a new destination goes to the same ones in this round, each side from
		// a host of its own or to a decision of its own.
		spread := sc.fresh(each + warm)
		for _, s := range order {
			r := round{Count: each, Warm: warm, CPU: cpus[i%len(cpus)], Target: sc.target, Spread: s.spread}
			if s.spread {
				r.Target = netip.AddrPortFrom(spread, port)
			}
			if s.six {
				r.Target = sc.target6
			}
			sc.play(s, r)
		}
	}
	c := connects{Rules: rules, Rounds: rounds, Each: each}
	by := map[string]*side{}
	figures := map[string]sideFigure{}
	for _, s := range sides {
		f := figure(s.name, s.what, s.rounds, s.lives)
		f.Queued = s.visits
		by[s.name], figures[s.name] = s, f
		c.Sides = append(c.Sides, f)
	}
	for _, s := range sides {
		if to := against[s.name]; to != "" {
			c.Ratios = append(c.Ratios, compare(figures[s.name], figures[to], s.rounds, by[to].rounds))
		}
	}
	return c
}

// play makes one round of a side, and makes sure that it was what it is called.
func (sc *scene) play(s *side, r round) {
	var before, after uint64
	if s.filtered {
		before = sc.status().Counters.Queued
	}
	t := sc.time(s.name, s.runner, r)
	sc.clear()
	if s.filtered {
		after = sc.status().Counters.Queued
	}
	want := map[string]int{}
	if s.errno != "" {
		want[s.errno] = r.Count
	}
	if !maps.Equal(t.Errors, want) || len(t.Connect) != r.Count {
		sc.s.Fatalf("%s: %d connections ended with %v, want %d with %v", s.name, len(t.Connect), t.Errors, r.Count, want)
	}
	visits := after - before
	// More is no error: a SYN that waited for long was sent again.
	if s.queued && visits < uint64(r.Count+r.Warm) || !s.queued && visits != 0 {
		sc.s.Fatalf("%s: %d of %d connections visited the queue", s.name, visits, r.Count+r.Warm)
	}
	s.visits += visits
	s.rounds = append(s.rounds, t.Connect)
	s.lives = append(s.lives, t.Life)
}

// time has a program make a round.
func (sc *scene) time(name string, r *runner, x round) timed {
	sc.s.Must(name, r.begin(x))
	t, err := r.end()
	sc.s.Must(name, err)
	return t
}

// cpus lists the processors that we may use.
func (sc *scene) cpus() []int {
	var set unix.CPUSet
	sc.s.Must("list processors", unix.SchedGetaffinity(0, &set))
	var all []int
	for i := range len(set) * 64 {
		if set.IsSet(i) {
			all = append(all, i)
		}
	}
	return all
}

func (c connects) print(w io.Writer) error {
	fmt.Fprintf(w, "\nconnect() over TCP to another host with %d rules, in µs; %d rounds of %d connections, side by side\n\n", c.Rules, c.Rounds, c.Each)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "\tp50\tp99\tbest round p50\tbest round p99\tsocket to close p50\tqueued\t\n")
	for _, s := range c.Sides {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t\n", s.Name, us(s.Connect.P50), us(s.Connect.P99), us(s.BestP50), us(s.BestP99), us(s.LifeP50), s.Queued)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for _, r := range c.Ratios {
		fmt.Fprintf(w, "%s / %s: best rounds p50 %.3f, p99 %.3f; round beside round p50 %.3f; all rounds p50 %.3f, p99 %.3f\n", r.Of, r.To, r.Best, r.BestP99, r.Pair, r.P50, r.P99)
	}
	return nil
}

func us(m micros) string { return fmt.Sprintf("%.1f", float64(m)/1e3) }
