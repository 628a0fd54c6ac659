package rule

import (
	"testing"

	"pgregory.net/rapid"

	"sekisho/app/flow"
)

// What Wide proves holds for every flow of the process.
func TestWideNeverContradictsDecide(t *testing.T) {
	seen := make(map[WideVerdict]int)
	rapid.Check(t, func(t *rapid.T) {
		rules, now := genWideRules(t), genClock(t)
		s := NewSet(rules)
		p := genProcess(t)
		for _, d := range []flow.Direction{flow.Out, flow.In} {
			w := s.Wide(p, d, now)
			seen[w.Verdict]++
			for range 12 {
				q := genQuery(t, p)
				q.Direction, q.Named = d, false
				r, ok := s.Decide(q, now)
				if contradicts(w, r, ok) {
					t.Fatalf("%s by %+v, but %+v decides\nof %+v", w.Verdict, w.Rule, r, q)
				}
			}
		}
	})
	for v := Depends; v <= BlockAll; v++ {
		if seen[v] == 0 {
			t.Errorf("no random set was %s: the test proves nothing of it", v)
		}
	}
}

func contradicts(w Width, r *Rule, ok bool) bool {
	switch w.Verdict {
	case NoRule:
		return ok
	case AllowAll:
		return !ok || r.Action != Allow || r.Lifetime.Kind == Once
	case BlockAll:
		return !ok || r.Action != Block || r.Lifetime.Kind == Once
	}
	return false
}

// What is not per process is the same for every process of the path.
func TestWidePerProcess(t *testing.T) {
	shared := 0
	rapid.Check(t, func(t *rapid.T) {
		rules, now := genWideRules(t), genClock(t)
		s := NewSet(rules)
		p, q := genKnownProcess(t), genKnownProcess(t)
		q.Path = p.Path
		d := rapid.SampledFrom([]flow.Direction{flow.Out, flow.In}).Draw(t, "direction")
		w, v := s.Wide(p, d, now), s.Wide(q, d, now)
		if w.PerProcess != v.PerProcess {
			t.Fatalf("per process %v for one and %v for another", w.PerProcess, v.PerProcess)
		}
		if w.PerProcess {
			return
		}
		shared++
		if w != v {
			t.Fatalf("%+v and %+v\n%+v\n%+v", w, v, p, q)
		}
	})
	if shared == 0 {
		t.Error("no random set could be shared: the test proves nothing")
	}
}
