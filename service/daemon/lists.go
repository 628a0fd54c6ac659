package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/service/blocklist"
	"sekisho/service/blocklist/dnsbl"
	"sekisho/service/blocklist/format"
	"sekisho/service/engine"
	"sekisho/store"
)

// Names of the documents in the database.
const (
	listsDocument   = "lists"
	sendersDocument = "sender-lists"
)

// reputation is the blocklists: what is chosen is in the database, what they say in a
// folder of their own. It is the engine's Lists and Senders, and what clients ask.
type reputation struct {
	book    *blocklist.Book
	checker *dnsbl.Checker
	db      *store.Store
	log     *slog.Logger
	engine  *engine.Engine // nil until it is made

	changing sync.Mutex // one change of what is chosen at a time

	mu       sync.Mutex // guards what is below; nothing else is locked under it
	nextID   int
	watching map[int]func(api.ListProgress)
	troubled map[string]bool // lists whose problem the status shows
}

// openLists maps what was compiled last and takes up what is chosen.
func openLists(state string, db *store.Store, log *slog.Logger) (*reputation, error) {
	r := &reputation{db: db, log: log, checker: dnsbl.New(dnsbl.Options{}), watching: map[int]func(api.ListProgress){}, troubled: map[string]bool{}}
	var err error
	r.book, err = blocklist.Open(blocklist.Options{
		Dir: filepath.Join(state, "lists"), Guarded: updateHosts("/"), Progress: r.progress, Told: r.told, Changed: r.changed, Log: log,
	})
	if err != nil {
		return nil, err
	}
	return r, r.recall()
}

// recall reads what is chosen.
func (r *reputation) recall() error {
	lists, err := r.chosen()
	if err == nil {
		err = r.book.SetLists(lists)
	}
	var s dnsbl.Settings
	if err == nil {
		_, err = r.db.Load(sendersDocument, &s)
	}
	if err == nil {
		err = r.checker.Set(s)
	}
	if err != nil {
		return fmt.Errorf("recall lists: %w", err)
	}
	return nil
}

func (r *reputation) chosen() (lists []blocklist.List, err error) {
	_, err = r.db.Load(listsDocument, &lists)
	return lists, err
}

// run keeps the lists fresh and asks the zones, until ctx is done.
func (r *reputation) run(ctx context.Context) error {
	for _, s := range r.book.Status() {
		r.show(s)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.book.Run(ctx) })
	g.Go(func() error { return r.checker.Run(ctx) })
	if err := g.Wait(); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func (r *reputation) close() {
	if err := r.book.Close(); err != nil {
		r.log.Warn("close the lists", "err", err)
	}
}

func (r *reputation) changed() {
	if r.engine != nil {
		r.engine.ListsChanged()
	}
}

func (r *reputation) progress(p blocklist.Progress) {
	r.mu.Lock()
	all := make([]func(api.ListProgress), 0, len(r.watching))
	for _, f := range r.watching {
		all = append(all, f)
	}
	r.mu.Unlock()
	for _, f := range all {
		f(api.ListProgress{List: p.List, Stage: string(p.Stage), Done: p.Done, Total: p.Total})
	}
}

// told shows in the status how a list is by now.
func (r *reputation) told() {
	there := map[string]bool{}
	for _, s := range r.book.Status() {
		there[s.List] = true
		r.show(s)
	}
	r.mu.Lock()
	var gone []string
	for id := range r.troubled {
		if !there[id] {
			gone = append(gone, id)
			delete(r.troubled, id)
		}
	}
	r.mu.Unlock()
	for _, id := range gone {
		r.engine.Solved("list:" + id)
	}
}

func (r *reputation) show(s blocklist.Status) {
	if r.engine == nil {
		return
	}
	r.mu.Lock()
	was := r.troubled[s.List]
	if s.Error != "" {
		r.troubled[s.List] = true
	} else {
		delete(r.troubled, s.List)
	}
	r.mu.Unlock()
	switch {
	case s.Error != "":
		p := api.NewProblem(api.ProblemList, s.List+": "+s.Error)
		if s.Do != "" {
			p.Do = upper(s.Do) + "."
		}
		r.engine.Problem("list:"+s.List, p)
	case was:
		r.engine.Solved("list:" + s.List)
	}
}

func upper(s string) string {
	if s[0] >= 'a' && s[0] <= 'z' {
		return string(s[0]-'a'+'A') + s[1:]
	}
	return s
}

// Look, LookPage, Active and Count are the engine's Lists.
func (r *reputation) Look(q engine.LookUp) []engine.ListHit {
	return hits(r.book.Look(blocklist.Query(q)))
}

func (r *reputation) LookPage(q engine.LookUp, host, target string) []engine.ListHit {
	return hits(r.book.LookPage(blocklist.Query(q), host, target))
}

func (r *reputation) Active() (any, pages bool) { return r.book.Active() }

func (r *reputation) Count(list string) {
	r.book.Count(blocklist.Finding{Hits: []blocklist.Hit{{List: list}}})
}

func hits(f blocklist.Finding) (all []engine.ListHit) {
	for _, h := range f.Hits {
		all = append(all, engine.ListHit{
			List: h.List, Name: h.Name, Category: string(h.Category), Blocks: h.Action == blocklist.Block, Entry: h.Entry, Matched: h.Matched,
		})
	}
	return all
}

// senders is the checker as the engine sees it.
type senders struct{ *dnsbl.Checker }

func (s senders) Check(ctx context.Context, a netip.Addr) (engine.Listing, bool) {
	l := s.Checker.Check(ctx, a)
	if l == nil {
		return engine.Listing{}, false
	}
	return engine.Listing{Zone: l.Zone, TTL: l.TTL}, true
}

// backend is what the server asks. What is restored may have other lists.
type backend struct {
	*engine.Engine
	lists *reputation
}

func (b backend) Restore(ctx context.Context, r io.Reader) error {
	if err := b.Engine.Restore(ctx, r); err != nil {
		return err
	}
	b.lists.changing.Lock()
	defer b.lists.changing.Unlock()
	if err := b.lists.recall(); err != nil {
		return api.Errorf(api.Failed, "everything but the lists is restored: %v", err)
	}
	b.lists.changed()
	return nil
}

// Lists says how the lists are.
func (r *reputation) Lists(context.Context) ([]api.ListState, error) {
	lists := r.book.Lists()
	all := []api.ListState{}
	for _, s := range r.book.Status() {
		i := slices.IndexFunc(lists, func(l blocklist.List) bool { return l.ID == s.List })
		if i < 0 {
			continue
		}
		n := &s.Report
		st := api.ListState{
			List: listOf(lists[i]), Found: n.Format.String(), Names: n.Names, Networks: n.Networks, Pages: n.URLs, TakesBack: n.Exceptions,
			Left: n.Left, Broken: n.Broken, Fetched: s.Fetched, Checked: s.Checked, Due: s.Due, Error: s.Error, Do: s.Do, Hits: s.Hits, Busy: s.Busy,
		}
		for _, l := range n.First {
			st.First = append(st.First, api.SkippedLine{Line: l.Number, Text: l.Text, Why: l.Why})
		}
		all = append(all, st)
	}
	return all, nil
}

func listOf(l blocklist.List) api.List {
	a := api.List{
		ID: l.ID, Name: l.Name, URL: l.URL, Format: l.Format.String(), Category: string(l.Category), Action: string(l.Action), On: l.On,
		Every: api.Seconds(l.Every), Insecure: l.Insecure,
	}
	for _, e := range l.Exceptions {
		a.Exceptions = append(a.Exceptions, api.ListException(e))
	}
	return a
}

func toList(a api.List) (blocklist.List, error) {
	l := blocklist.List{
		ID: a.ID, Name: a.Name, URL: a.URL, Category: blocklist.Category(a.Category), Action: blocklist.Action(a.Action), On: a.On,
		Every: time.Duration(a.Every), Insecure: a.Insecure,
	}
	if err := l.Format.UnmarshalText([]byte(a.Format)); err != nil {
		return l, err
	}
	for _, e := range a.Exceptions {
		l.Exceptions = append(l.Exceptions, blocklist.Exception(e))
	}
	return l, l.Check()
}

// KnownLists is the catalogue.
func (r *reputation) KnownLists(context.Context) ([]api.KnownList, error) {
	var all []api.KnownList
	for _, k := range blocklist.Catalogue {
		all = append(all, api.KnownList{List: listOf(k.List()), About: k.About, Home: k.Home, Licence: k.Licence})
	}
	for _, z := range blocklist.Zones {
		all = append(all, api.KnownList{List: api.List{ID: z.Zone, Name: z.Zone}, About: z.About, Home: z.Home, Zone: true})
	}
	return all, nil
}

// change changes the chosen lists: on disk first.
func (r *reputation) change(f func([]blocklist.List) ([]blocklist.List, error)) error {
	r.changing.Lock()
	defer r.changing.Unlock()
	lists, err := r.chosen()
	if err == nil {
		lists, err = f(lists)
	}
	if err != nil {
		return err
	}
	if len(lists) > blocklist.MaxLists {
		return api.Errorf(api.Failed, "there are %d lists already, no more are kept; remove some first", blocklist.MaxLists)
	}
	if err := r.db.Save(listsDocument, lists); err != nil {
		return api.Errorf(api.Failed, "not saved, nothing was changed: %v", err)
	}
	if err := r.book.SetLists(lists); err != nil {
		return api.Errorf(api.Failed, "%v", err)
	}
	r.told()
	return nil
}

// SaveList adds a list or changes one.
func (r *reputation) SaveList(_ context.Context, a api.List, add bool) error {
	l, err := toList(a)
	if err != nil {
		return api.Errorf(api.BadRequest, "%v", err)
	}
	return r.change(func(lists []blocklist.List) ([]blocklist.List, error) {
		i := indexOf(lists, l.ID)
		switch {
		case add && i >= 0:
			return nil, api.Errorf(api.BadRequest, "there is a list %s already; choose another name, or remove that one first", l.ID)
		case add:
			return append(lists, l), nil
		case i < 0:
			return nil, noList(l.ID)
		}
		lists[i] = l
		return lists, nil
	})
}

// RemoveList forgets a list.
func (r *reputation) RemoveList(_ context.Context, id string) error {
	return r.change(func(lists []blocklist.List) ([]blocklist.List, error) {
		i := indexOf(lists, id)
		if i < 0 {
			return nil, noList(id)
		}
		return slices.Delete(lists, i, i+1), nil
	})
}

func indexOf(lists []blocklist.List, id string) int {
	return slices.IndexFunc(lists, func(l blocklist.List) bool { return l.ID == id })
}

func noList(id string) error {
	return api.Errorf(api.NotFound, "there is no list %s; sekishoctl lists shows those that there are", id)
}

// UpdateLists fetches now.
func (r *reputation) UpdateLists(ctx context.Context, id string, f func(api.ListProgress)) error {
	if id != "" && indexOf(r.book.Lists(), id) < 0 {
		return noList(id)
	}
	r.mu.Lock()
	n := r.nextID
	r.nextID++
	r.watching[n] = f
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.watching, n)
	}()
	return ofList(r.book.Update(ctx, id))
}

// ImportList gives a list its text.
func (r *reputation) ImportList(ctx context.Context, id string, text io.Reader) error {
	if indexOf(r.book.Lists(), id) < 0 {
		return noList(id)
	}
	return ofList(r.book.Import(ctx, id, text))
}

// ofList: what is wrong with a list's text says the error itself.
func ofList(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return api.Errorf(api.Failed, "%v", err)
}

// TestLists looks a name or an address up, whatever program would ask.
func (r *reputation) TestLists(_ context.Context, what string) ([]api.ListHit, error) {
	q := blocklist.Query{Direction: flow.Out}
	if a, err := netip.ParseAddr(what); err == nil {
		q.Addr = a
	} else if n, ok := format.CleanName(what); ok {
		q.Name = n
	} else {
		return nil, api.Errorf(api.BadRequest, "%.80q is neither a host name nor an address", what)
	}
	f := r.book.Look(q)
	var all []api.ListHit
	for _, h := range f.Hits {
		all = append(all, api.ListHit{List: h.List, Name: h.Name, Category: string(h.Category), Action: string(h.Action), Entry: h.Entry, Matched: h.Matched})
	}
	return all, nil
}

// SenderLists says which zones are asked.
func (r *reputation) SenderLists(context.Context) (api.SenderLists, error) {
	var s dnsbl.Settings
	if _, err := r.db.Load(sendersDocument, &s); err != nil {
		return api.SenderLists{}, api.Errorf(api.Failed, "%v", err)
	}
	n := r.checker.Counters()
	l := api.SenderLists{
		Zones: s.Zones, Ports: s.Ports, Deadline: api.Seconds(s.Deadline),
		Counters: api.SenderCounts{Checked: n.Checked, Listed: n.Listed, Late: n.Late, Failed: n.Failed},
	}
	if l.Zones == nil {
		l.Zones = []string{}
	}
	if len(l.Ports) == 0 {
		l.Ports = dnsbl.UsualPorts
	}
	if l.Deadline == 0 {
		l.Deadline = api.Seconds(dnsbl.UsualDeadline)
	}
	return l, nil
}

// SetSenderLists changes which zones are asked.
func (r *reputation) SetSenderLists(_ context.Context, l api.SenderLists) error {
	s := dnsbl.Settings{Zones: l.Zones, Ports: l.Ports, Deadline: time.Duration(l.Deadline)}
	if err := s.Check(); err != nil {
		return api.Errorf(api.BadRequest, "%v", err)
	}
	r.changing.Lock()
	defer r.changing.Unlock()
	if err := r.db.Save(sendersDocument, s); err != nil {
		return api.Errorf(api.Failed, "not saved, nothing was changed: %v", err)
	}
	if err := r.checker.Set(s); err != nil {
		return api.Errorf(api.Failed, "%v", err)
	}
	r.changed()
	return nil
}
