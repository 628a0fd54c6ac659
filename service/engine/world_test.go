package engine

import (
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
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

// fakeKernel holds what it is told and decides by it as c/decide.h does.
type fakeKernel struct {
	mu       sync.Mutex
	control  bpf.Control
	programs map[flow.Executable]bpf.ProgramVerdict
	exacts   map[exactRef]exactVerdict
	files    map[string]flow.Executable
	gone     map[uint64]bool
	counted  map[counted]flow.Traffic
	peers    int // forgotten
	lost     uint64
	owners   map[uint64]bpf.Owner
}

type exactVerdict struct {
	generation uint64
	verdict    bpf.Verdict
}

type counted struct {
	cookie uint64
	remote netip.AddrPort
}

func (k *fakeKernel) Control() (bpf.Control, error) { return k.control, nil }

func (k *fakeKernel) SetControl(c bpf.Control) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.control = c
	return nil
}

func (k *fakeKernel) SetProgram(exe flow.Executable, v bpf.ProgramVerdict) error {
	return k.SetPrograms(map[flow.Executable]bpf.ProgramVerdict{exe: v})
}

func (k *fakeKernel) SetPrograms(all map[flow.Executable]bpf.ProgramVerdict) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for exe, v := range all {
		k.programs[exe] = v
	}
	return nil
}

func (k *fakeKernel) ForgetProgram(exe flow.Executable) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.programs, exe)
	return nil
}

func (k *fakeKernel) Programs(f func(flow.Executable, bpf.ProgramVerdict)) error {
	for exe, v := range k.programs {
		f(exe, v)
	}
	return nil
}

func (k *fakeKernel) SetExact(s bpf.Subject, p bpf.Peer, v bpf.Verdict, generation uint64) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.exacts[exactRef{s, p}] = exactVerdict{generation, v}
	return nil
}

func (k *fakeKernel) ForgetExact(s bpf.Subject, p bpf.Peer) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.exacts, exactRef{s, p})
	return nil
}

func (k *fakeKernel) Identify(path string) (flow.Executable, error) {
	if exe, ok := k.files[path]; ok {
		return exe, nil
	}
	return flow.Executable{}, os.ErrNotExist
}

func (k *fakeKernel) IdentifyAll(paths []string) (map[string]flow.Executable, error) {
	found := map[string]flow.Executable{}
	for _, p := range paths {
		if exe, ok := k.files[p]; ok {
			found[p] = exe
		}
	}
	return found, nil
}

func (k *fakeKernel) Counters() (bpf.Counters, error) {
	return bpf.Counters{LostEvents: k.lost}, nil
}

func (k *fakeKernel) OwnerOfSocket(cookie uint64) (bpf.Owner, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	o, ok := k.owners[cookie]
	return o, ok || cookie != 0 && !k.gone[cookie]
}

func (k *fakeKernel) Traffic(cookie uint64, p bpf.Peer) (flow.Traffic, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	t, ok := k.counted[counted{cookie, netip.AddrPortFrom(p.Addr, p.Port)}]
	return t, cookie != 0 && (ok || !k.gone[cookie])
}

func (k *fakeKernel) ForgetPeers(_ uint64, peers []bpf.Peer) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.peers += len(peers)
	return nil
}

func (k *fakeKernel) exact(r exactRef) bpf.Verdict {
	if x, ok := k.exacts[r]; ok && x.generation == k.control.Generation {
		return x.verdict
	}
	return bpf.Ask
}

// decide is c/decide.h.
func (k *fakeKernel) decide(f *flow.Flow, o bpf.Owner) bpf.Verdict {
	k.mu.Lock()
	defer k.mu.Unlock()
	var subject bpf.Subject
	found := false
	if !o.Mismatch && !o.Unknown {
		v := k.control.Fallback
		if p, ok := k.programs[o.Executable]; ok && p.Generation == k.control.Generation {
			v, subject, found = p.Out, bpf.OfProgram(p.ID), true
			if f.Direction == flow.In {
				v = p.In
			}
			if p.PerProcess {
				subject = bpf.OfProcess(o)
				v = k.exact(exactRef{subject, bpf.Peer{Direction: f.Direction}})
			}
		}
		if k.control.Loopback != bpf.Ask && k.control.Fallback != bpf.Allow && f.Remote.Addr.Unmap().IsLoopback() {
			if k.control.Loopback == bpf.Allow {
				return bpf.Allow
			}
			v = bpf.Depends
		}
		if v == bpf.Allow || v == bpf.Block {
			return v
		}
	}
	if found {
		if v := k.exact(exactRef{subject, peerOf(f)}); v == bpf.Allow || v == bpf.Block {
			return v
		}
	}
	own := bpf.Peer{Direction: f.Direction, Protocol: f.Protocol, Addr: f.Remote.Addr, Port: f.Remote.Port}
	return k.exact(exactRef{bpf.OfSocket(o.Cookie, o.Process, o.ExecID), own})
}

// fakeSockets are the machine's; they end as they would.
type fakeSockets struct {
	mu    sync.Mutex
	open  []Socket
	ended []Socket
}

func (s *fakeSockets) End(which func(Socket) bool) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	var left []Socket
	for _, o := range s.open {
		if which(o) {
			s.ended = append(s.ended, o)
			n++
		} else {
			left = append(left, o)
		}
	}
	s.open = left
	return n, nil
}

func (s *fakeSockets) Locals(map[uint64]bool) (map[uint64]netip.AddrPort, error) { return nil, nil }

func (s *fakeSockets) left() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

type fakeProcesses struct {
	all map[flow.ProcessID]*flow.Process
}

func (p *fakeProcesses) Find(id flow.ProcessID) (*flow.Process, bool) {
	q, ok := p.all[id]
	return q, ok
}
func (p *fakeProcesses) Running(string) []flow.ProcessID { return nil }
func (p *fakeProcesses) Sum(string, flow.Executable) (string, error) {
	return "", errors.ErrUnsupported
}
func (p *fakeProcesses) Prune(time.Time) {}

type noPackages struct{}

func (noPackages) Of(string) string { return "" }

// memory is the store as the engine sees it.
type memory struct{ *store.Store }

func (m memory) AddHits(uses map[string]Use) error {
	all := map[string]store.Use{}
	for id, u := range uses {
		all[id] = store.Use{Hits: u.Hits, Last: u.Last}
	}
	return m.Store.AddHits(all)
}

func (m memory) History(since time.Time, program string, verdict flow.Verdict, limit int, f func(flow.Flow) bool) error {
	return m.Store.History(store.HistoryFilter{Since: since, Program: program, Verdict: verdict, Limit: limit}, f)
}

// world is an engine with a kernel that decides by what it was told.
type world struct {
	testing.TB
	e         *Engine
	kernel    *fakeKernel
	sockets   *fakeSockets
	processes *fakeProcesses
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
	}
	w.e, err = New(Config{
		Kernel: w.kernel, Sockets: w.sockets, Processes: w.processes, Packages: noPackages{}, Names: w.names, Store: memory{db},
		Log: slog.New(slog.DiscardHandler), Drain: func() error { return nil }, Control: bpf.Control{All: true},
		Resolvers: func() []Resolver {
			return []Resolver{netip.MustParseAddr("192.0.2.53"), netip.MustParseAddr("127.0.0.53")}
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

// held is a packet in the queue, or one that never got there.
type held struct {
	mu   sync.Mutex
	fate string
}

func (h *held) end(fate string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fate != "held" {
		return errors.New("a second verdict: " + fate)
	}
	h.fate = fate
	return nil
}

func (h *held) Accept() error { return h.end("accepted") }
func (h *held) Refuse() error { return h.end("refused") }
func (h *held) Drop() error   { return h.end("dropped") }

func (h *held) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.fate
}

// send has a packet decided as it is on a real machine: by the kernel if it knows, by the
// engine else.
func (w *world) send(p Packet) *held {
	f := flowOf(p, &flow.Process{})
	h := &held{fate: "held"}
	switch w.kernel.decide(&f, p.Owner) {
	case bpf.Allow:
		w.e.Decided(decidedFlow(p, bpf.Allow))
		h.fate = "passed"
	case bpf.Block:
		w.e.Decided(decidedFlow(p, bpf.Block))
		h.fate = "blocked"
	default:
		if p.Owner.Foreign {
			w.e.Decided(decidedFlow(p, bpf.Ask))
			h.fate = "not held"
			return h
		}
		p.Held = h
		w.e.Judge(p)
	}
	return h
}

func decidedFlow(p Packet, v bpf.Verdict) bpf.Flow {
	return bpf.Flow{
		Owner: p.Owner, Direction: p.Direction, Protocol: p.Protocol, Verdict: v, LocalPort: p.Local.Port,
		Remote: netip.AddrPortFrom(p.Remote.Addr, p.Remote.Port), At: boottime(),
	}
}

// from is a packet from remote that arrives at port.
func from(o bpf.Owner, proto flow.Protocol, remote string, port uint16) Packet {
	r := netip.MustParseAddrPort(remote)
	local := netip.MustParseAddr("192.168.1.2")
	if r.Addr().IsLoopback() {
		local = r.Addr()
	}
	return Packet{
		Owner: o, Direction: flow.In, Protocol: proto,
		Local: flow.Endpoint{Addr: local, Port: port}, Remote: flow.Endpoint{Addr: r.Addr(), Port: r.Port()},
	}
}

// to is a packet that leaves.
func to(o bpf.Owner, proto flow.Protocol, remote string) Packet {
	r := netip.MustParseAddrPort(remote)
	return Packet{
		Owner: o, Direction: flow.Out, Protocol: proto,
		Local: flow.Endpoint{Addr: netip.MustParseAddr("192.168.1.2"), Port: 40000}, Remote: flow.Endpoint{Addr: r.Addr(), Port: r.Port()},
	}
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
