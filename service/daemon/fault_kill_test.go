package daemon_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"sekisho/app/api"
	"sekisho/app/rule"
	"sekisho/service/lab"
)

// killRounds is how often the service is killed: SEKISHO_KILLS, else few enough for every day.
func killRounds(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("SEKISHO_KILLS"))
	if err != nil {
		return 12
	}
	t.Logf("%d rounds", n)
	return n
}

// Killed at any moment under load, the service loses no rule that it acknowledged, lets
// nothing undecided out, breaks nothing that is allowed, and filters again within a second.
func TestKillAtAnyMoment(t *testing.T) {
	s := newScene(t)
	allowed, blocked := s.Home.Program("allowed"), s.Home.Program("blocked")
	s.rule(allowed, rule.Allow, rule.Remote{})
	s.rule(blocked, rule.Block, rule.Remote{})
	since := time.Now()
	leak, _ := s.undecidedSender()
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	defer load.Wait()
	defer stop()
	load.Go(func() { // what is allowed goes on, whether the service lives or not
		for n := 0; ctx.Err() == nil; n++ {
			out, err := allowed.Run(ctx, "-count", "200", "-every", "2ms", "-reset", "-timeout", "5s", "tcp", s.target.String())
			if i := slices.IndexFunc(out, func(o lab.Outcome) bool { return !o.OK }); ctx.Err() == nil && (err != nil || i >= 0) {
				t.Errorf("allowed, run %d: %+v, %v", n, out[max(i, 0)], err)
				return
			}
		}
	})
	load.Go(func() {
		for ctx.Err() == nil {
			out, _ := blocked.Run(ctx, "-count", "200", "-every", "2ms", "tcp", s.target.String())
			if slices.ContainsFunc(out, func(o lab.Outcome) bool { return o.OK }) {
				t.Errorf("a blocked connection: %+v", out)
				return
			}
		}
	})
	var acknowledged []string
	var back []time.Duration
	for round := range killRounds(t) {
		ids := s.addRulesUntil(round, rand.N(250*time.Millisecond), s.service.Kill)
		acknowledged = append(acknowledged, ids...)
		began := time.Now()
		s.service.Start()
		back = append(back, time.Since(began))
		leak.none(since, fmt.Sprintf("round %d", round))
	}
	stop()
	load.Wait()
	rules, err := s.api.Rules(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, r := range rules {
		there[r.ID] = true
	}
	for _, id := range acknowledged {
		if !there[id] {
			t.Errorf("rule %s was acknowledged and is gone", id)
		}
	}
	slices.Sort(back)
	t.Logf("%d rules acknowledged; filtering again after %v at the median, %v at most", len(acknowledged), back[len(back)/2], back[len(back)-1])
	if len(acknowledged) < len(back) {
		t.Error("hardly any rule was made: the test shows nothing")
	}
	if back[0] > time.Second { // the others may have waited for a busy machine
		t.Error("that is too late")
	}
}

// addRulesUntil adds rules, one after the other, until the service is killed, and returns
// those that it acknowledged.
func (s *scene) addRulesUntil(round int, after time.Duration, kill func()) []string {
	c := api.Dial(s.service.Socket)
	defer c.Close()
	done := make(chan []string)
	go func() {
		var ids []string
		for n := 0; ; n++ {
			r, err := c.AddRule(s.t.Context(), rule.Rule{Enabled: true, Action: rule.Block,
				Program: rule.Program{Path: fmt.Sprintf("/nowhere/%d/%d", round, n)}, Remote: rule.Remote{Address: netip.MustParseAddr("192.0.2.1")}}, 0)
			if err != nil {
				done <- ids
				return
			}
			ids = append(ids, r.ID)
		}
	}()
	time.Sleep(after)
	kill()
	return <-done
}

// A new version takes over from the one that runs, under load: nothing that is allowed
// fails, and nothing undecided leaves.
func TestUpgradeUnderLoad(t *testing.T) {
	s := newScene(t)
	allowed := s.Home.Program("allowed")
	s.rule(allowed, rule.Allow, rule.Remote{})
	since := time.Now()
	leak, _ := s.undecidedSender()
	run := allowed.Start(t.Context(), "-count", "4000", "-every", "500us", "-reset", "-timeout", "5s", "tcp", s.target.String())
	for range 3 {
		s.service.Restart()
	}
	leak.none(since, "upgraded")
	s.allowed(allowed, "afterwards")
	out, err := run.Wait()
	if i := slices.IndexFunc(out, func(o lab.Outcome) bool { return !o.OK }); err != nil || i >= 0 || len(out) != 4000 {
		t.Errorf("%d connections, the first that failed: %d, %v", len(out), i, err)
	}
}
