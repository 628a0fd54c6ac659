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
)

// allowedTarget is how much longer than without firewall the connect() of an allowed
// program may take, as the median.
const allowedTarget = 1.15

// warm is how many connections of a round are not timed.
const warm = 10

// connects is what connect() costs.
type connects struct {
	Rounds int          `json:"rounds"`
	Each   int          `json:"connections_in_a_round"`
	Sides  []sideFigure `json:"sides"`
	Ratios []ratio      `json:"ratios"`
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

// connects alternates short rounds of all sides: the machine has moods, and each side is
// to get its share of all of them.
func (sc *scene) connects(o options) connects {
	sides := sc.sides()
	cpus := sc.cpus()
	for i := range o.rounds {
		order := slices.Clone(sides)
		if i/len(cpus)%2 == 1 {
			slices.Reverse(order)
		}
		for _, s := range order {
			sc.play(s, round{Count: o.each, Warm: warm, CPU: cpus[i%len(cpus)], Target: sc.target, Spread: s.spread})
		}
	}
	c := connects{Rounds: o.rounds, Each: o.each}
	by := map[string]*side{}
	figures := map[string]sideFigure{}
	for _, s := range sides {
		f := figure(s.name, s.what, s.rounds, s.lives)
		f.Queued = s.visits
		by[s.name], figures[s.name] = s, f
		c.Sides = append(c.Sides, f)
	}
	for _, r := range []struct {
		of, to string
		target float64
	}{{"allowed", "bare", allowedTarget}, {"allowed-there", "bare", allowedTarget}, {"allowed-6", "bare-6", allowedTarget}, {"queued", "bare-new", 0}} {
		c.Ratios = append(c.Ratios, compare(figures[r.of], figures[r.to], by[r.of].rounds, by[r.to].rounds, r.target))
	}
	ended := map[*runner]bool{} // two sides share one
	for _, s := range sides {
		if !ended[s.runner] {
			sc.s.Must("end", s.runner.quit())
		}
		ended[s.runner] = true
	}
	return c
}

// sides lists who is compared. The queued program's rule depends on the destination, so
// the kernel cannot know it all; a destination that it has not seen is the service's.
func (sc *scene) sides() []*side {
	with := func(name string, a rule.Action, to rule.Remote) *runner {
		p := sc.Home.Program(name)
		sc.rule(p, a, to)
		return sc.run(p, true)
	}
	bare := sc.run(sc.bare.Program("bare"), false)
	allowed := with("allowed", rule.Allow, rule.Remote{})
	there := with("there", rule.Allow, rule.Remote{Address: sc.target.Addr()})
	queued := with("queued", rule.Allow, rule.Remote{Network: everywhere})
	blocked := with("blocked", rule.Block, rule.Remote{})
	// From now on the kernel knows this destination too.
	sc.time("there", there, round{Count: 1, CPU: sc.cpus()[0], Target: sc.target})
	return []*side{
		{name: "bare", what: "a host without firewall", runner: bare},
		{name: "allowed", what: "a program that is allowed everywhere, decided in the kernel", runner: allowed, filtered: true},
		{name: "allowed-there", what: "a program that is allowed to this destination, decided in the kernel", runner: there, filtered: true},
		{name: "bare-6", what: "a host without firewall, over IPv6", runner: bare, six: true},
		{name: "allowed-6", what: "a program that is allowed everywhere, over IPv6", runner: allowed, six: true, filtered: true},
		{name: "bare-new", what: "a host without firewall, a new destination each time", runner: bare, spread: true},
		{name: "queued", what: "each connection through the queue, a new destination each time", runner: queued, spread: true, queued: true, filtered: true},
		{name: "blocked", what: "a blocked program, until its error", runner: blocked, errno: "EPERM", filtered: true},
	}
}

// play makes one round of a side, and makes sure that it was what it is called.
func (sc *scene) play(s *side, r round) {
	if s.six {
		r.Target = sc.target6
	}
	if s.spread {
		r.Target = netip.AddrPortFrom(sc.fresh(r.Count+r.Warm), port)
	}
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
	fmt.Fprintf(w, "\nconnect() over TCP to another host, in µs; %d rounds of %d connections, side by side\n\n", c.Rounds, c.Each)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "\tp50\tp99\tbest round p50\tbest round p99\tsocket to close p50\tqueued\t\n")
	for _, s := range c.Sides {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t\n", s.Name, us(s.Connect.P50), us(s.Connect.P99), us(s.BestP50), us(s.BestP99), us(s.LifeP50), s.Queued)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for _, s := range c.Sides {
		fmt.Fprintf(w, "%-14s %s\n", s.Name, s.What)
	}
	fmt.Fprintln(w)
	for _, r := range c.Ratios {
		fmt.Fprintf(w, "%s / %s: p50 %.2f%s, round beside round %.2f, best rounds %.2f, p99 %.2f\n", r.Of, r.To, r.P50, against(r), r.Pair, r.Best, r.P99)
	}
	return nil
}

func against(r ratio) string {
	switch {
	case r.Target == 0:
		return ""
	case r.P50 <= r.Target:
		return fmt.Sprintf(" (target %.2f: met)", r.Target)
	}
	return fmt.Sprintf(" (target %.2f: missed)", r.Target)
}

func us(m micros) string { return fmt.Sprintf("%.1f", float64(m)/1e3) }
