package store

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"go.etcd.io/bbolt"

	"sekisho/app/flow"
	"sekisho/app/rule"
)

type safeBuffer struct{ bytes.Buffer }

func (b *safeBuffer) reader() *bytes.Reader { return bytes.NewReader(b.Bytes()) }

func reopen(t *testing.T, s *Store) *Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, s.dir, s.opts)
}

func TestRuleComesBackWhole(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	put := must[rule.Rule](t)(s.PutRule(fullRule()))
	if put.ID != "1" {
		t.Errorf("id %q", put.ID)
	}
	want := fullRule()
	want.ID = "1"
	got := must[[]rule.Rule](t)(reopen(t, s).Rules())
	if len(got) != 1 || !reflect.DeepEqual(got[0], want) || !reflect.DeepEqual(put, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	everyFieldSet(t, reflect.ValueOf(want), "Rule")
	everyFieldSet(t, reflect.ValueOf(fullFlow("1", noon)), "Flow", "Cookie", "Link", "Executable")
	everyFieldSet(t, reflect.ValueOf(fullPrompt("1", noon)), "Prompt", "Cookie", "Link", "Decision")
}

// everyFieldSet fails when a type has a field that the test's value leaves zero: a
// field that was added and that the record may not know.
func everyFieldSet(t *testing.T, v reflect.Value, name string, but ...string) {
	t.Helper()
	switch v.Kind() {
	case reflect.Pointer:
		everyFieldSet(t, v.Elem(), name, but...)
	case reflect.Struct:
		if !strings.HasPrefix(v.Type().PkgPath(), "sekisho/") {
			break
		}
		for i := range v.NumField() {
			field := v.Type().Field(i).Name
			if !strings.Contains(" "+strings.Join(but, " ")+" ", " "+field+" ") {
				everyFieldSet(t, v.Field(i), name+"."+field, but...)
			}
		}
		return
	}
	if v.IsZero() {
		t.Errorf("%s is not tested", name)
	}
}

func TestAnyRuleComesBack(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
		r := simpleRule(text.Draw(t, "path"))
		r.Program.Script, r.Program.Parent = text.Draw(t, "script"), text.Draw(t, "parent")
		r.Note = rapid.String().Draw(t, "note")
		r.Action = rapid.SampledFrom([]rule.Action{rule.Allow, rule.Block}).Draw(t, "action")
		r.Direction = rapid.SampledFrom([]rule.Direction{rule.Out, rule.In, rule.Both}).Draw(t, "direction")
		r.Lifetime.Deadline = time.Duration(rapid.Int64().Draw(t, "deadline"))
		put, err := s.ReplaceRules([]rule.Rule{r})
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Rules()
		if err != nil || !reflect.DeepEqual(got, put) || got[0].Program != r.Program || got[0].Note != r.Note {
			t.Fatalf("%v: got %+v, want %+v", err, got, r)
		}
	})
}

func TestEditKeepsCounts(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	a := must[rule.Rule](t)(s.PutRule(simpleRule("/a")))
	uses := map[string]Use{a.ID: {Hits: 2, Last: noon}, "99": {Hits: 5, Last: noon}}
	for range 2 {
		if err := s.AddHits(uses); err != nil {
			t.Fatal(err)
		}
	}
	a.Note, a.Hits = "edited", 0
	a = must[rule.Rule](t)(s.PutRule(a))
	if err := s.AddHits(map[string]Use{a.ID: {Hits: 1, Last: noon.Add(-time.Hour)}}); err != nil {
		t.Fatal(err)
	}
	got := must[[]rule.Rule](t)(s.Rules())
	if len(got) != 1 || got[0].Hits != 5 || !got[0].LastUsed.Equal(noon) || got[0].Note != "edited" || a.Hits != 4 {
		t.Errorf("got %+v, edited %+v", got, a)
	}
}

func TestDeletedRuleStaysDeleted(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	a := must[rule.Rule](t)(s.PutRule(simpleRule("/a")))
	if err := s.DeleteRule(a.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteRule(a.ID); !errors.Is(err, ErrNotFound) || errors.Is(err, ErrNotSaved) {
		t.Errorf("delete again: %v", err)
	}
	if _, err := s.PutRule(a); !errors.Is(err, ErrNotFound) {
		t.Errorf("edit: %v", err)
	}
	if err := s.AddHits(map[string]Use{a.ID: {Hits: 1, Last: noon}}); err != nil {
		t.Error(err)
	}
	s = reopen(t, s)
	if got := must[[]rule.Rule](t)(s.Rules()); len(got) != 0 {
		t.Errorf("got %+v", got)
	}
	if b := must[rule.Rule](t)(s.PutRule(simpleRule("/b"))); b.ID != "2" {
		t.Errorf("the id of a deleted rule was used again: %s", b.ID)
	}
}

func TestAllRulesOrNone(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	for i := range 11 {
		must[rule.Rule](t)(s.PutRule(simpleRule(fmt.Sprint("/", i))))
	}
	before := must[[]rule.Rule](t)(s.Rules())
	if before[1].ID != "2" || before[10].ID != "11" {
		t.Errorf("order: %v, %v", before[1].ID, before[10].ID)
	}
	bad := simpleRule("/bad")
	bad.Action = 0
	odd := simpleRule("/odd")
	odd.Lifetime.Kind = "for ever"
	twice := simpleRule("/twice")
	twice.ID = "7"
	long := simpleRule("/long")
	long.ID = strings.Repeat("x", maxID+1)
	huge := simpleRule("/huge")
	huge.Note = strings.Repeat("x", maxRecord)
	for _, rules := range [][]rule.Rule{{simpleRule("/new"), bad}, {odd}, {twice, twice}, {simpleRule("/new"), long}, {huge}} {
		if _, err := s.PutRules(rules); err == nil || errors.Is(err, ErrNotSaved) {
			t.Errorf("put %v: %v", rules[len(rules)-1].Program.Path, err)
		}
		if _, err := s.ReplaceRules(rules); err == nil {
			t.Error("replaced by", rules[len(rules)-1].Program.Path)
		}
	}
	if err := s.DeleteRules([]string{"1", "99"}); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if got := must[[]rule.Rule](t)(s.Rules()); !reflect.DeepEqual(got, before) {
		t.Errorf("changed: %+v", got)
	}
}

func TestNewIDsPassThoseThatAreTaken(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	taken := simpleRule("/taken")
	taken.ID = "2"
	put := must[[]rule.Rule](t)(s.PutRules([]rule.Rule{simpleRule("/a"), simpleRule("/b"), taken}))
	if put[0].ID != "1" || put[1].ID != "3" || put[2].ID != "2" || put[2].Program.Path != "/taken" {
		t.Errorf("got %v %v %v", put[0].ID, put[1].ID, put[2].ID)
	}
	put = must[[]rule.Rule](t)(s.ReplaceRules([]rule.Rule{simpleRule("/c")}))
	if got := must[[]rule.Rule](t)(s.Rules()); len(got) != 1 || got[0].ID != "4" || put[0].ID != "4" {
		t.Errorf("got %+v", got)
	}
}

func BenchmarkPutRule(b *testing.B) {
	s := open(b, b.TempDir(), Options{})
	for b.Loop() {
		if _, err := s.PutRule(simpleRule("/usr/bin/curl")); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRules10000(b *testing.B) {
	s := openWithRules(b, 10_000)
	for b.Loop() {
		if rules, err := s.Rules(); err != nil || len(rules) != 10_000 {
			b.Fatal(len(rules), err)
		}
	}
}

// BenchmarkOpen10000 is a start with 10,000 rules and a history: how long must not matter.
func BenchmarkOpen10000(b *testing.B) {
	for _, n := range []int{0, 1_000_000} {
		b.Run(fmt.Sprint("history=", n), func(b *testing.B) {
			s := openWithRules(b, 10_000)
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			longHistory(b, s.past.name, n)
			for b.Loop() {
				var err error
				if s, _, err = Open(s.dir, s.opts); err != nil {
					b.Fatal(err)
				}
				if open, err := s.OpenFlows(); err != nil || len(open) != min(n, 100) {
					b.Fatal(len(open), err)
				}
				if _, err := s.Rules(); err != nil {
					b.Fatal(err)
				}
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// longHistory makes a history of n flows, of which the last 100 are open.
func longHistory(b *testing.B, path string, n int) {
	err := build(path, historyFile, func(db *bbolt.DB) error {
		to := filler{db: db}
		for i := range n {
			f := flow.Flow{ID: fmt.Sprint(i), Time: noon.Add(time.Duration(i) * time.Second), Decision: flow.Decision{Verdict: flow.Allow}, State: flow.Closed}
			if i >= n-100 {
				f.State = flow.Open
			}
			key := historyKey(f)
			if err := to.add(key, must[[]byte](b)(encode(key, newFlowRecord(f)))); err != nil {
				return err
			}
		}
		return to.flush()
	})
	if err != nil {
		b.Fatal(err)
	}
}

func openWithRules(b *testing.B, n int) *Store {
	s := open(b, b.TempDir(), Options{})
	rules := make([]rule.Rule, n)
	for i := range rules {
		rules[i] = simpleRule(fmt.Sprintf("/usr/lib/program-%d/bin/program", i))
	}
	if _, err := s.PutRules(rules); err != nil {
		b.Fatal(err)
	}
	return s
}
