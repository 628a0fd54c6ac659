package store

import (
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/goleak"

	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("SEKISHO_STORE_CHILD"); dir != "" {
		crashChild(dir)
	}
	goleak.VerifyTestMain(m)
}

// open opens the store in dir and, when the test ends, closes it and has bbolt check
// what is left.
func open(t testing.TB, dir string, opts Options) *Store {
	t.Helper()
	s, recovery := openAnyway(t, dir, opts)
	if recovery != nil {
		t.Fatalf("recovery: %s", recovery)
	}
	return s
}

func openAnyway(t testing.TB, dir string, opts Options) (*Store, *Recovery) {
	t.Helper()
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	s, recovery, err := Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error("close:", err)
		}
		check(t, filepath.Join(dir, "sekisho.db"))
		if s.past.opened {
			check(t, s.path(".history"))
		}
	})
	return s, recovery
}

// check fails the test unless both bbolt and inspect find the file at path sound.
func check(t testing.TB, path string) {
	t.Helper()
	k := mainFile
	if strings.HasSuffix(path, ".history") {
		k = historyFile
	}
	if c, err := inspect(path, k); err != nil || len(c.damaged) > 0 {
		t.Errorf("inspect %s: %v, %d damaged", path, err, len(c.damaged))
		return
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, ReadOnly: true})
	if err != nil {
		t.Error(err)
		return
	}
	defer db.Close()
	if err := checkAll(db); err != nil {
		t.Error(err)
	}
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

var noon = time.Date(2026, 3, 4, 12, 0, 0, 123456789, time.UTC)

func fullRule() rule.Rule {
	return rule.Rule{
		Enabled: true, Action: rule.Block, Direction: rule.Both,
		Program: rule.Program{
			Path: "/opt/caf\xe9/bin\x01<&>", Script: "/home/k/関所.py", Package: "curl", App: "org.app", Unit: "x.service",
			Parent: "/bin/\xff", Folder: "/opt/\xff", SHA256: "00ff",
		},
		User: "1000",
		Remote: rule.Remote{
			Name: "a.example", Domain: "example", Address: netip.MustParseAddr("fe80::1%eth0"),
			Network: netip.MustParsePrefix("10.0.0.0/8"),
			Range:   rule.AddrRange{From: netip.MustParseAddr("1.1.1.1"), To: netip.MustParseAddr("1.1.1.9")},
			LAN:     true, List: "ads",
		},
		Ports:    []rule.PortRange{{From: 443, To: 443}, {From: 8000, To: 8999}},
		Protocol: flow.TCP, Network: "home",
		Lifetime: rule.Lifetime{
			Kind: rule.Until, Boot: "b-o-o-t", Deadline: 90 * time.Minute, Until: noon.Add(time.Hour),
			Process: flow.ProcessID{PID: 7, Start: 1 << 60},
		},
		Note: "why \"not\"", Created: noon, By: "k", Origin: rule.FromAnswer, Hits: 3, LastUsed: noon.Add(time.Minute),
	}
}

func simpleRule(path string) rule.Rule {
	return rule.Rule{
		Enabled: true, Action: rule.Allow, Program: rule.Program{Path: path},
		Remote: rule.Remote{Name: "example.org"}, Ports: []rule.PortRange{{From: 443, To: 443}}, Protocol: flow.TCP,
		Lifetime: rule.Lifetime{Kind: rule.Always}, Created: noon, By: "k", Origin: rule.FromAnswer,
	}
}

func fullFlow(id string, at time.Time) flow.Flow {
	return flow.Flow{
		ID: id, Time: at, Direction: flow.In, Protocol: flow.UDP,
		Process: &flow.Process{
			ProcessID: flow.ProcessID{PID: 42, Start: 99}, ExecID: 3,
			Program: flow.Program{
				Path: "/usr/bin/python3", Name: "Py\xff", Icon: "py", Script: "/home/k/a.py", Inline: true, Replaced: true, Package: "python3",
				Integrity: flow.Modified, App: "/a\xff.AppImage", OwnApp: true, Container: "docker:2f1a", Unit: "u.service", OwnUnit: true, SHA256: "ab",
			},
			UID: 1000, User: "k", Args: []string{"python3", "a\xfe.py", ""}, Dir: "/home/k", Cgroup: "/user.slice",
			Parents: []flow.Ancestor{{ProcessID: flow.ProcessID{PID: 1, Start: 2}, Path: "/sbin/init", Name: "init"}},
			Kernel:  true,
		},
		Local:    flow.Endpoint{Addr: netip.MustParseAddr("192.0.2.1"), Port: 5353, Name: "here"},
		Remote:   flow.Endpoint{Addr: netip.MustParseAddr("2001:db8::1"), Port: 53, Name: "dns.example"},
		Decision: flow.Decision{Verdict: flow.Block, By: flow.By{Kind: flow.ByRule, ID: "12", Name: "py"}},
		Warnings: []flow.Warning{{Code: "no-name", Text: "It <has> no name.", Value: "\xfe"}},
		Bytes:    flow.Bytes{Sent: 1, Received: 2}, Packets: flow.Packets{Sent: 3, Received: 4}, State: flow.Closed, Ended: at.Add(time.Second),
	}
}

func fullPrompt(id string, deadline time.Time) prompt.Prompt {
	f := fullFlow("f"+id, deadline.Add(-time.Minute))
	f.Process.Executable = flow.Executable{Inode: 5, Ctime: 6, CtimeNano: 7, Device: 8, Generation: 9}
	f.Decision = flow.Decision{}
	return prompt.Prompt{
		ID: id, Generation: 4, Flow: f, Flows: 2, Deadline: deadline, State: prompt.Missed,
		Warnings:     []prompt.Warning{{Code: "fresh", Text: "It is new.", Value: "/tmp/\xff"}},
		Scopes:       []prompt.Scope{{Kind: prompt.HostAndPort, To: "dns.example", Port: 53}},
		Predecessors: []string{"/opt/\xfe"},
	}
}

func TestFirstOpenMakesPrivateFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "state")
	s := open(t, dir, Options{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if info := must[fs.FileInfo](t)(os.Stat(dir)); info.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v", info.Mode())
	}
	entries := must[[]os.DirEntry](t)(os.ReadDir(dir))
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
		if info := must[fs.FileInfo](t)(e.Info()); info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v", e.Name(), info.Mode())
		}
	}
	if len(names) != 4 { // the database, its good copy, the history, the lock
		t.Errorf("files: %v", names)
	}
}

func TestSecondServiceIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	start := time.Now()
	_, _, err := Open(dir, Options{})
	if !errors.Is(err, ErrInUse) {
		t.Fatalf("got %v", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("refused after %v", took)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir, Options{})
}

func TestFileHeldByAnotherProgramIsNotDamaged(t *testing.T) {
	dir := t.TempDir()
	if err := open(t, dir, Options{}).Close(); err != nil {
		t.Fatal(err)
	}
	db := must[*bbolt.DB](t)(bbolt.Open(filepath.Join(dir, "sekisho.db"), 0o600, nil))
	if _, _, err := Open(dir, Options{}); !errors.Is(err, ErrInUse) {
		t.Errorf("got %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestClosedStoreSaysSo(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	_, rulesErr := s.Rules()
	_, putErr := s.PutRule(simpleRule("/a"))
	for _, err := range []error{rulesErr, putErr, s.Save("x", 1), s.Backup(nil), s.History(HistoryFilter{}, nil)} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
}

// Everything at once, for the race detector.
func TestConcurrentUse(t *testing.T) {
	s := open(t, t.TempDir(), Options{History: 50})
	var backup safeBuffer
	if err := s.Backup(&backup); err != nil {
		t.Fatal(err)
	}
	work := []func(int) error{
		func(int) error { _, err := s.PutRule(simpleRule("/bin/x")); return err },
		func(int) error { _, err := s.Rules(); return err },
		func(int) error { return s.AddHits(map[string]Use{"1": {Hits: 1, Last: noon}}) },
		func(i int) error { return s.AppendFlows([]flow.Flow{fullFlow("f", noon.Add(time.Duration(i)))}) },
		func(int) error {
			return s.History(HistoryFilter{}, func(flow.Flow) bool { return s.Save("inside", 1) == nil })
		},
		func(i int) error { return s.PutMissed(fullPrompt("p", noon)) },
		func(int) error { _, err := s.Load("inside", new(int)); return err },
		func(int) error { return s.refreshCopy() },
		func(int) error { return s.Backup(&safeBuffer{}) },
		func(i int) error {
			if i%4 != 0 {
				return nil
			}
			return s.Restore(backup.reader())
		},
	}
	var wg sync.WaitGroup
	for _, w := range work {
		wg.Go(func() {
			for i := range 12 {
				if err := w(i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
