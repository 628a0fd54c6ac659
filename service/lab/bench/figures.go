package main

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"
)

// micros is a span that is written in microseconds.
type micros time.Duration

// MarshalJSON writes microseconds, to the nanosecond.
func (m micros) MarshalJSON() ([]byte, error) { return json.Marshal(float64(m) / 1e3) }

// spread is how the times of one thing lie.
type spread struct {
	N   int    `json:"n"`
	Min micros `json:"min_us"`
	P50 micros `json:"p50_us"`
	P90 micros `json:"p90_us"`
	P99 micros `json:"p99_us"`
	Max micros `json:"max_us"`
}

func spreadOf(spans []time.Duration) spread {
	if len(spans) == 0 {
		return spread{}
	}
	s := slices.Sorted(slices.Values(spans))
	at := func(p float64) micros { return micros(quantile(s, p)) }
	return spread{len(s), micros(s[0]), at(.50), at(.90), at(.99), micros(s[len(s)-1])}
}

// quantile is the smallest of the sorted values that at least the share p of them do
// not exceed.
func quantile[V any](sorted []V, p float64) V {
	n := len(sorted)
	for i := range sorted {
		if float64(i+1) >= p*float64(n) {
			return sorted[i]
		}
	}
	return sorted[n-1]
}

func median[V cmp.Ordered](values []V) V {
	return quantile(slices.Sorted(slices.Values(values)), .5)
}

// sideFigure is what was measured of one side. A round is short enough to fall into one
// of the machine's moods; the best round is what the machine can do.
type sideFigure struct {
	Name    string `json:"name"`
	What    string `json:"what"`
	Connect spread `json:"connect"` // of all rounds together
	BestP50 micros `json:"best_round_p50_us"`
	BestP99 micros `json:"best_round_p99_us"`
	LifeP50 micros `json:"socket_to_close_p50_us"`
	// Queued is how many of the connections visited the queue.
	Queued uint64 `json:"queued"`
}

// figure joins a side's rounds.
func figure(name, what string, rounds, lives [][]time.Duration) sideFigure {
	f := sideFigure{Name: name, What: what, Connect: spreadOf(slices.Concat(rounds...)), LifeP50: spreadOf(slices.Concat(lives...)).P50}
	for i, r := range rounds {
		s := spreadOf(r)
		if i == 0 || s.P50 < f.BestP50 {
			f.BestP50 = s.P50
		}
		if i == 0 || s.P99 < f.BestP99 {
			f.BestP99 = s.P99
		}
	}
	return f
}

// ratio compares the times of connect() of one side with another's.
type ratio struct {
	Of      string  `json:"of"`
	To      string  `json:"to"`
	Best    float64 `json:"best_round_p50"`
	BestP99 float64 `json:"best_round_p99"`
	Pair    float64 `json:"median_of_pair"` // of the p50 of each round to that of the round beside it
	P50     float64 `json:"p50"`            // of all rounds together
	P99     float64 `json:"p99"`
	Added   micros  `json:"best_round_p50_added_us"`
}

func compare(of, to sideFigure, ofRounds, toRounds [][]time.Duration) ratio {
	var pairs []float64
	for i := range min(len(ofRounds), len(toRounds)) {
		pairs = append(pairs, div(spreadOf(ofRounds[i]).P50, spreadOf(toRounds[i]).P50))
	}
	r := ratio{
		Of: of.Name, To: to.Name, Best: div(of.BestP50, to.BestP50), BestP99: div(of.BestP99, to.BestP99),
		P50: div(of.Connect.P50, to.Connect.P50), P99: div(of.Connect.P99, to.Connect.P99), Added: of.BestP50 - to.BestP50,
	}
	if len(pairs) > 0 {
		r.Pair = median(pairs)
	}
	return r
}

func div(a, b micros) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}
