package engine

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/rule"
	"sekisho/service/names"
)

// fakeRest is the rest of a machine that finds one name and drops what goes to port 25.
type fakeRest struct{ asked, tried int }

func (r *fakeRest) Resolve(_ context.Context, f flow.Flow, ask bool) (Looked, []netip.Addr) {
	if !ask {
		return Looked{Steps: []api.Step{{Code: "name-not-asked", Part: api.PartNames}}}, nil
	}
	r.asked++
	if f.Remote.Name == "mail.example.org" {
		return Looked{}, []netip.Addr{netip.MustParseAddr("192.0.2.25"), netip.MustParseAddr("2001:db8::25")}
	}
	s := api.Step{Code: "name-unknown", Part: api.PartNames, Outcome: api.OutcomeDropped}
	return Looked{Outcome: s.Outcome, Steps: []api.Step{s}, Culprit: &api.Culprit{Step: s}}, nil
}

func (r *fakeRest) Look(_ context.Context, f flow.Flow, _ []netip.Addr, text bool) (Looked, error) {
	if f.Remote.Port != 25 {
		return Looked{Outcome: api.OutcomePasses}, nil
	}
	s := api.Step{Code: "filter-rule", Part: api.PartMachine, Outcome: api.OutcomeDropped}
	if text {
		s.Rule = "drop"
	}
	return Looked{Outcome: s.Outcome, Steps: []api.Step{s}, Culprit: &api.Culprit{Step: s}}, nil
}

func (r *fakeRest) Try(context.Context, flow.Flow, func(uint64, netip.AddrPort) error) (Looked, error) {
	r.tried++
	return Looked{Outcome: api.OutcomePasses, Steps: []api.Step{{Code: "try-connected", Part: api.PartAttempt}}}, nil
}

// Who is to blame is the first that would stop it, whoever it is.
func TestBlames(t *testing.T) {
	admin := api.Asker{Admin: true}
	for name, c := range map[string]struct {
		rule    *rule.Rule
		mode    api.Mode
		q       api.Question
		outcome api.Outcome
		code    string // the culprit's
		remedy  string // the first one's
	}{
		"nobody":           {&rule.Rule{Action: rule.Allow}, api.ModeAsk, api.Question{To: "mail.example.org", Port: 443, Asker: admin}, api.OutcomePasses, "", ""},
		"a filter":         {&rule.Rule{Action: rule.Allow}, api.ModeAsk, api.Question{To: "mail.example.org", Port: 25, Asker: admin}, api.OutcomeDropped, "filter-rule", ""},
		"our rule first":   {&rule.Rule{Action: rule.Block}, api.ModeAsk, api.Question{To: "mail.example.org", Port: 25, Asker: admin}, api.OutcomeBlocked, "rule", "switch-off"},
		"by the address":   {&rule.Rule{Action: rule.Block, Remote: rule.Remote{Address: netip.MustParseAddr("192.0.2.25")}}, api.ModeAllow, api.Question{To: "mail.example.org", Port: 443, Asker: admin}, api.OutcomeBlocked, "rule", "switch-off"},
		"asking":           {nil, api.ModeAsk, api.Question{To: "mail.example.org", Port: 25, Asker: admin}, api.OutcomeAsks, "mode", "answer"},
		"a name":           {nil, api.ModeAsk, api.Question{To: "no.example.org", Port: 25, Asker: admin}, api.OutcomeDropped, "name-unknown", ""},
		"the mode":         {nil, api.ModeBlock, api.Question{To: "192.0.2.1", Port: 443, Asker: admin}, api.OutcomeBlocked, "mode", "mode"},
		"lockdown":         {&rule.Rule{Action: rule.Allow}, api.ModeLockdown, api.Question{To: "192.0.2.1", Port: 443, Asker: admin}, api.OutcomeBlocked, "mode", "mode"},
		"the look-up":      {&rule.Rule{Action: rule.Block, Ports: []rule.PortRange{{From: 53, To: 53}}}, api.ModeAllow, api.Question{To: "mail.example.org", Port: 443, Asker: admin}, api.OutcomeBlocked, "lookup-blocked", "switch-off"},
		"a user's name":    {&rule.Rule{Action: rule.Allow}, api.ModeAsk, api.Question{To: "mail.example.org", Port: 25}, "", "", ""},
		"a user's address": {&rule.Rule{Action: rule.Allow}, api.ModeAsk, api.Question{To: "192.0.2.1", Port: 25}, api.OutcomeDropped, "filter-rule", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			rest := &fakeRest{}
			w.e.c.Machine = rest
			w.e.c.Resolvers = func() []netip.Addr { return []netip.Addr{netip.MustParseAddr("192.0.2.53")} }
			c.q.Program = w.program("mail").Path
			if c.rule != nil {
				r := *c.rule
				r.Program.Path = c.q.Program
				w.rule(r, "")
			}
			if err := w.e.SetMode(t.Context(), c.mode, 0); err != nil {
				t.Fatal(err)
			}
			x, err := w.e.Explain(t.Context(), c.q)
			if err != nil {
				t.Fatal(err)
			}
			code, remedy := "", ""
			if x.Culprit != nil {
				code = x.Culprit.Code
				if len(x.Culprit.Remedies) > 0 {
					remedy = x.Culprit.Remedies[0].Code
				}
				if text := x.Culprit.Rule; text != "" && !c.q.Asker.Admin {
					t.Errorf("a user reads %q", text)
				}
			}
			if x.Outcome != c.outcome || code != c.code || remedy != c.remedy {
				t.Errorf("%q by %q, remedy %q, want %q by %q, %q", x.Outcome, code, remedy, c.outcome, c.code, c.remedy)
			}
			if rest.tried != 0 || !c.q.Asker.Admin && rest.asked != 0 {
				t.Errorf("tried %d times, asked %d name servers", rest.tried, rest.asked)
			}
		})
	}
}

// An attempt is made for administrators alone, whatever the server forgets.
func TestLiveIsForAdministrators(t *testing.T) {
	w := newWorld(t)
	rest := &fakeRest{}
	w.e.c.Machine = rest
	q := api.Question{Program: w.program("mail").Path, To: "192.0.2.1", Port: 443, Live: true}
	if _, err := w.e.Explain(t.Context(), q); api.CodeOf(err) != api.NotPermitted || rest.tried != 0 {
		t.Errorf("%v, %d attempts", err, rest.tried)
	}
	q.Asker.Admin = true
	if _, err := w.e.Explain(t.Context(), q); err != nil || rest.tried != 1 {
		t.Errorf("%v, %d attempts", err, rest.tried)
	}
}

// A user is shown the rules that are about him, and those for everybody that match.
func TestOthersRulesAreHidden(t *testing.T) {
	w := newWorld(t)
	p := w.program("p").Path
	for _, r := range []rule.Rule{
		{Action: rule.Block, Program: rule.Program{Path: p}, User: "4242"},
		{Action: rule.Block, Program: rule.Program{Path: p}, User: "4343"},
		{Action: rule.Block, Program: rule.Program{Path: p}, Ports: []rule.PortRange{{From: 1, To: 1}}},
		{Action: rule.Allow, Program: rule.Program{Path: p}},
		{Action: rule.Block, Program: rule.Program{Path: p}, User: "4343", Ports: []rule.PortRange{{From: 1, To: 1}}},
	} {
		w.rule(r, "")
	}
	shown := func(a api.Asker) (ids string) {
		x, err := w.e.Explain(t.Context(), api.Question{Program: p, To: "192.0.2.1", Port: 443, User: "4343", Asker: a})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range x.Steps {
			if s.Code == "rule" {
				ids += s.Values["id"] + " "
				if len(s.Checks) == 0 {
					t.Errorf("%s: no operands", s.What)
				}
			}
		}
		for _, r := range x.Culprit.Remedies {
			if !a.Admin && strings.Contains(r.Values["rules"], "4 ") {
				t.Errorf("a user is to change %+v", r)
			}
		}
		return ids
	}
	if got := shown(api.Asker{UID: 4343}); got != "5 2 4 " {
		t.Errorf("a user is shown %s", got)
	}
	if got := shown(api.Asker{Admin: true}); len(strings.Fields(got)) != 5 {
		t.Errorf("an administrator is shown %s", got)
	}
}

// A connection that lives, waits or was is found by its id, by its user and administrators.
func TestExplainsByID(t *testing.T) {
	w := newWorld(t)
	p := w.program("p")
	w.send(to(w.socket(p), flow.TCP, "192.0.2.1:443"))
	q := w.asked(1)[0]
	admin := api.Asker{Admin: true}
	explain := func(id string, a api.Asker) (api.Explanation, error) {
		return w.e.Explain(t.Context(), api.Question{Flow: id, Asker: a})
	}
	if x, err := explain(q.Flow.ID, admin); err != nil || x.Flow == nil || x.Flow.ID != q.Flow.ID || x.Outcome != api.OutcomeAsks || x.Steps[0].Values["verdict"] != "waiting" {
		t.Errorf("waiting: %+v, %v", x, err)
	}
	if x, err := explain(q.ID, admin); err != nil || x.Flow.ID != q.Flow.ID {
		t.Errorf("by its prompt: %+v, %v", x, err)
	}
	r := w.rule(rule.Rule{Action: rule.Block, Program: rule.Program{Path: p.Path}}, "")
	for _, saved := range []bool{false, true} {
		if saved {
			w.history()
		}
		x, err := explain(q.Flow.ID, api.Asker{UID: p.UID})
		if err != nil || x.Flow.Decision.By.ID != r.ID || x.Steps[0].Values["rule"] != "there" || x.Culprit.Code != "rule" {
			t.Errorf("blocked, saved: %v: %+v, %v", saved, x, err)
		}
	}
	if err := w.e.EnableRule(t.Context(), r.ID, false); err != nil {
		t.Fatal(err)
	}
	if x, err := explain(q.Flow.ID, admin); err != nil || x.Steps[0].Values["rule"] != "off" || x.Decision.Verdict != flow.Waiting {
		t.Errorf("its rule is off: %+v, %v", x, err)
	}
	if err := w.e.RemoveRule(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	if x, err := explain(q.Flow.ID, admin); err != nil || x.Steps[0].Values["rule"] != "gone" {
		t.Errorf("its rule is gone: %+v, %v", x, err)
	}
	for id, a := range map[string]api.Asker{q.Flow.ID: {UID: p.UID + 1}, "no-such": admin} {
		if _, err := explain(id, a); api.CodeOf(err) != api.NotFound {
			t.Errorf("%s for %+v: %v", id, a, err)
		}
	}
}

// Whether another user's program looked up a name is not told; one's own connection is.
func TestNamesOfOthersAreHidden(t *testing.T) {
	w := newWorld(t)
	w.e.c.Machine = &fakeRest{}
	p := w.program("p")
	addr := netip.MustParseAddr("192.0.2.9")
	w.names.Learn(p.Key(), names.Answer{Question: "secret.example", Addrs: []netip.Addr{addr}, TTL: time.Hour}, time.Now())
	w.rule(rule.Rule{Action: rule.Block, Program: rule.Program{Path: p.Path}}, "192.0.2.9")
	w.is(w.send(to(w.socket(p), flow.TCP, "192.0.2.9:443")), "refused")
	for uid, want := range map[uint32]string{p.UID: "name-known", p.UID + 1: "name-not-asked"} {
		x, err := w.e.Explain(t.Context(), api.Question{Program: p.Path, To: "secret.example", Port: 443, Asker: api.Asker{UID: uid}})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(x.Steps, func(s api.Step) bool { return s.Code == want }) {
			t.Errorf("user %d: %+v, want %s", uid, x.Steps, want)
		}
	}
}
