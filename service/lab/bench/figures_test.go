package main

import (
	"encoding/json"
	"maps"
	"testing"
	"time"
)

// upTo is 1 µs, 2 µs, … n µs, backwards.
func upTo(n int) []time.Duration {
	var all []time.Duration
	for i := n; i > 0; i-- {
		all = append(all, time.Duration(i)*time.Microsecond)
	}
	return all
}

func TestSpread(t *testing.T) {
	us := func(n int) micros { return micros(time.Duration(n) * time.Microsecond) }
	for _, c := range []struct {
		name  string
		spans []time.Duration
		want  spread
	}{
		{"none", nil, spread{}},
		{"one", upTo(1), spread{1, us(1), us(1), us(1), us(1), us(1)}},
		{"two", upTo(2), spread{2, us(1), us(1), us(2), us(2), us(2)}},
		{"odd", upTo(5), spread{5, us(1), us(3), us(5), us(5), us(5)}},
		{"hundred", upTo(100), spread{100, us(1), us(50), us(90), us(99), us(100)}},
		{"thousand", upTo(1000), spread{1000, us(1), us(500), us(900), us(990), us(1000)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := spreadOf(c.spans); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

func TestSpreadKeepsOrder(t *testing.T) {
	spans := upTo(3)
	spreadOf(spans)
	if spans[0] != 3*time.Microsecond {
		t.Errorf("the spans were sorted in place: %v", spans)
	}
}

func TestCompare(t *testing.T) {
	of := func(n ...int) (rounds [][]time.Duration) {
		for _, v := range n {
			span := time.Duration(v) * time.Microsecond
			rounds = append(rounds, []time.Duration{span, span, span})
		}
		return rounds
	}
	// The machine was slow in the second round, for both.
	aRounds, bRounds := of(10, 40, 10), of(11, 44, 12)
	a, b := figure("a", "", aRounds, aRounds), figure("b", "", bRounds, bRounds)
	if b.BestP50 != micros(11*time.Microsecond) || b.Connect.P50 != micros(12*time.Microsecond) || b.Connect.N != 9 {
		t.Errorf("%+v", b)
	}
	got := compare(b, a, bRounds, aRounds)
	want := ratio{Of: "b", To: "a", P50: 1.2, Pair: 1.1, Best: 1.1, BestP99: 1.1, P99: 1.1, Added: micros(time.Microsecond)}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestValues(t *testing.T) {
	all := []float64{3, 1, 2, 5, 4}
	if got := valuesOf(all, true); got != (values{1, 3, 5}) {
		t.Errorf("times: %+v", got)
	}
	if got := valuesOf(all, false); got != (values{5, 3, 1}) {
		t.Errorf("rates: %+v", got)
	}
}

func TestTargets(t *testing.T) {
	connect := func(rules int, best float64) connects {
		return connects{Rules: rules, Ratios: []ratio{{Of: "allowed", To: "bare", Best: best, BestP99: 1}}}
	}
	r := report{Connect: []connects{connect(1, 1), connect(10_000, 1.06)}, Work: []compared{{Name: "rate", Best: .94}, {Name: "packets", Best: .91}},
		Memory: []memory{{When: "idle", RSS: 41 << 10, Target: 40 << 10}, {When: "after", RSS: 1 << 30}}}
	missed := map[string]bool{}
	all := r.targets()
	for _, g := range all {
		if !g.Met {
			missed[g.What] = true
		}
	}
	want := map[string]bool{"allowed, most rules to fewest": true, "new connections per second": true, "RSS, idle": true}
	if !maps.Equal(missed, want) || len(all) != 8 {
		t.Errorf("missed %v of %d, want %v of 8", missed, len(all), want)
	}
}

func TestMicrosInJSON(t *testing.T) {
	b, err := json.Marshal(micros(1234 * time.Nanosecond))
	if err != nil || string(b) != "1.234" {
		t.Errorf("%s, %v", b, err)
	}
}
