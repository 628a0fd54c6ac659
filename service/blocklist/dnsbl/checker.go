package dnsbl

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	"sekisho/service/blocklist/format"
)

// Bounds and what holds where an option is zero.
const (
	UsualDeadline = 300 * time.Millisecond
	MaxDeadline   = 5 * time.Second
	MaxZones      = 16
	askTimeout    = 2 * time.Second // for the answer that comes too late for this sender
	workers       = 16
	queueLength   = 256
	cacheSize     = 16 << 10
)

// UsualPorts are those that mail comes in by.
var UsualPorts = []uint16{25, 465, 587}

// Settings are the choices; nothing is asked while Zones is empty.
type Settings struct {
	Zones    []string // such as zen.spamhaus.org
	Ports    []uint16 // empty: UsualPorts
	Deadline time.Duration
}

// Check says what is wrong with the settings.
func (s *Settings) Check() error {
	if len(s.Zones) > MaxZones {
		return fmt.Errorf("more than %d zones", MaxZones)
	}
	for _, z := range s.Zones {
		if n, ok := format.CleanName(z); !ok || !strings.Contains(n, ".") || len(n) > 150 {
			return fmt.Errorf("zone %.100q: not a domain", z)
		}
	}
	if s.Deadline < 0 || s.Deadline > MaxDeadline {
		return fmt.Errorf("deadline %v: at most %v", s.Deadline, MaxDeadline)
	}
	return nil
}

// Options of a Checker; all may be zero.
type Options struct {
	Servers func() ([]netip.AddrPort, error) // nil: those of /etc/resolv.conf
	Now     func() time.Time                 // nil: time.Now
}

// Listing is a zone that lists a sender.
type Listing struct {
	Zone  string
	Codes []netip.Addr // its answers, which say why in the zone's own terms
	TTL   time.Duration
}

// Counters count since New.
type Counters struct {
	Checked  uint64 // senders
	Asked    uint64 // questions sent
	Listed   uint64 // senders that were
	Late     uint64 // senders that weren't waited for any longer
	Failed   uint64 // questions without an answer that counts
	OverFull uint64 // questions that weren't asked because too many were
}

// Checker asks the zones. See the package's comment.
type Checker struct {
	o     Options
	queue chan *call

	settings atomic.Pointer[Settings]
	mu       sync.Mutex
	calls    map[question]*call
	cache    *cache
	zones    map[string]*zone

	checked, asked, listed, late, failed, overFull atomic.Uint64
}

// question is one address in one zone.
type question struct {
	zone string
	addr netip.Addr
}

// call is a question on its way. listing is valid once done is closed; nil: not listed.
type call struct {
	question
	done    chan struct{}
	listing *Listing
}

// New makes a checker without zones.
func New(o Options) *Checker {
	if o.Servers == nil {
		o.Servers = system
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &Checker{o: o, queue: make(chan *call, queueLength), calls: map[question]*call{}, cache: newCache(cacheSize), zones: map[string]*zone{}}
	c.settings.Store(&Settings{})
	return c
}

// system reads which servers the system asks.
func system() ([]netip.AddrPort, error) {
	conf, err := dns.ClientConfigFromFile("/etc/resolv.conf")
	if err != nil {
		return nil, err
	}
	var all []netip.AddrPort
	for _, s := range conf.Servers {
		if a, err := netip.ParseAddr(s); err == nil {
			all = append(all, netip.AddrPortFrom(a, 53))
		}
	}
	if len(all) == 0 {
		return nil, errors.New("resolv.conf names no server")
	}
	return all, nil
}

// Set replaces the settings.
func (c *Checker) Set(s Settings) error {
	if err := s.Check(); err != nil {
		return err
	}
	n := Settings{Ports: slices.Clone(s.Ports), Deadline: s.Deadline}
	for _, z := range s.Zones {
		name, _ := format.CleanName(z)
		if !slices.Contains(n.Zones, name) {
			n.Zones = append(n.Zones, name)
		}
	}
	if len(n.Ports) == 0 {
		n.Ports = UsualPorts
	}
	if n.Deadline == 0 {
		n.Deadline = UsualDeadline
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range c.zones {
		if !slices.Contains(n.Zones, name) {
			delete(c.zones, name)
		}
	}
	c.settings.Store(&n)
	return nil
}

// Wants says whether senders to a local port are to be checked.
func (c *Checker) Wants(port uint16) bool {
	s := c.settings.Load()
	return len(s.Zones) > 0 && slices.Contains(s.Ports, port)
}

// Active says whether any port is Wanted.
func (c *Checker) Active() bool { return len(c.settings.Load().Zones) > 0 }

// Counters says what was done so far.
func (c *Checker) Counters() Counters {
	return Counters{c.checked.Load(), c.asked.Load(), c.listed.Load(), c.late.Load(), c.failed.Load(), c.overFull.Load()}
}

// Check says which zone lists a sender, or nil: none, or none that said so before the
// deadline or ctx ended. Addresses of the local network aren't told to anybody.
func (c *Checker) Check(ctx context.Context, sender netip.Addr) *Listing {
	s := c.settings.Load()
	sender = sender.Unmap().WithZone("")
	if len(s.Zones) == 0 || !sender.IsValid() || format.OfNoHost(sender) {
		return nil
	}
	c.checked.Add(1)
	known, calls := c.begin(s.Zones, sender)
	if known == nil && len(calls) > 0 {
		known = c.wait(ctx, s.Deadline, calls)
	}
	if known != nil {
		c.listed.Add(1)
	}
	return known
}

// begin looks into the cache and puts what isn't there on its way.
func (c *Checker) begin(zones []string, sender netip.Addr) (*Listing, []*call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.o.Now()
	var calls []*call
	for _, z := range zones {
		q := question{z, sender}
		if l, ok := c.cache.get(q, now); ok {
			if l != nil {
				return l, nil
			}
			continue
		}
		if running := c.calls[q]; running != nil {
			calls = append(calls, running)
			continue
		}
		if !c.zone(z).mayAsk(now) {
			continue
		}
		n := &call{question: q, done: make(chan struct{})}
		select {
		case c.queue <- n:
			c.calls[q] = n
			calls = append(calls, n)
		default:
			c.zone(z).probing = false
			c.overFull.Add(1)
		}
	}
	return nil, calls
}

// zone gives what is known of a zone. c is locked.
func (c *Checker) zone(name string) *zone {
	z := c.zones[name]
	if z == nil {
		z = new(zone)
		c.zones[name] = z
	}
	return z
}

// wait gives the first listing of any call before the deadline.
func (c *Checker) wait(ctx context.Context, deadline time.Duration, calls []*call) *Listing {
	ctx, stop := context.WithTimeout(ctx, deadline)
	defer stop()
	first := make(chan *Listing, 1)
	var left sync.WaitGroup
	for _, one := range calls {
		left.Go(func() {
			select {
			case <-one.done:
				if one.listing != nil {
					select {
					case first <- one.listing:
						stop()
					default:
					}
				}
			case <-ctx.Done():
			}
		})
	}
	left.Wait()
	select {
	case l := <-first:
		return l
	default:
	}
	if ctx.Err() != nil {
		c.late.Add(1)
	}
	return nil
}
