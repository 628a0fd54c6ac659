package engine

import (
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/bpf"
	"sekisho/service/names"
	"sekisho/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is an engine with a kernel that decides by what it was told.
type world struct {
	testing.TB
	e         *Engine
	kernel    *fakeKernel
	sockets   *fakeSockets
	processes *fakeProcesses
	packages  *fakePackages
	names     *names.Cache
	dir       string
	pids      uint32
	cookies   uint64
}

func newWorld(t testing.TB) *world {
	t.Helper()
	db, _, err := store.Open(t.TempDir(), store.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		TB: t, dir: t.TempDir(), names: names.NewCache(),
		kernel: &fakeKernel{
			programs: map[flow.Executable]bpf.ProgramVerdict{}, exacts: map[exactRef]exactVerdict{},
			files: map[string]flow.Executable{}, gone: map[uint64]bool{}, counted: map[counted]flow.Traffic{}, owners: map[uint64]bpf.Owner{},
		},
		sockets: &fakeSockets{}, processes: &fakeProcesses{map[flow.ProcessID]*flow.Process{}},
		packages: &fakePackages{of: map[string]string{}, modified: map[flow.Executable]bool{}},
	}
	w.e, err = New(Config{
		Kernel: w.kernel, Sockets: w.sockets, Processes: w.processes, Packages: w.packages, Names: w.names, Store: memory{db},
		Log: slog.New(slog.DiscardHandler), Drain: func() error { return nil }, Control: bpf.Control{All: true},
		Resolvers: func() []netip.Addr {
			return []netip.Addr{netip.MustParseAddr("192.0.2.53"), netip.MustParseAddr("127.0.0.53")}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.e.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.settled()
		w.e.letGo()
		w.e.aside.end()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// settled waits until nothing is being ended any more.
func (w *world) settled() {
	w.until("ending is over", func() bool {
		w.e.mu.Lock()
		defer w.e.mu.Unlock()
		return !w.e.end.runs
	})
}

func (w *world) until(what string, ok func() bool) {
	w.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			w.Fatalf("%s: not within ten seconds", what)
		}
	}
}

// program makes a program and a process that runs it.
func (w *world) program(name string) *flow.Process {
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, []byte(name), 0o700); err != nil {
		w.Fatal(err)
	}
	exe, ok := w.kernel.files[path]
	if !ok {
		exe = flow.Executable{Inode: uint64(len(w.kernel.files) + 1), Device: 1}
		w.kernel.files[path] = exe
	}
	w.pids++
	p := &flow.Process{
		ProcessID: flow.ProcessID{PID: w.pids, Start: uint64(w.pids)}, UID: 1000, User: "ann", ExecID: 1,
		Program: flow.Program{Path: path, Name: name, Executable: exe},
	}
	w.processes.all[p.ProcessID] = p
	return p
}

// socket makes a socket of p.
func (w *world) socket(p *flow.Process) bpf.Owner {
	w.cookies++
	return bpf.Owner{Process: p.ProcessID, Executable: p.Executable, ExecID: p.ExecID, UID: p.UID, Cookie: w.cookies}
}

// asked waits until n prompts wait, and returns them.
func (w *world) asked(n int) []prompt.Prompt {
	w.Helper()
	var waiting []prompt.Prompt
	w.until("prompts", func() bool {
		all, err := w.e.Prompts(w.Context())
		if err != nil {
			w.Fatal(err)
		}
		waiting = nil
		for _, p := range all {
			if p.State == prompt.Waiting {
				waiting = append(waiting, p)
			}
		}
		return len(waiting) == n
	})
	return waiting
}

func (w *world) answer(p prompt.Prompt, a rule.Action, l rule.LifetimeKind, s prompt.Scope) {
	w.Helper()
	if _, err := w.e.Answer(w.Context(), p.ID, prompt.Answer{Action: a, Lifetime: l, Scope: s}); err != nil {
		w.Fatal(err)
	}
}

// rule adds one; to is as on the command line.
func (w *world) rule(r rule.Rule, to string) rule.Rule {
	w.Helper()
	r.Enabled = true
	if to != "" {
		remote, err := rule.ParseRemote(to)
		if err != nil {
			w.Fatal(err)
		}
		r.Remote = remote
	}
	r, err := w.e.AddRule(w.Context(), r, 0)
	if err != nil {
		w.Fatal(err)
	}
	return r
}

// is fails unless a packet's fate is the one that was wanted, in time.
func (w *world) is(h *held, want string) {
	w.Helper()
	w.until(want, func() bool { return h.String() != "held" || want == "held" })
	if h.String() != want {
		w.Fatalf("the packet was %s, want %s", h, want)
	}
}

func (w *world) live(cookie uint64) []flow.Flow {
	all, err := w.e.Connections(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	var mine []flow.Flow
	for _, f := range all {
		if f.Cookie == cookie && f.Decision.Verdict != flow.Waiting {
			mine = append(mine, f)
		}
	}
	return mine
}

// history is what was noted, the oldest first.
func (w *world) history() []flow.Flow {
	w.e.save()
	var all []flow.Flow
	err := w.e.c.Store.History(time.Time{}, "", flow.Waiting, 0, func(f flow.Flow) bool {
		all = append([]flow.Flow{f}, all...)
		return true
	})
	if err != nil {
		w.Fatal(err)
	}
	return all
}
