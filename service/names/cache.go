package names

import (
	"container/list"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"sekisho/app/flow"
)

const (
	// MaxPrograms bounds the programs whose names are kept.
	MaxPrograms = 1024
	// MaxAddrs bounds the addresses that are kept of one program.
	MaxAddrs = 4096
	// MinTTL is how long a name is kept at least: programs resolve a name once and
	// connect again long after the answer's TTL has run out.
	MinTTL = 10 * time.Minute
	// MaxTTL is how long a name is kept at most, whatever the answer says.
	MaxTTL = 24 * time.Hour

	maxQuestions = 8 // names of one address
)

// Machine stands for nobody in particular among the programs: under it is kept what is
// known to have been looked up on this machine, not by whom (package resolved). A rule
// that allows must not go by it.
const Machine = "\x00machine"

// Answer is what a program learnt from one reply.
type Answer struct {
	Question string   // the name that the program asked for
	Chain    []string // the aliases that led to the addresses (CNAME), in order
	Addrs    []netip.Addr
	TTL      time.Duration // the shortest of the records that count
}

// Cache knows what each program calls an address. Make it with NewCache.
type Cache struct {
	mu       sync.Mutex // guards what follows
	programs map[string]*program
	used     *list.List // of *program, the latest first
	lost     map[string][]netip.Addr
}

// program is what one program learnt.
type program struct {
	key   string
	place *list.Element
	addrs map[netip.Addr]*address
	used  *list.List // of *address, the latest first
	// named finds the addresses again for which there is a question.
	named map[string]map[netip.Addr]struct{}
}

type address struct {
	addr  netip.Addr
	place *list.Element
	names []learnt // the newest question first
}

type learnt struct {
	question string
	chain    []string
	until    time.Time
}

// NewCache makes a Cache that knows nothing.
func NewCache() *Cache {
	return &Cache{programs: map[string]*program{}, used: list.New(), lost: map[string][]netip.Addr{}}
}

// Learn takes in an answer to a question of program (flow.Program.Key). Of two
// questions that led to an address the newer one names it. A question that is no host
// name teaches nothing.
//
// It returns the program's addresses that Lookup or Chain now name otherwise than before,
// also those that were dropped for want of room: what the kernel decided about them
// because of their names must be forgotten.
func (c *Cache) Learn(key string, a Answer, now time.Time) (changed []netip.Addr) {
	question, ok := HostName(a.Question)
	if !ok || len(a.Addrs) == 0 {
		return nil
	}
	fresh := learnt{question: question, until: now.Add(min(max(a.TTL, MinTTL), MaxTTL))}
	for _, alias := range a.Chain {
		if alias, ok := HostName(alias); ok && len(fresh.chain) < maxChain {
			fresh.chain = append(fresh.chain, alias)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.program(key)
	for _, addr := range a.Addrs {
		addr = plain(addr)
		if !addr.IsValid() {
			continue
		}
		at := p.address(addr)
		if was, ok := at.name(now); !ok || was != question || !slices.Equal(at.chain(question), fresh.chain) {
			changed = append(changed, addr)
		}
		p.change(at, func() { at.learn(fresh, now) })
	}
	return append(changed, p.shrink()...)
}

// Lookup is the name that program asked for when it found addr.
func (c *Cache) Lookup(key string, addr netip.Addr, now time.Time) (name string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.programs[key]
	if p == nil {
		return "", false
	}
	at := p.addrs[plain(addr)]
	if at == nil {
		return "", false
	}
	name, ok = at.name(now)
	if ok {
		c.used.MoveToFront(p.place)
		p.used.MoveToFront(at.place)
	}
	return name, ok
}

// Aliases are the other names that program has seen for addr: those that it asked for
// before, the newest first, then the aliases in the answers. They include ones that
// ran out since the last Learn or Expire.
func (c *Cache) Aliases(key string, addr netip.Addr) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.programs[key]
	if p == nil {
		return nil
	}
	at := p.addrs[plain(addr)]
	if at == nil {
		return nil
	}
	var names []string
	add := func(name string) {
		if name != at.names[0].question && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, l := range at.names {
		add(l.question)
	}
	for _, l := range at.names {
		for _, alias := range l.chain {
			add(alias)
		}
	}
	return names
}

// Chain is the aliases by which name led program to addr in the newest answer that did.
func (c *Cache) Chain(key string, addr netip.Addr, name string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.programs[key]
	if p == nil {
		return nil
	}
	at := p.addrs[plain(addr)]
	if at == nil {
		return nil
	}
	return at.chain(name) // never written to
}

func (a *address) chain(name string) []string {
	for i := range a.names {
		if a.names[i].question == name {
			return a.names[i].chain
		}
	}
	return nil
}

// Addrs are the addresses that program calls name now, as Lookup does, in no order.
func (c *Cache) Addrs(key, name string, now time.Time) []netip.Addr {
	name, ok := HostName(name)
	if !ok {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.programs[key]; p != nil {
		return p.called(name, now, nil)
	}
	return nil
}

// AddrsIn are the addresses that program calls by domain or a name below it now, in no
// order.
func (c *Cache) AddrsIn(key, domain string, now time.Time) (all []netip.Addr) {
	domain, ok := HostName(domain)
	if !ok {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.programs[key]
	if p == nil {
		return nil
	}
	for name := range p.named {
		if above, ok := strings.CutSuffix(name, domain); ok && (above == "" || strings.HasSuffix(above, ".")) {
			all = p.called(name, now, all)
		}
	}
	return all
}

func (p *program) called(name string, now time.Time, all []netip.Addr) []netip.Addr {
	for addr := range p.named[name] {
		if is, ok := p.addrs[addr].name(now); ok && is == name {
			all = append(all, addr)
		}
	}
	return all
}

// Knew reports whether program was told that name leads to addr, also if it calls it
// otherwise now.
func (c *Cache) Knew(key, name string, addr netip.Addr, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.programs[key]
	if p == nil {
		return false
	}
	at := p.addrs[plain(addr)]
	return at != nil && slices.ContainsFunc(at.names, func(l learnt) bool { return l.question == name && now.Before(l.until) })
}

// Expire drops the names that have run out, and returns by program the addresses that
// Lookup names otherwise than before. A nil slice stands for all addresses of that
// program, which was dropped for want of room. Call it about once a minute.
func (c *Cache) Expire(now time.Time) map[string][]netip.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed := c.lost
	c.lost = map[string][]netip.Addr{}
	for key, p := range c.programs {
		for addr, at := range p.addrs {
			was := at.names[0].question
			p.change(at, func() { at.forget(now) })
			if len(at.names) > 0 && at.names[0].question == was {
				continue
			}
			if _, all := changed[key]; !all || changed[key] != nil {
				changed[key] = append(changed[key], addr)
			}
			if len(at.names) == 0 {
				p.drop(at)
			}
		}
		if len(p.addrs) == 0 {
			c.used.Remove(p.place)
			delete(c.programs, key)
		}
	}
	return changed
}

// program finds or makes the room for a program, dropping the one not used for the
// longest.
func (c *Cache) program(key string) *program {
	if p, ok := c.programs[key]; ok {
		c.used.MoveToFront(p.place)
		return p
	}
	if len(c.programs) >= MaxPrograms {
		last := c.used.Remove(c.used.Back()).(*program)
		delete(c.programs, last.key)
		c.lost[last.key] = nil
	}
	p := &program{key: strings.Clone(key), addrs: map[netip.Addr]*address{}, used: list.New(), named: map[string]map[netip.Addr]struct{}{}}
	p.place = c.used.PushFront(p)
	c.programs[p.key] = p
	return p
}

func (p *program) address(addr netip.Addr) *address {
	if at, ok := p.addrs[addr]; ok {
		p.used.MoveToFront(at.place)
		return at
	}
	at := &address{addr: addr}
	at.place = p.used.PushFront(at)
	p.addrs[addr] = at
	return at
}

// shrink drops the addresses that are too many, and says which.
func (p *program) shrink() (dropped []netip.Addr) {
	for len(p.addrs) > MaxAddrs {
		last := p.used.Back().Value.(*address)
		p.drop(last)
		dropped = append(dropped, last.addr)
	}
	return dropped
}

func (p *program) drop(at *address) {
	p.change(at, func() { at.names = nil })
	p.used.Remove(at.place)
	delete(p.addrs, at.addr)
}

// change changes an address's names, and keeps named true.
func (p *program) change(at *address, f func()) {
	for _, l := range at.names {
		if set := p.named[l.question]; len(set) > 1 {
			delete(set, at.addr)
		} else {
			delete(p.named, l.question)
		}
	}
	f()
	for _, l := range at.names {
		set := p.named[l.question]
		if set == nil {
			set = map[netip.Addr]struct{}{}
			p.named[l.question] = set
		}
		set[at.addr] = struct{}{}
	}
}

func (a *address) name(now time.Time) (string, bool) {
	for _, l := range a.names {
		if now.Before(l.until) {
			return l.question, true
		}
	}
	return "", false
}

func (a *address) learn(fresh learnt, now time.Time) {
	a.forget(now)
	a.names = slices.DeleteFunc(a.names, func(l learnt) bool { return l.question == fresh.question })
	a.names = slices.Insert(a.names, 0, fresh)
	if len(a.names) > maxQuestions {
		clear(a.names[maxQuestions:])
		a.names = a.names[:maxQuestions]
	}
}

func (a *address) forget(now time.Time) {
	a.names = slices.DeleteFunc(a.names, func(l learnt) bool { return !now.Before(l.until) })
}

// plain is an address as flows have it: IPv4 as such, and without a zone.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// HostName is a name in lower case without its last dot; false if it is none: see flow.HostName.
func HostName(s string) (string, bool) { return flow.HostName(s) }
