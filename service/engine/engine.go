package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/bpf"
	"sekisho/service/traffic"
)

// Config is what an Engine needs; every field but Lists, Senders, Clock, Recalled and Machine is
// required.
type Config struct {
	Kernel    Kernel
	Sockets   Sockets
	Processes Processes
	Packages  Packages
	Names     Names
	Networks  Networks // nil: nothing is known of them
	Trust     rule.Trust
	Lists     Lists   // nil: none
	Senders   Senders // nil: none
	Store     Store
	Log       *slog.Logger
	Clock     Clock
	// Drain hands over the kernel's events that wait, before a packet is judged.
	Drain func() error
	// Resolvers lists the name servers that the system uses, without a zone.
	Resolvers func() []netip.Addr
	Control   bpf.Control // scope and namespace; the engine fills in the rest
	Forwarded bool        // what passes through this machine is filtered
	Facts     api.Kernel  // shown in status
	Version   string
	// Dropped is how many packets the queue lost.
	Dropped  func() (uint64, error)
	Recalled *Recalled // the rules, if they were read already
	// Machine is what Explain looks at beside Sekisho; nil: nothing.
	Machine Machine
}

// Engine decides. Make it with New.
type Engine struct {
	c         Config
	epoch     string // makes ids unique over restarts
	aside     asides
	checks    context.Context // of senders; ends when nothing waits any more
	endChecks context.CancelFunc

	writing sync.Mutex // one save at a time, so that what is newer is written later; taken before saving
	saving  sync.Mutex // one change of the rules or the mode at a time; taken before noting and mu
	noting  sync.Mutex // what mode learn lets through is noted by one at a time; taken before mu

	mu       sync.Mutex // guards everything below
	set      *rule.Set
	mode     modeState
	settings api.Settings
	since    time.Time
	counters api.Counters
	counted  bpf.Counters // by the kernel before this start
	problems map[string]api.Problem
	lastID   uint64

	control  bpf.Control
	programs map[flow.Executable]*knownProgram // those that the kernel knows
	taught   taught                            // exact decisions of this generation
	senders  senders
	retries  map[retryKey]*retry // answers for the next attempt
	files    fileCache
	proofs   proofs

	waiting waitingFlows
	letsGo  bool                 // nothing waits any more
	prompts map[string]*question // by id
	byKey   map[prompt.Key]*question

	lost     uint64    // events, when live was last compared with the kernel
	compared time.Time // when that was
	live     *traffic.Table
	end      ending
	left     []left
	taken    []uint64 // cookies of the sockets of flows that an earlier run left
	// lapsed is the rules that ended while no service ran, for what lives from before.
	lapsed []rule.Rule
	named  bool // some program looked up a name of a loopback address

	inbox    map[string]*prompt.Prompt // missed ones to be written; nil: to be forgotten
	over     map[string]bool           // ids of rules that have ended and are still on disk
	hits     map[string]Use            // not saved yet
	uses     map[string]Use            // of each rule, in all
	activity unsaved
	recent   []flow.Flow // for those that follow from now on

	statusChanged bool // and the audience does not know yet
	audience      map[*listener]struct{}
	followed      map[*follower]struct{}
	lan           lanCache
	presets       presets
	networks      networks
	learning      learning
}

// New makes an engine from what the store remembers. It changes nothing in the kernel.
func New(c Config) (*Engine, error) {
	if c.Clock == nil {
		c.Clock = SystemClock()
	}
	now := time.Now()
	e := &Engine{
		c: c, since: now, epoch: strconv.FormatInt(now.UnixMilli()%(1<<40), 36),
		problems: map[string]api.Problem{},
		control:  c.Control,
		programs: map[flow.Executable]*knownProgram{},
		taught:   newTaught(),
		retries:  map[retryKey]*retry{},
		senders:  senders{listed: map[netip.Addr]listedSender{}},
		waiting:  newWaitingFlows(),
		prompts:  map[string]*question{},
		byKey:    map[prompt.Key]*question{},
		live:     traffic.New(maxLive),
		inbox:    map[string]*prompt.Prompt{},
		over:     map[string]bool{},
		hits:     map[string]Use{},
		uses:     map[string]Use{},
		audience: map[*listener]struct{}{},
		followed: map[*follower]struct{}{},
	}
	e.checks, e.endChecks = context.WithCancel(context.Background())
	if err := e.recall(); err != nil {
		return nil, err
	}
	return e, nil
}

// recall reads what the store remembers.
func (e *Engine) recall() error {
	r := e.c.Recalled
	if r == nil {
		read, err := Recall(e.c.Store, e.c.Clock())
		if err != nil {
			return err
		}
		r = &read
	}
	e.set = r.set
	e.lapsed = r.lapsed
	for _, id := range r.ended {
		e.over[id] = true
	}
	if err := e.recallProofs(); err != nil {
		return err
	}
	e.settings = defaultSettings()
	if _, err := e.c.Store.Load("settings", &e.settings); err != nil {
		return fmt.Errorf("recall settings: %w", err)
	}
	e.otherSettings()
	if err := e.recallMode(); err != nil {
		return err
	}
	if err := errors.Join(e.recallNetworks(), e.recallLearned()); err != nil {
		return err
	}
	missed, err := e.c.Store.Missed()
	if err != nil {
		return fmt.Errorf("recall missed prompts: %w", err)
	}
	for _, p := range missed {
		e.prompts[p.ID] = &question{Prompt: p, key: prompt.KeyOf(p.Flow)}
	}
	return nil
}

// Recalled is the rules that the store remembers.
type Recalled struct {
	set    *rule.Set
	ended  []string // ids
	lapsed []rule.Rule
}

// Recall reads the rules. Of many that takes as long as loading the kernel's programs, so
// it may be done meanwhile, in any goroutine, before New.
func Recall(s Store, now rule.Clock) (Recalled, error) {
	rules, err := s.Rules()
	if err != nil {
		return Recalled{}, fmt.Errorf("recall rules: %w", err)
	}
	hold, ended := current(rules, now)
	return Recalled{rule.NewSet(hold), ended, lapsed(rules, ended, now)}, nil
}

// current parts rules into those that hold and the ids of those that have ended.
func current(rules []rule.Rule, now rule.Clock) (hold []rule.Rule, ended []string) {
	hold = make([]rule.Rule, 0, len(rules))
	for i := range rules {
		if rule.Ended(&rules[i], now) {
			ended = append(ended, rules[i].ID)
		} else {
			hold = append(hold, rules[i])
		}
	}
	return hold, ended
}

// Start tells the kernel what is decided. From then on Judge may be called.
func (e *Engine) Start() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	old, err := e.c.Kernel.Control()
	if err == nil {
		e.control.Generation = old.Generation
	}
	e.takeUp(err == nil && old.Generation != 0)
	if k, err := e.c.Kernel.Counters(); err == nil {
		e.counted = k
	}
	e.endQuitBefore()
	if err := e.refresh(); err != nil {
		return err
	}
	return e.forgetOld()
}

// forgetOld makes room in the kernel: programs of earlier runs, which it knew by rules
// that may be gone, are stale.
func (e *Engine) forgetOld() error {
	var old []flow.Executable
	err := e.c.Kernel.Programs(func(exe flow.Executable, v bpf.ProgramVerdict) {
		if v.Generation != e.control.Generation {
			old = append(old, exe)
		}
	})
	for _, exe := range old {
		err = errors.Join(err, e.c.Kernel.ForgetProgram(exe))
	}
	if err != nil {
		return fmt.Errorf("forget the programs of earlier runs: %w", err)
	}
	return nil
}

// Run keeps time until ctx is done: it drains the kernel's events, ends what is over and
// writes what is to be remembered.
func (e *Engine) Run(ctx context.Context) error {
	drain := time.NewTicker(50 * time.Millisecond) // what ends with a program ends within 100 ms
	defer drain.Stop()
	saved := make(chan struct{})
	go func() { // the disk may be slow
		defer close(saved)
		e.keepSaving(ctx)
	}()
	prune := time.NewTicker(20 * time.Second)
	defer prune.Stop()
	ends := time.NewTimer(time.Hour) // of lifetimes, to the moment
	defer ends.Stop()
	e.recallLive()
	e.endMissing()
	for {
		select {
		case <-ctx.Done():
			e.letGo()
			<-saved
			e.save() // an aside may wait for a disk that hangs
			e.aside.end()
			e.noteLearned(true)
			e.completeApproved()
			e.save()
			return nil
		case <-drain.C:
			e.drain()
			e.endWaits()
			e.endRetries()
			e.endLifetimes()
			if left, ok := e.nextEnd(); ok {
				ends.Reset(left)
			}
			e.tellStatusNow()
		case <-ends.C:
			e.endLifetimes()
		case now := <-prune.C:
			e.c.Processes.Prune(now)
			e.endStale(now)
		}
	}
}

// How often what is to be remembered is written, and how often it is looked whether there
// is too much of it to wait.
const (
	saveEvery = time.Second
	lookEvery = saveEvery / 5
)

// keepSaving writes what is to be remembered, until ctx is done.
func (e *Engine) keepSaving(ctx context.Context) {
	t, early := time.NewTicker(saveEvery), time.NewTicker(lookEvery)
	defer t.Stop()
	defer early.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-early.C:
			e.saveMuch()
			continue
		case <-t.C:
		}
		e.completeApproved()
		e.save()
		e.newResolvers()
		e.endPlaceTime()
		e.noteLearned(false)
		e.tellTraffic()
		e.lookForLost()
		e.endLeft(time.Now())
	}
}

// saveMuch saves before there is no room for more.
func (e *Engine) saveMuch() {
	e.mu.Lock()
	much := len(e.activity.flows) > maxUnsaved/2
	e.mu.Unlock()
	if much {
		e.save()
	}
}

func (e *Engine) drain() {
	if err := e.c.Drain(); err != nil {
		e.c.Log.Error("kernel events are not read", "err", err)
	}
}

// letGo drops the packets that still wait: nobody will answer any more, and what is not
// decided does not pass. A program that still tries is asked about after the restart.
func (e *Engine) letGo() {
	e.endChecks()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, w := range e.waiting.flows {
		w.give(Held.Drop, e.c.Log)
	}
	e.waiting, e.letsGo = newWaitingFlows(), true
}

// save writes hits and history, and which files rules are about.
func (e *Engine) save() {
	e.writing.Lock()
	defer e.writing.Unlock()
	e.deleteOver()
	e.saveProofs()
	e.saveMissed()
	e.mu.Lock()
	hits, flows := e.hits, e.activity.take()
	if len(hits) > 0 {
		e.hits = map[string]Use{}
	}
	e.mu.Unlock()
	var failed error
	if len(hits) > 0 {
		if err := e.c.Store.AddHits(hits); err != nil {
			failed = err
		}
	}
	if len(flows) > 0 {
		if err := e.c.Store.AppendFlows(flows); err != nil {
			failed = err
		}
	}
	if len(hits) == 0 && len(flows) == 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if failed == nil {
		e.solved("save")
		return
	}
	e.counters.NotSaved += uint64(len(flows) + len(hits))
	e.problem("save", api.NewProblem(api.ProblemNotSaved, failed.Error()))
	// Kept for the next try, within bounds.
	for id, u := range hits {
		u.Hits += e.hits[id].Hits
		e.hits[id] = u
	}
	e.activity.putBack(flows)
}

func (e *Engine) newID() string {
	e.lastID++
	return e.epoch + "-" + strconv.FormatUint(e.lastID, 10)
}

// problem puts something before the person; key names it so that it can be solved.
func (e *Engine) problem(key string, p api.Problem) {
	if old, ok := e.problems[key]; ok && old.What == p.What {
		return
	}
	p.Since = time.Now()
	e.problems[key] = p
	e.c.Log.Warn("problem", "what", p.What)
	e.tellStatus()
}

func (e *Engine) solved(key string) {
	if _, ok := e.problems[key]; ok {
		delete(e.problems, key)
		e.tellStatus()
	}
}

// Problem is problem for the other parts.
func (e *Engine) Problem(key string, p api.Problem) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.problem(key, p)
}

// Solved is solved for the other parts.
func (e *Engine) Solved(key string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.solved(key)
}
