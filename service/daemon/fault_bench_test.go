package daemon_test

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"sekisho/app/rule"
	"sekisho/service/lab"
)

// BenchmarkBurst is 10,000 new connections from eight programs at once, half of them
// blocked, and the same from programs outside: how long connect() of the allowed takes.
func BenchmarkBurst(b *testing.B) {
	s := newScene(b)
	const programs, each = 8, 1250
	var all []*lab.Program
	for i := range programs {
		p := s.Home.Program(fmt.Sprintf("program%d", i))
		action := rule.Allow
		if i%2 == 1 {
			action = rule.Block
		}
		s.rule(p, action, rule.Remote{})
		all = append(all, p)
	}
	args := []string{"-count", strconv.Itoa(each), "-reset", "-timeout", "20s", "tcp", s.target.String()}
	var bare, watched []time.Duration
	for b.Loop() {
		watched = append(watched, burst(b, all, func(p *lab.Program) ([]lab.Outcome, error) { return p.Run(b.Context(), args...) })...)
		bare = append(bare, burst(b, all, func(p *lab.Program) ([]lab.Outcome, error) { return p.RunOutside(b.Context(), args...) })...)
	}
	b.ReportMetric(quantile(watched, 0.99).Seconds()*1e3, "p99-ms")
	b.ReportMetric((quantile(watched, 0.99)-quantile(bare, 0.99)).Seconds()*1e3, "p99-added-ms")
	b.ReportMetric(quantile(watched, 0.5).Seconds()*1e6, "p50-us")
	b.ReportMetric(0, "ns/op")
}

// burst runs all programs at once, and returns how long connect() took those that are allowed.
func burst(b *testing.B, all []*lab.Program, run func(*lab.Program) ([]lab.Outcome, error)) []time.Duration {
	b.Helper()
	outcomes := make([][]lab.Outcome, len(all))
	var g sync.WaitGroup
	for i, p := range all {
		g.Go(func() { outcomes[i], _ = run(p) })
	}
	g.Wait()
	var took []time.Duration
	for i := 0; i < len(all); i += 2 {
		if len(outcomes[i]) == 0 {
			b.Fatalf("%s made no connection", all[i].Path)
		}
		for _, o := range outcomes[i] {
			if !o.OK {
				b.Fatalf("%+v", o)
			}
			took = append(took, o.Connect)
		}
	}
	return took
}

func quantile(all []time.Duration, q float64) time.Duration {
	slices.Sort(all)
	return all[int(float64(len(all)-1)*q)]
}
