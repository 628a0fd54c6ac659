package main

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"text/tabwriter"
	"time"
)

// settleTime is how long after a round the service may still work at it: it reads the
// kernel's events on a timer.
const settleTime = 150 * time.Millisecond

// work is something that is done again and again, with and without the firewall.
type work struct {
	name, what, unit string
	rounds           int
	round            round
	port             uint16 // of the remote host
	amount           float64
	less             bool // the figure is a time; otherwise a rate
}

// compared is what was measured of it. A rate's p99 is what 99 of 100 rounds reached.
type compared struct {
	Name    string  `json:"name"`
	What    string  `json:"what"`
	Unit    string  `json:"unit"`
	Rounds  int     `json:"rounds"`
	Bare    values  `json:"bare"`
	Allowed values  `json:"allowed"`
	Best    float64 `json:"best_round"`     // allowed to bare
	Pair    float64 `json:"median_of_pair"` // of each round to the one beside it
}

type values struct {
	Best float64 `json:"best"`
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
}

func valuesOf(all []float64, less bool) values {
	s := slices.Sorted(slices.Values(all))
	if !less {
		slices.Reverse(s)
	}
	return values{s[0], quantile(s, .5), quantile(s, .99)}
}

// works lists what is done. One worker has its processor for itself; what answers on the
// other host may use the other.
func works(scale float64) []work {
	times := func(n int) int { return max(1, int(float64(n)*scale)) }
	return []work{
		{name: "rate", what: "new connections with 8 workers", unit: "connections/s", rounds: times(40),
			round: round{Kind: "rate", Count: 4000, Workers: 8}, port: port, amount: 4000},
		{name: "request", what: "UDP request and answer on a new socket each, median of 300", unit: "µs", rounds: times(50),
			round: round{Kind: "request", Count: 300, Warm: warm, Size: 48}, port: echoPort, less: true},
		{name: "upload", what: "one stream of TCP to the other host", unit: "Gbit/s", rounds: times(24),
			round: round{Kind: "upload", Count: streamBytes}, port: sinkPort, amount: streamBytes * 8 / 1e9},
		{name: "download", what: "one stream of TCP from the other host", unit: "Gbit/s", rounds: times(24),
			round: round{Kind: "download", Count: streamBytes}, port: sourcePort, amount: streamBytes * 8 / 1e9},
		{name: "packets", what: "datagrams of 64 bytes on a connected socket", unit: "packets/s", rounds: times(40),
			round: round{Kind: "packets", Count: 20000, Warm: 100, Size: 64}, port: discardPort, amount: 20000},
		{name: "packets-to", what: "datagrams of 64 bytes on a socket that is not connected", unit: "packets/s", rounds: times(40),
			round: round{Kind: "packets-to", Count: 20000, Warm: 100, Size: 64}, port: discardPort, amount: 20000},
	}
}

// compareWork alternates rounds of a program on the bare host and of one that is allowed
// everywhere.
func (sc *scene) compareWork(w work, c *cast, cpu *cpuCost) compared {
	var figures [2][]float64
	runners := [2]*runner{c.bare, c.allowed}
	cpus := sc.cpus()
	before := sc.status().Counters.Queued
	for i := range w.rounds {
		order := []int{0, 1}
		if i/len(cpus)%2 == 1 {
			order = []int{1, 0}
		}
		for _, side := range order {
			r := w.round
			r.CPU, r.Target = cpus[i%len(cpus)], netip.AddrPortFrom(sc.target.Addr(), w.port)
			var begun cpuTimes
			if cpu != nil {
				begun = sc.cpuTimes()
			}
			figures[side] = append(figures[side], sc.perform(w, runners[side], r))
			if cpu != nil {
				time.Sleep(settleTime)
				cpu.add(side, sc.cpuTimes().since(begun), r.Count)
			}
		}
	}
	if n := sc.status().Counters.Queued - before; n != 0 {
		sc.s.Fatalf("%s: %d packets of an allowed program visited the queue", w.name, n)
	}
	f := compared{Name: w.name, What: w.what, Unit: w.unit, Rounds: w.rounds, Bare: valuesOf(figures[0], w.less), Allowed: valuesOf(figures[1], w.less)}
	f.Best = f.Allowed.Best / f.Bare.Best
	var pairs []float64
	for i, v := range figures[1] {
		pairs = append(pairs, v/figures[0][i])
	}
	f.Pair = median(pairs)
	return f
}

// perform makes one round and makes sure that it was what it is called.
func (sc *scene) perform(w work, r *runner, x round) float64 {
	var since udpCounts
	var err error
	datagrams := w.port == discardPort
	if datagrams {
		since, err = sc.far.counts()
		sc.s.Must(w.name, err)
	}
	t := sc.time(w.name, r, x)
	if len(t.Errors) > 0 {
		sc.s.Fatalf("%s: ended with %v", w.name, t.Errors)
	}
	switch {
	case datagrams:
		n, err := sc.far.arrived(&since)
		sc.s.Must(w.name, err)
		if n < x.Count {
			sc.s.Fatalf("%s: %d datagrams of %d arrived", w.name, n, x.Count)
		}
	case w.port == port:
		n, err := sc.far.clear()
		sc.s.Must(w.name, err)
		if n < x.Count {
			sc.s.Fatalf("%s: %d connections of %d arrived", w.name, n, x.Count)
		}
	}
	if w.less {
		return float64(median(t.Connect)) / 1e3
	}
	return w.amount / t.Elapsed.Seconds()
}

func printCompared(w io.Writer, all []compared) error {
	fmt.Fprintf(w, "\nWithout a firewall and allowed everywhere, short rounds side by side\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "\trounds\tbare best\tp50\tp99\tallowed best\tp50\tp99\tbest rounds\tround beside round\tunit\t\n")
	for _, f := range all {
		fmt.Fprintf(t, "%s\t%d", f.Name, f.Rounds)
		for _, v := range []float64{f.Bare.Best, f.Bare.P50, f.Bare.P99, f.Allowed.Best, f.Allowed.P50, f.Allowed.P99} {
			fmt.Fprintf(t, "\t%s", plain(v))
		}
		fmt.Fprintf(t, "\t%.3f\t%.3f\t%s\t\n", f.Best, f.Pair, f.Unit)
	}
	return t.Flush()
}

func plain(v float64) string {
	if v >= 1000 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.1f", v)
}
