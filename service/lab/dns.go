package lab

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// DNS is a name server on port 53 of a host, UDP and TCP, IPv4 and IPv6. Names that
// were not set do not exist. Its methods may be called from any goroutine.
type DNS struct {
	host   *Host
	closed chan struct{}

	mu      sync.Mutex
	zone    map[string]entry // by name, lower case, with the final dot
	queries []Query
}

type entry struct {
	addrs []netip.Addr
	alias string
	delay time.Duration
	ttl   uint32
	// records are given as they are to who asks for their type.
	records []dns.RR
	cut     bool // over UDP the answer does not fit
}

// Query is one question that the server was asked.
type Query struct {
	Time time.Time
	Name string // lower case, without the final dot
	Type string // "A", "AAAA", …
	From netip.AddrPort
	TCP  bool
}

// ServeDNS starts a name server on the host. It ends with the lab.
func (h *Host) ServeDNS() *DNS {
	h.lab.t.Helper()
	d := &DNS{host: h, closed: make(chan struct{}), zone: map[string]entry{}}
	var servers []*dns.Server
	for _, addr := range []string{"0.0.0.0:53", "[::]:53"} {
		family := familyOf(addr)
		packets, err := h.ListenPacket("udp"+family, addr)
		if err != nil {
			h.lab.t.Fatalf("serve DNS on %s: %v", h.Name, err)
		}
		stream, err := h.Listen("tcp"+family, addr)
		if err != nil {
			h.lab.t.Fatalf("serve DNS on %s: %v", h.Name, err)
		}
		servers = append(servers, &dns.Server{PacketConn: packets, Handler: d}, &dns.Server{Listener: stream, Handler: d})
	}
	var running sync.WaitGroup
	for _, s := range servers {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		running.Go(func() {
			if err := s.ActivateAndServe(); err != nil {
				h.lab.t.Errorf("serve DNS on %s: %v", h.Name, err)
			}
		})
		<-started
	}
	h.lab.onClose(func() error {
		close(d.closed)
		for _, s := range servers {
			if err := s.Shutdown(); err != nil {
				return fmt.Errorf("stop DNS: %w", err)
			}
		}
		running.Wait()
		return nil
	})
	return d
}

// Set makes name resolve to addrs; none means that it exists without addresses.
func (d *DNS) Set(name string, addrs ...netip.Addr) {
	d.change(name, func(e *entry) { e.addrs, e.alias = addrs, "" })
}

// Alias makes name a CNAME of another.
func (d *DNS) Alias(name, of string) {
	d.change(name, func(e *entry) { e.addrs, e.alias = nil, dns.CanonicalName(of) })
}

// Delay holds every answer for name back for a while.
func (d *DNS) Delay(name string, delay time.Duration) {
	d.change(name, func(e *entry) { e.delay = delay })
}

// TTL sets how many seconds the answers for name may be kept; it is 60 if not set.
func (d *DNS) TTL(name string, seconds uint32) {
	d.change(name, func(e *entry) { e.ttl = seconds })
}

// Records adds records of other types, as a zone file writes them: "example.lab. 60 HTTPS
// 1 . ipv4hint=192.0.2.1". They are given to who asks for their type.
func (d *DNS) Records(name string, records ...string) {
	d.host.lab.t.Helper()
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			d.host.lab.t.Fatalf("record %q: %v", text, err)
		}
		d.change(name, func(e *entry) { e.records = append(e.records, rr) })
	}
}

// Truncate makes every answer for name over UDP one that does not fit, so that whoever
// asks has to ask again over TCP.
func (d *DNS) Truncate(name string) {
	d.change(name, func(e *entry) { e.cut = true })
}

// Remove makes name one that does not exist.
func (d *DNS) Remove(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.zone, dns.CanonicalName(name))
}

func (d *DNS) change(name string, f func(*entry)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = dns.CanonicalName(name)
	e, ok := d.zone[name]
	if !ok {
		e.ttl = 60
	}
	f(&e)
	d.zone[name] = e
}

// Queries lists what was asked about name, in order; "" means about any.
func (d *DNS) Queries(name string) []Query {
	d.mu.Lock()
	defer d.mu.Unlock()
	if name == "" {
		return slices.Clone(d.queries)
	}
	var q []Query
	for _, k := range d.queries {
		if k.Name == strings.TrimSuffix(dns.CanonicalName(name), ".") {
			q = append(q, k)
		}
	}
	return q
}

// ServeDNS answers one question; the server calls it.
func (d *DNS) ServeDNS(w dns.ResponseWriter, r *dns.Msg) {
	reply, delay := d.answer(r, w.RemoteAddr())
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-d.closed:
			return
		}
	}
	// Who asked may be gone by now.
	_ = w.WriteMsg(reply)
}

func (d *DNS) answer(r *dns.Msg, asker net.Addr) (*dns.Msg, time.Duration) {
	reply := new(dns.Msg).SetReply(r)
	reply.Authoritative, reply.RecursionAvailable = true, true
	if len(r.Question) != 1 {
		reply.Rcode = dns.RcodeFormatError
		return reply, 0
	}
	q := r.Question[0]
	name := dns.CanonicalName(q.Name)
	d.mu.Lock()
	defer d.mu.Unlock()
	from, _ := netip.ParseAddrPort(asker.String())
	d.queries = append(d.queries, Query{Time: time.Now(), Name: strings.TrimSuffix(name, "."), Type: dns.TypeToString[q.Qtype],
		From: netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), TCP: asker.Network() == "tcp"})
	e, ok := d.zone[name]
	if !ok {
		reply.Rcode = dns.RcodeNameError
		return reply, 0
	}
	delay := e.delay
	if e.cut && asker.Network() == "udp" {
		reply.Truncated = true
		return reply, delay
	}
	owner := q.Name
	for range 8 { // as long as a chain of aliases may be
		if e.alias == "" {
			break
		}
		reply.Answer = append(reply.Answer, &dns.CNAME{Hdr: header(owner, dns.TypeCNAME, e.ttl), Target: e.alias})
		owner, e = e.alias, d.zone[e.alias]
	}
	for _, rr := range e.records {
		if rr.Header().Rrtype == q.Qtype {
			reply.Answer = append(reply.Answer, rr)
		}
	}
	for _, a := range e.addrs {
		switch {
		case a.Is4() && q.Qtype == dns.TypeA:
			reply.Answer = append(reply.Answer, &dns.A{Hdr: header(owner, q.Qtype, e.ttl), A: a.AsSlice()})
		case a.Is6() && q.Qtype == dns.TypeAAAA:
			reply.Answer = append(reply.Answer, &dns.AAAA{Hdr: header(owner, q.Qtype, e.ttl), AAAA: a.AsSlice()})
		}
	}
	return reply, delay
}

func header(name string, kind uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: ttl}
}
