package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/service/bpf"
	"sekisho/service/capture"
	"sekisho/service/enforce"
	"sekisho/service/engine"
	"sekisho/service/names"
	"sekisho/service/network"
	"sekisho/service/process"
	"sekisho/service/server"
	"sekisho/store"
)

// Config is what the service is started with.
type Config struct {
	State  string // folder of the database; made if it isn't there
	Socket string
	Cgroup string // "": the root of cgroup v2, that is every program
	// Forwarded filters what passes through this machine; without a Cgroup it is anyway.
	Forwarded bool
	Version   string
	Log       *slog.Logger
	// Ready is called once nothing undecided can leave any more.
	Ready func()
}

// Run is the service, from start to the end of ctx. What happens to traffic after a
// tidy end is the setting when-stopped; an error leaves everything closed.
func Run(ctx context.Context, c Config) error {
	raiseLimits()
	scope, err := scopeOf(c.Cgroup)
	if err != nil {
		return err
	}
	code := make(chan readCode, 1)
	go func() { // while the database is looked through
		c, err := bpf.ReadCode()
		code <- readCode{c, err}
	}()
	db, recovery, err := store.Open(c.State, store.Options{Log: c.Log})
	if err != nil {
		return fmt.Errorf("open what is remembered: %w", err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			c.Log.Error("close the database", "err", err)
		}
	}()
	tag := bpf.Tag(c.State)
	// Meanwhile the kernel goes through every program, which takes long too.
	var early early
	early.Go(func() (err error) {
		early.native, err = enforce.NativeQueue(tag)
		return err
	})
	early.Go(func() (err error) {
		early.rules, err = engine.Recall(memory{db}, engine.SystemClock()())
		return err
	})
	early.Go(func() (err error) {
		early.lists, err = openLists(c.State, db, c.Log)
		return err
	})
	defer func() { // before the database is closed
		_ = early.Wait()
		if early.lists != nil {
			early.lists.close()
		}
	}()
	kernel, err := (<-code).load(tag, c.Log)
	if err != nil {
		return err
	}
	defer kernel.Close()
	s := &service{Config: c, scope: scope, tag: tag, kernel: kernel, names: names.NewCache(), clock: engine.SystemClock()}
	s.others = newNamespaces(s)
	s.streams = names.NewStreams(s.began)
	if err := s.watch(); err != nil {
		return err
	}
	if err := s.build(db, recovery, &early); err != nil {
		return err
	}
	if err := s.serve(ctx, db); err != nil {
		return err
	}
	return s.stopped(db)
}

type readCode struct {
	*bpf.Code
	err error
}

func (r readCode) load(tag string, log *slog.Logger) (*bpf.Kernel, error) {
	if r.err != nil {
		return nil, r.err
	}
	return r.Load(tag, log)
}

// early is what is found out while the kernel takes the programs in; read after Wait.
type early struct {
	errgroup.Group
	lists  *reputation
	native bool // the kernel has nftables' own queue
	rules  engine.Recalled
}

// service is the running parts.
type service struct {
	Config
	scope    enforce.Scope
	tag      string
	kernel   *bpf.Kernel
	names    *names.Cache
	streams  *names.Streams // the reader's of answers alone
	places   *network.Watcher
	clock    engine.Clock
	who      *process.Tracker
	packages *process.Packages
	writers  *process.Writers
	engine   *engine.Engine
	lists    *reputation
	server   *server.Server
	table    enforce.Table
	queue    *capture.Queue
	answers  *capture.Queue
	// receivers finds whose a packet is that arrives; the queue's reader alone uses it.
	receivers *enforce.Lookup
	others    *namespaces
	// framesPass says why frames of packet sockets pass; empty: they are judged.
	framesPass atomic.Pointer[string]
}

// watch begins to record who runs, and puts the hooks in place. Before the engine has
// told it anything the kernel holds whatever it sees.
func (s *service) watch() error {
	first := s.kernel.FirstStart()
	s.packages, s.writers = process.NewPackages(""), process.NewWriters()
	s.who = process.New(process.Config{Packages: s.packages, Writers: s.writers, Exited: func(id flow.ProcessID) {
		if s.engine != nil {
			s.engine.Exited(id)
		}
	}})
	if first {
		// Before the hooks too: they refuse or hold what is of an open socket that is nobody's.
		if _, err := s.kernel.Running(); err != nil {
			return err
		}
		if err := s.kernel.AdoptSockets(s.cgroup()); err != nil {
			return err
		}
	}
	if err := s.kernel.Attach(s.cgroup()); err != nil {
		return err
	}
	running, err := s.kernel.Running()
	if err != nil {
		return err
	}
	seeds := make([]process.Exec, 0, len(running))
	for _, r := range running {
		seeds = append(seeds, process.Exec{ID: r.ID, Parent: r.Parent, UID: r.UID, UserNS: r.UserNS, Executable: r.Executable, CgroupID: r.CgroupID, ExecID: r.ExecID})
	}
	s.who.Seed(seeds)
	if first {
		return s.kernel.AdoptSockets(s.cgroup())
	}
	return nil
}

func (s *service) build(db *store.Store, recovery *store.Recovery, early *early) error {
	if err := early.Wait(); err != nil {
		return err
	}
	cookie, err := netnsCookie()
	if err != nil {
		return err
	}
	if err := s.openQueues(early.native); err != nil {
		return err
	}
	s.places = network.New(network.Config{Changed: func(*network.State) { s.engine.NetworksChanged() }, Log: s.Log})
	s.engine, err = engine.New(engine.Config{
		Kernel: s.kernel, Sockets: sockets{}, Processes: s.who, Packages: s.packages, Names: s.names, Store: memory{db}, Log: s.Log,
		Drain:   func() error { return s.kernel.Drain(events{s}) },
		Control: bpf.Control{Netns: cookie, All: s.scope.All}, Forwarded: s.forwarded(),
		Facts: s.facts(), Version: s.Version, Dropped: s.queue.Dropped,
		Clock: s.clock, Resolvers: names.NewResolvers("/").Servers,
		Networks: networks{s.places}, Trust: trust(),
		Recalled: &early.rules,
		Lists:    early.lists, Senders: senders{early.lists.checker},
		Machine: newRest(s.tag),
	})
	if err != nil {
		return err
	}
	s.lists, early.lists.engine = early.lists, s.engine
	if recovery != nil {
		s.engine.Problem("store", recovered(recovery))
	}
	s.server = server.New(backend{s.engine, s.lists}, server.Config{Socket: s.Socket, Group: "sekisho", Log: s.Log, Lists: s.lists})
	return nil
}

// recovered tells people what was lost; the English says more.
func recovered(r *store.Recovery) api.Problem {
	p := api.NewProblem(api.ProblemStoreDamaged, strconv.Itoa(r.Dropped))
	switch {
	case r.Cause != nil && r.History:
		p = api.NewProblem(api.ProblemHistoryDamaged, strconv.Itoa(r.Saved))
	case r.Cause != nil && !r.Restored.IsZero():
		p = api.NewProblem(api.ProblemStoreRestored, r.Restored.Local().Format("2006-01-02 15:04:05"))
	case r.Cause != nil:
		p = api.NewProblem(api.ProblemStoreEmpty, "")
	}
	p.What = r.String()
	return p
}

// openHistory looks through the history, which may be long, and says what was lost of it.
func (s *service) openHistory(db *store.Store) {
	r, err := db.OpenHistory()
	switch {
	case errors.Is(err, store.ErrClosed):
	case err != nil: // what is not saved for it people hear of then
		s.Log.Error("open the history", "err", err)
	case r != nil:
		s.engine.Problem("history", recovered(r))
	}
}

// serve runs the parts until ctx is done or one of them fails.
func (s *service) serve(ctx context.Context, db *store.Store) error {
	g, ctx := errgroup.WithContext(ctx)
	listening := make(chan struct{}, 2)
	listen := func(q *capture.Queue, f func(*capture.Packet)) {
		ready := make(chan struct{})
		g.Go(func() error { return q.Run(ctx, ready, f) })
		go func() {
			select {
			case <-ready:
				listening <- struct{}{}
			case <-ctx.Done():
			}
		}()
	}
	if err := s.engine.Start(); err != nil {
		return err
	}
	defer s.receivers.Close()
	devices, err := s.watchDevices()
	if err != nil {
		return err
	}
	defer func() { _ = devices.close() }()
	var covered sync.WaitGroup
	covered.Go(devices.cover)
	defer covered.Wait()
	listen(s.queue, s.judge)
	listen(s.answers, s.learn)
	for range 2 {
		select {
		case <-listening:
		case <-ctx.Done():
			return g.Wait()
		}
	}
	if err := s.table.Apply(); err != nil {
		g.Go(func() error { return err }) // ends the queues' readers
		return g.Wait()
	}
	g.Go(func() error { return s.engine.Run(ctx) })
	g.Go(func() error { return db.Run(ctx) })
	g.Go(func() error { return s.repair(ctx) })
	covered.Wait()
	g.Go(func() error { return devices.run(ctx) })
	g.Go(func() error { return s.lists.run(ctx) })
	g.Go(func() error { return s.forgetNames(ctx) })
	g.Go(func() error { return s.hearResolved(ctx) })
	g.Go(func() error { return s.sweep(ctx) })
	g.Go(func() error { return s.others.run(ctx) })
	g.Go(func() error { return s.watchNetworks(ctx) })
	g.Go(func() error { return s.server.Run(ctx) })
	s.ready(ctx)
	g.Go(func() error { s.openHistory(db); return nil })
	g.Go(func() error { return s.knowFiles(ctx) }) // nothing of it is needed to be ready
	return g.Wait()
}

// ready says so once the socket can be reached.
func (s *service) ready(ctx context.Context) {
	select {
	case <-s.server.Ready():
	case <-ctx.Done():
		return
	}
	if s.Ready != nil {
		s.Ready()
	}
}

// stopped does after a tidy end what the setting says.
func (s *service) stopped(db *store.Store) error {
	var settings api.Settings
	if _, err := db.Load("settings", &settings); err != nil || settings.WhenStopped != "open" {
		return err
	}
	return release(s.tag)
}

func (s *service) cgroup() string {
	if s.Cgroup != "" {
		return s.Cgroup
	}
	root, _ := cgroupRoot() // scopeOf has found it
	return root
}

func (s *service) forwarded() bool { return s.scope.All || s.Forwarded }

func (s *service) facts() api.Kernel {
	f := api.Kernel{Release: kernelRelease(), Decisions: "kernel", Queue: "xtables"}
	if s.table.Native {
		f.Queue = "native"
	}
	return f
}

// openQueues takes two queues whose numbers follow from the state folder, or the next
// ones if another program has these.
func (s *service) openQueues(native bool) error {
	num, err := freeQueue(s.tag)
	if err != nil {
		return err
	}
	s.table = enforce.Table{
		Tag: s.tag, Queue: num, Answers: num + 1, Native: native, Scope: s.scope, Forwarded: s.forwarded(),
		Classifier: s.kernel.Classifier(),
	}
	if s.receivers, err = enforce.OpenLookup(); err != nil {
		return err
	}
	if s.queue, err = capture.Open(num, s.kernel, s.Log); err != nil {
		return err
	}
	s.answers, err = capture.OpenAnswers(num+1, s.kernel, s.Log)
	return err
}

// Cleanup removes every trace that the service with this state left in the kernel, in
// whichever network namespace it ran. It needs no service and no files, and may be repeated.
func Cleanup(state string) error {
	tag := bpf.Tag(state)
	return errors.Join(inEveryNetns(func() error { return enforce.Remove(tag) }), release(tag))
}

// release lets packets pass first and the programs go after.
func release(tag string) error {
	return errors.Join(enforce.Remove(tag), bpf.RemovePins(tag))
}

// memory adapts the store to what the engine needs.
type memory struct{ *store.Store }

func (m memory) AddHits(uses map[string]engine.Use) error {
	all := make(map[string]store.Use, len(uses))
	for id, u := range uses {
		all[id] = store.Use{Hits: u.Hits, Last: u.Last}
	}
	return m.Store.AddHits(all)
}

func (m memory) History(since time.Time, program string, verdict flow.Verdict, limit int, f func(flow.Flow) bool) error {
	return m.Store.History(store.HistoryFilter{Since: since, Program: program, Verdict: verdict, Limit: limit}, f)
}
