// Package servertest has a Backend in memory, for the tests of what stands before the
// real one: the server, the client and the command line. It decides nothing and
// filters nothing; it keeps what it is told and says what it was given. It is safe for
// use from any goroutine.
package servertest

import (
	"bytes"
	"context"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
)

// Backend is a server.Backend in memory.
type Backend struct {
	mu        sync.Mutex // guards what is below
	status    api.Status
	settings  api.Settings
	rules     []rule.Rule
	lastRule  int
	prompts   []prompt.Prompt
	flows     []flow.Flow
	history   []flow.Flow
	kept      []byte
	answers   []Answered
	asked     []api.Question
	watchers  map[int]func(api.Event)
	followed  map[int]func(flow.Flow)
	nextID    int
	attend    []Attending
	panics    bool
	imported  int
	networks  []api.Network
	proposals []api.Proposal
}

// Answered is an answer that the backend was given.
type Answered struct {
	ID     string
	Answer prompt.Answer
}

// Attending is a call of Attend that the backend was given.
type Attending struct {
	UID   uint32
	Admin bool
}

// New makes a Backend in mode ask without rules.
func New(version string, since time.Time) *Backend {
	return &Backend{
		status: api.Status{
			Version: version, Mode: api.ModeAsk, Enforcing: true, Since: since,
			Kernel: api.Kernel{Release: "6.18.0", Decisions: "kernel", Queue: "native"},
		},
		settings: api.Settings{Deadline: time.Minute, Unattended: "block", WhenStopped: "open"},
		watchers: make(map[int]func(api.Event)),
		followed: make(map[int]func(flow.Flow)),
	}
}

// Change changes the status under the lock and reports it.
func (b *Backend) Change(f func(*api.Status)) {
	b.mu.Lock()
	f(&b.status)
	b.mu.Unlock()
	s, _ := b.Status(context.Background())
	b.Emit(api.Event{Status: &s})
}

// Ask adds a prompt, whose flow waits, and reports it.
func (b *Backend) Ask(p prompt.Prompt) {
	b.mu.Lock()
	b.prompts = append(b.prompts, p)
	b.flows = append(b.flows, p.Flow)
	b.mu.Unlock()
	b.Emit(api.Event{Prompt: &p})
}

// Connect adds a live flow and reports it.
func (b *Backend) Connect(f flow.Flow) {
	b.mu.Lock()
	b.flows = append(b.flows, f)
	var all []func(flow.Flow)
	for _, w := range b.followed {
		all = append(all, w)
	}
	b.mu.Unlock()
	for _, w := range all {
		w(f)
	}
}

// Record adds a flow to the history.
func (b *Backend) Record(f flow.Flow) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.history = append(b.history, f)
}

// Panic makes Explain panic from now on.
func (b *Backend) Panic() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.panics = true
}

// Emit sends e to everybody who watches.
func (b *Backend) Emit(e api.Event) {
	b.mu.Lock()
	var all []func(api.Event)
	for _, w := range b.watchers {
		all = append(all, w)
	}
	b.mu.Unlock()
	for _, w := range all {
		w(e)
	}
}

// Watching is how many streams of events are open.
func (b *Backend) Watching() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.watchers)
}

// Following is how many streams of connections are open.
func (b *Backend) Following() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.followed)
}

// Answers are those given so far.
func (b *Backend) Answers() []Answered {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Answered(nil), b.answers...)
}

// Attended are the calls of Attend so far.
func (b *Backend) Attended() []Attending {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Attending(nil), b.attend...)
}

// Asked are the questions that Explain was asked so far.
func (b *Backend) Asked() []api.Question {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]api.Question(nil), b.asked...)
}

// Imported is how often rules were imported.
func (b *Backend) Imported() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.imported
}

// Status gives the status as Change left it, with the counts of what there is.
func (b *Backend) Status(context.Context) (api.Status, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.status
	s.Rules, s.Waiting = len(b.rules), len(b.prompts)
	return s, nil
}

// SetMode changes the status and reports it.
func (b *Backend) SetMode(_ context.Context, m api.Mode, span time.Duration) error {
	b.Change(func(s *api.Status) {
		s.Mode, s.ModeUntil = m, time.Time{}
		if span > 0 {
			s.ModeUntil = time.Now().Add(span)
		}
	})
	return nil
}

// Settings gives the settings.
func (b *Backend) Settings(context.Context) (api.Settings, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.settings, nil
}

// SetSettings keeps them.
func (b *Backend) SetSettings(_ context.Context, s api.Settings) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settings = s
	return nil
}

// Rules lists all rules.
func (b *Backend) Rules(context.Context) ([]rule.Rule, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]rule.Rule(nil), b.rules...), nil
}

// AddRule numbers the rule and begins its lifetime now.
func (b *Backend) AddRule(_ context.Context, r rule.Rule, span time.Duration) (rule.Rule, error) {
	r, err := begun(r, span)
	if err != nil {
		return rule.Rule{}, err
	}
	b.mu.Lock()
	b.lastRule++
	r.ID, r.Created = strconv.Itoa(b.lastRule), time.Now().UTC()
	b.rules = append(b.rules, r)
	b.mu.Unlock()
	b.Emit(api.Event{Rules: true})
	return r, nil
}

// EditRule replaces a rule.
func (b *Backend) EditRule(_ context.Context, r rule.Rule, span time.Duration) (rule.Rule, error) {
	if span > 0 || r.Lifetime.Kind != rule.Until {
		var err error
		if r, err = begun(r, span); err != nil {
			return rule.Rule{}, err
		}
	}
	return r, b.change(r.ID, func(old *rule.Rule) { *old = r })
}

func begun(r rule.Rule, span time.Duration) (rule.Rule, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return r, err
	}
	var since unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &since); err != nil {
		return r, err
	}
	now := rule.Clock{Boot: strings.TrimSpace(string(boot)), Since: time.Duration(since.Nano()), Wall: time.Now()}
	r.Lifetime, err = rule.NewLifetime(r.Lifetime.Kind, span, now, r.Lifetime.Process)
	return r, err
}

// EnableRule switches a rule.
func (b *Backend) EnableRule(_ context.Context, id string, on bool) error {
	return b.change(id, func(r *rule.Rule) { r.Enabled = on })
}

func (b *Backend) change(id string, f func(*rule.Rule)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.rules {
		if b.rules[i].ID == id {
			f(&b.rules[i])
			return nil
		}
	}
	return api.Errorf(api.NotFound, "there is no rule %s", id)
}

// RemoveRule removes a rule.
func (b *Backend) RemoveRule(_ context.Context, id string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.rules {
		if b.rules[i].ID == id {
			b.rules = append(b.rules[:i:i], b.rules[i+1:]...)
			return nil
		}
	}
	return api.Errorf(api.NotFound, "there is no rule %s", id)
}

// ImportRules reads a file with rule.ReadFile.
func (b *Backend) ImportRules(_ context.Context, file []byte, replace bool) (int, error) {
	rules, err := rule.ReadFile(file)
	if err != nil {
		return 0, &api.Error{Code: api.BadRequest, Message: err.Error()}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.imported++
	if replace {
		b.rules = nil
	}
	for _, r := range rules {
		b.lastRule++
		r.ID, r.Origin = strconv.Itoa(b.lastRule), rule.FromImport
		b.rules = append(b.rules, r)
	}
	return len(rules), nil
}

// Prompts lists all prompts.
func (b *Backend) Prompts(context.Context) ([]prompt.Prompt, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]prompt.Prompt(nil), b.prompts...), nil
}

// Answer takes the prompt away; an answer that is to last leaves a rule about the
// program.
func (b *Backend) Answer(ctx context.Context, id string, a prompt.Answer) (*rule.Rule, error) {
	b.mu.Lock()
	at := -1
	for i, p := range b.prompts {
		if p.ID == id || p.Flow.ID == id {
			at = i
		}
	}
	if at < 0 {
		b.mu.Unlock()
		return nil, api.Errorf(api.NotFound, "nothing waits as %s; sekishoctl prompts shows what does", id)
	}
	p := b.prompts[at]
	b.prompts = append(b.prompts[:at:at], b.prompts[at+1:]...)
	b.answers = append(b.answers, Answered{ID: id, Answer: a})
	b.mu.Unlock()
	b.Emit(api.Event{Gone: p.ID})
	if a.Lifetime == rule.Once || a.Like != "" {
		return nil, nil
	}
	r := rule.Rule{
		Enabled: true, Action: a.Action, Program: rule.Program{Path: p.Flow.Process.Path}, User: a.User,
		Lifetime: rule.Lifetime{Kind: a.Lifetime}, By: a.By, Origin: rule.FromAnswer,
	}
	if k := a.Scope.Kind; k == prompt.Host || k == prompt.HostAndPort {
		to := a.Scope.To
		if to == "" {
			to = p.Flow.Remote.Host()
		}
		remote, err := rule.ParseRemote(to)
		if err != nil {
			return nil, err
		}
		r.Remote = remote
	}
	if k := a.Scope.Kind; k == prompt.Port || k == prompt.HostAndPort {
		port := a.Scope.Port
		if port == 0 {
			port = p.Flow.Remote.Port
		}
		r.Protocol, r.Ports = p.Flow.Protocol, []rule.PortRange{{From: port, To: port}}
	}
	r, err := b.AddRule(ctx, r, a.For)
	return &r, err
}

// Attend notes who attends, and is Watch.
func (b *Backend) Attend(ctx context.Context, uid uint32, admin bool, f func(api.Event)) error {
	b.mu.Lock()
	b.attend = append(b.attend, Attending{uid, admin})
	b.mu.Unlock()
	return b.Watch(ctx, f)
}

// Watch tells the status, and then what Emit is given.
func (b *Backend) Watch(ctx context.Context, f func(api.Event)) error {
	s, _ := b.Status(ctx)
	f(api.Event{Status: &s})
	b.mu.Lock()
	b.nextID++
	id := b.nextID
	b.watchers[id] = f
	b.mu.Unlock()
	<-ctx.Done()
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.watchers, id)
	return nil
}

// Connections lists all flows.
func (b *Backend) Connections(context.Context) ([]flow.Flow, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]flow.Flow(nil), b.flows...), nil
}

// FollowConnections tells all flows, and then what Connect is given.
func (b *Backend) FollowConnections(ctx context.Context, f func(flow.Flow)) error {
	b.mu.Lock()
	now := append([]flow.Flow(nil), b.flows...)
	b.mu.Unlock()
	for _, one := range now {
		f(one)
	}
	return b.follow(ctx, f)
}

func (b *Backend) follow(ctx context.Context, f func(flow.Flow)) error {
	b.mu.Lock()
	b.nextID++
	id := b.nextID
	b.followed[id] = f
	b.mu.Unlock()
	<-ctx.Done()
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.followed, id)
	return nil
}

// Activity gives the history, without a limit, and with Follow what Connect is given.
func (b *Backend) Activity(ctx context.Context, a api.ActivityFilter, f func(flow.Flow)) error {
	b.mu.Lock()
	history := append([]flow.Flow(nil), b.history...)
	b.mu.Unlock()
	for _, h := range history {
		if h.Time.Before(a.Since) || a.Program != "" && a.Program != h.Process.Path ||
			a.Verdict != flow.Waiting && a.Verdict != h.Decision.Verdict {
			continue
		}
		f(h)
	}
	if a.Follow {
		return b.follow(ctx, f)
	}
	return nil
}

// Programs are those of the history.
func (b *Backend) Programs(_ context.Context, sees func(flow.Flow) bool, owns func(user string) bool) ([]api.SeenProgram, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []api.SeenProgram
	byKey := map[string]int{}
	for _, f := range b.history {
		if f.Process == nil || !sees(f) {
			continue
		}
		i, ok := byKey[f.Process.Key()]
		if !ok {
			i = len(all)
			byKey[f.Process.Key()] = i
			seen := api.SeenProgram{Process: *f.Process, Warnings: f.Warnings, First: f.Time}
			for _, r := range b.rules {
				if owns(r.User) && r.About(f.Process) {
					seen.Rules = append(seen.Rules, r.ID)
				}
			}
			all = append(all, seen)
		}
		all[i].Last = f.Time
		if f.Decision.Verdict == flow.Allow {
			all[i].Allowed++
		} else {
			all[i].Blocked++
		}
	}
	return all, nil
}

// Explain answers every question alike: the program is allowed by rule 1, and a rule of
// nftables stops it where the host is stopped.example. Of a flow it says what it was.
func (b *Backend) Explain(_ context.Context, q api.Question) (api.Explanation, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.panics {
		panic("as the test wants it")
	}
	b.asked = append(b.asked, q)
	x := api.Explanation{
		Decision: flow.Decision{Verdict: flow.Allow, By: flow.By{Kind: flow.ByRule, ID: "1", Name: q.Program}},
		Outcome:  api.OutcomePasses,
		Steps: []api.Step{
			{What: "mode", Why: "the mode is ask, which leaves it to the rules"},
			{What: "rule 1", Matched: true, Decided: true, Why: "it names " + q.Program},
		},
	}
	if q.Flow != "" {
		f, ok := b.flow(q.Flow)
		if !ok || !q.Asker.Sees(f) {
			return api.Explanation{}, api.Errorf(api.NotFound, "there is no connection %s; sekishoctl activity --json shows their ids", q.Flow)
		}
		x.Flow = &f
		x.Steps = append([]api.Step{{What: "then", Part: api.PartThen, Why: "It was allowed, by rule 12, which is gone now."}}, x.Steps...)
	}
	part := api.PartMachine
	if q.Live {
		part = api.PartAttempt
	}
	if q.To == "stopped.example" {
		s := api.Step{
			What: "nft: inet filter out rule 2", Matched: true, Why: "It drops the first packet: tcp dport 25 drop.", Part: part,
			Code: "filter-rule", Outcome: api.OutcomeDropped, Author: "nft", Rule: "tcp dport 25 drop", Handle: 7,
		}
		x.Outcome, x.Steps = s.Outcome, append(x.Steps, s)
		x.Culprit = &api.Culprit{Step: s, Remedies: []api.Remedy{{Code: "nft-delete", What: "Take the rule away: sudo nft delete rule inet filter out handle 7."}}}
	}
	return x, nil
}

func (b *Backend) flow(id string) (flow.Flow, bool) {
	for _, f := range append(append([]flow.Flow(nil), b.flows...), b.history...) {
		if f.ID == id {
			return f, true
		}
	}
	return flow.Flow{}, false
}

// Backup writes what was restored.
func (b *Backend) Backup(_ context.Context, w io.Writer) error {
	b.mu.Lock()
	kept := bytes.Clone(b.kept)
	b.mu.Unlock()
	_, err := w.Write(kept)
	return err
}

// Restore keeps the file.
func (b *Backend) Restore(_ context.Context, r io.Reader) error {
	kept, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept = kept
	return nil
}
