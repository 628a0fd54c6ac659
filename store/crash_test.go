package store

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sekisho/app/flow"
	"sekisho/app/rule"
)

// crashChild writes for as long as it lives and prints the id of every rule once
// PutRule said that it is saved.
func crashChild(dir string) {
	s, recovery, err := Open(dir, Options{CopyEvery: time.Millisecond, History: 200})
	if err != nil || recovery != nil {
		fmt.Println("failed", err, recovery)
		os.Exit(1)
	}
	go s.Run(context.Background())
	go func() {
		for i := 0; ; i++ {
			f := fullFlow(fmt.Sprint(i), time.Now())
			if err := s.AppendFlows([]flow.Flow{f, fullFlow("x", time.Now())}); err != nil {
				fmt.Println("failed", err)
			}
		}
	}()
	for i := 0; ; i++ {
		r, err := s.PutRule(simpleRule(fmt.Sprint("/bin/", i)))
		if err == nil {
			err = s.AddHits(map[string]Use{r.ID: {Hits: 1, Last: time.Now()}})
		}
		if err != nil {
			fmt.Println("failed", err)
			continue
		}
		fmt.Println(r.ID)
	}
}

func TestKilledAtAnyMoment(t *testing.T) {
	dir := t.TempDir()
	acknowledged := map[string]bool{}
	random := rand.New(rand.NewPCG(5, 6))
	flows := 0
	for round := range 25 {
		for _, id := range runAndKill(t, dir, time.Duration(random.IntN(60_000))*time.Microsecond) {
			if acknowledged[id] {
				t.Errorf("id %s was given twice", id)
			}
			acknowledged[id] = true
		}
		s, recovery, err := Open(dir, Options{Log: slog.New(slog.DiscardHandler)})
		if err != nil || recovery != nil {
			t.Fatalf("round %d: %v, %v", round, err, recovery)
		}
		there := map[string]bool{}
		for _, r := range must[[]rule.Rule](t)(s.Rules()) {
			there[r.ID] = true
		}
		for id := range acknowledged {
			if !there[id] {
				t.Errorf("round %d: rule %s was acknowledged and is gone", round, id)
			}
		}
		if recovery, err := s.OpenHistory(); err != nil || recovery != nil {
			t.Fatalf("round %d: history: %v, %v", round, err, recovery)
		}
		flows = max(flows, s.past.count)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		check(t, filepath.Join(dir, "sekisho.db"))
		check(t, filepath.Join(dir, "sekisho.db.history"))
	}
	t.Logf("%d rules acknowledged, %d flows", len(acknowledged), flows)
	if len(acknowledged) < 25 || flows < 20 {
		t.Error("too few to mean anything")
	}
}

// runAndKill starts a child, kills it some time after its first line and returns the
// ids that it printed.
func runAndKill(t *testing.T, dir string, after time.Duration) []string {
	t.Helper()
	child := exec.Command(must[string](t)(os.Executable()))
	child.Env = append(os.Environ(), "SEKISHO_STORE_CHILD="+dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var ids []string
	var once sync.Once
	kill := func() { time.AfterFunc(after, func() { child.Process.Kill() }) }
	for lines := bufio.NewReader(out); ; {
		line, err := lines.ReadString('\n') // a line without its end was not acknowledged
		if err != nil {
			break
		}
		once.Do(kill)
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "failed") {
			t.Error(line)
			continue
		}
		ids = append(ids, line)
	}
	child.Wait() // "signal: killed"
	return ids
}

func TestRunRefreshesTheGoodCopy(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{CopyEvery: time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	must[rule.Rule](t)(s.PutRule(simpleRule("/a")))
	for s.uncopied.Load() {
		time.Sleep(time.Millisecond)
	}
	s.copying.Lock() // until the copy that is under way is done
	cancel()
	s.copying.Unlock()
	if err := <-done; err != nil {
		t.Error(err)
	}
	info := must[os.FileInfo](t)(os.Stat(s.path(".good")))
	s = reopen(t, s)
	if s.uncopied.Load() {
		t.Error("the copy is taken for old")
	}
	s = reopen(t, s)
	if now := must[os.FileInfo](t)(os.Stat(s.path(".good"))); !os.SameFile(info, now) {
		t.Error("the copy was made again though nothing changed")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(s.path("")); err != nil {
		t.Fatal(err)
	}
	s, _ = openAnyway(t, dir, Options{})
	if rules := must[[]rule.Rule](t)(s.Rules()); len(rules) != 1 {
		t.Errorf("the copy holds %d rules", len(rules))
	}
}
