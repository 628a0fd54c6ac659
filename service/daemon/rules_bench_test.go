package daemon_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"sekisho/app/api"
	"sekisho/app/rule"
)

// What a change of one rule costs among 10,000, each for a program that is there: it is
// as long as an undecided packet may have to wait for it.
func BenchmarkChangeAmongTenThousandRules(b *testing.B) {
	s := newScene(b)
	dir := filepath.Join(s.Dir, "programs")
	if err := os.Mkdir(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	rules := make([]rule.Rule, 9_990)
	for i := range rules {
		path := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(path, []byte(path), 0o755); err != nil {
			b.Fatal(err)
		}
		rules[i] = rule.Rule{Enabled: true, Action: rule.Allow, Program: rule.Program{Path: path}, Lifetime: rule.Lifetime{Kind: rule.Always}}
	}
	file, err := rule.WriteFile(rules)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := s.api.ImportRules(b.Context(), file, true); err != nil {
		b.Fatal(err)
	}
	for on := true; b.Loop(); on = !on {
		if err := s.api.SetMode(b.Context(), map[bool]api.Mode{true: api.ModeAsk, false: api.ModeAllow}[on], 0); err != nil {
			b.Fatal(err)
		}
	}
}
