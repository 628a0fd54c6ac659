package rule

import (
	"testing"

	"pgregory.net/rapid"
)

// The indexed Set decides as somebody who reads every rule would.
func TestSetDecidesAsNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := genRules(t, 40)
		s := NewSet(rules)
		for range 8 {
			q, now := genQuery(t, genProcess(t)), genClock(t)
			want := naiveDecide(rules, q, now)
			got, ok := s.Decide(q, now)
			if ok != (want != nil) || ok && got.ID != want.ID {
				t.Fatalf("decided by %+v, want %+v\nof %+v", got, want, q)
			}
		}
	})
}

// A rule alone matches when a Set of it alone decides.
func TestMatchesAsSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := genRule(t, 1)
		q, now := genQuery(t, genProcess(t)), genClock(t)
		_, ok := NewSet([]Rule{r}).Decide(q, now)
		if r.Matches(q, now) != ok {
			t.Fatalf("Matches says %v, Decide %v\nrule %+v\nof %+v", !ok, ok, r, q)
		}
	})
}

// The explanation tells of the rule that won, and of every one that it won over.
func TestExplainsWhatDecides(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := genRules(t, 20)
		s := NewSet(rules)
		q, now := genQuery(t, genProcess(t)), genClock(t)
		winner, decided := s.Decide(q, now)
		won := 0
		for i, c := range s.Explain(q, now) {
			if c.Matched != c.Rule.Matches(q, now) {
				t.Fatalf("rule %+v: explained as matched: %v", c.Rule, c.Matched)
			}
			if c.Won {
				won++
				if !decided || c.Rule.ID != winner.ID || !c.Matched || c.By != "" {
					t.Fatalf("step %d won, %+v; decided by %+v", i, c, winner)
				}
			} else if (c.By != "") != c.Matched {
				t.Fatalf("step %d matched %v and lost by %q", i, c.Matched, c.By)
			}
			if won == 0 && c.Matched {
				t.Fatalf("step %d matched before the winner", i)
			}
		}
		if decided != (won == 1) {
			t.Fatalf("decided %v, but %d won", decided, won)
		}
	})
}

// Where no rule is networked, the network changes nothing.
func TestNetworked(t *testing.T) {
	networked, differ := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		rules := genWideRules(t)
		for i := range rules {
			r := &rules[i]
			r.Network = rarely(t, "another profile", 3, genProfiles)
			if rapid.Bool().Draw(t, "likely") {
				r.Enabled, r.Lifetime, r.User, r.Program = true, Lifetime{Kind: Always}, "", Program{Path: r.Program.Path}
			}
		}
		s := NewSet(rules)
		for range 10 {
			q, now := genQuery(t, genKnownProcess(t)), genClock(t)
			first, ok := s.Decide(q, now)
			q.Network = rapid.SampledFrom([]string{"", NetworkHome, NetworkPublic, "the cabin"}).Draw(t, "another network")
			second, also := s.Decide(q, now)
			if s.Networked(q.Process.Path, q.Direction) {
				networked++
			}
			if ok == also && first == second {
				continue
			}
			differ++
			if !s.Networked(q.Process.Path, q.Direction) {
				t.Fatalf("decided by %+v, in another network by %+v", first, second)
			}
		}
	})
	if networked == 0 || differ == 0 {
		t.Errorf("%d networked, %d decided differently: the test proves nothing", networked, differ)
	}
}
