package names

import (
	"container/list"
	"net/netip"
	"strings"
	"sync"
	"time"
)

const (
	// MaxPending bounds the questions that wait for an answer.
	MaxPending = 16384
	// MaxPendingOfOne bounds those of one program.
	MaxPendingOfOne = 2048
	// PendingFor is how long an answer is waited for.
	PendingFor = 30 * time.Second
)

// Pending knows which program asked what. Make it with NewPending.
type Pending struct {
	now func() time.Time

	mu    sync.Mutex // guards what follows
	asked map[transaction]*question
	all   *list.List            // of *question, the oldest first
	by    map[string]*list.List // by program, likewise
}

// transaction is all that a reply must repeat.
type transaction struct {
	client, server netip.AddrPort
	id             uint16
	name           string
}

type question struct {
	transaction
	program     string
	until       time.Time
	place, mine *list.Element // in all; in by[program]
}

// NewPending makes an empty table. now is the clock; nil is time.Now.
func NewPending(now func() time.Time) *Pending {
	if now == nil {
		now = time.Now
	}
	return &Pending{now: now, asked: map[transaction]*question{}, all: list.New(), by: map[string]*list.List{}}
}

// Asked takes in a question on its way to a server. Asked again, it waits anew. Where
// there are too many, the oldest of the program, then the oldest of all, is dropped:
// its answer teaches nothing.
func (p *Pending) Asked(client, server netip.AddrPort, id uint16, name, program string) {
	t := newTransaction(client, server, id, name)
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	p.expire(now)
	if q, ok := p.asked[t]; ok {
		p.drop(q)
	}
	if mine := p.by[program]; mine != nil && mine.Len() >= MaxPendingOfOne {
		p.drop(mine.Front().Value.(*question))
	}
	if p.all.Len() >= MaxPending {
		p.drop(p.all.Front().Value.(*question))
	}
	q := &question{transaction: t, program: program, until: now.Add(PendingFor)}
	if p.by[program] == nil {
		p.by[program] = list.New()
	}
	p.asked[t] = q
	q.place, q.mine = p.all.PushBack(q), p.by[program].PushBack(q)
}

// Answered is the program whose question a reply answers. The reply must come from the
// server that was asked, to the address and port that asked, with the question's
// number and name; letters' case does not matter, since resolvers mix it. A question
// can be answered more than once until its time is over.
func (p *Pending) Answered(r Reply) (program string, ok bool) {
	t := newTransaction(r.Client, r.Server, r.ID, r.Question)
	p.mu.Lock()
	defer p.mu.Unlock()
	q, ok := p.asked[t]
	if !ok || !p.now().Before(q.until) {
		return "", false
	}
	return q.program, true
}

// Len counts the questions that wait.
func (p *Pending) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expire(p.now())
	return p.all.Len()
}

func newTransaction(client, server netip.AddrPort, id uint16, name string) transaction {
	return transaction{
		client: netip.AddrPortFrom(plain(client.Addr()), client.Port()),
		server: netip.AddrPortFrom(plain(server.Addr()), server.Port()),
		id:     id,
		name:   strings.ToLower(strings.TrimSuffix(name, ".")),
	}
}

func (p *Pending) expire(now time.Time) {
	for e := p.all.Front(); e != nil; e = p.all.Front() {
		q := e.Value.(*question)
		if now.Before(q.until) {
			return
		}
		p.drop(q)
	}
}

func (p *Pending) drop(q *question) {
	delete(p.asked, q.transaction)
	p.all.Remove(q.place)
	mine := p.by[q.program]
	mine.Remove(q.mine)
	if mine.Len() == 0 {
		delete(p.by, q.program)
	}
}
