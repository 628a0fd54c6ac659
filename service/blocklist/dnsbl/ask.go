package dnsbl

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Run asks until ctx ends, which is its error.
func (c *Checker) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case one := <-c.queue:
					c.serve(ctx, one)
				}
			}
		})
	}
	all.Wait()
	return ctx.Err()
}

// serve asks one question, and a second time whether the zone lists everybody if it
// says yes.
func (c *Checker) serve(ctx context.Context, one *call) {
	ctx, stop := context.WithTimeout(ctx, askTimeout)
	defer stop()
	a, err := c.ask(ctx, reversed(one.addr)+one.zone)
	if err == nil && a.listing != nil {
		err = c.prove(ctx, one.zone)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.o.Now()
	z := c.zone(one.zone)
	if err != nil {
		c.failed.Add(1)
		z.failed(now, errors.Is(err, errRefuses))
	} else {
		z.answered()
		if a.listing != nil {
			a.listing.Zone = one.zone
			one.listing = a.listing
		}
		c.cache.put(one.question, a.listing, now.Add(a.ttl))
	}
	delete(c.calls, one.question)
	close(one.done)
}

// proof is how long a zone is known not to list everybody.
const proof = time.Hour

// prove asks for 127.0.0.1, which no working zone lists.
func (c *Checker) prove(ctx context.Context, name string) error {
	c.mu.Lock()
	known := c.o.Now().Before(c.zone(name).proven)
	c.mu.Unlock()
	if known {
		return nil
	}
	a, err := c.ask(ctx, "1.0.0.127."+name)
	if err != nil {
		return err
	}
	if a.listing != nil {
		return fmt.Errorf("zone %s lists everybody: %w", name, errRefuses)
	}
	c.mu.Lock()
	c.zone(name).proven = c.o.Now().Add(proof)
	c.mu.Unlock()
	return nil
}

// answer is what a zone says; listing is nil if it knows nothing.
type answer struct {
	listing *Listing
	ttl     time.Duration
}

var (
	errRefuses = errors.New("the zone refuses to answer")
	errOutside = errors.New("an answer outside 127.0.0.0/8")
)

// ask sends a question to the system's servers, one after the other until one answers.
func (c *Checker) ask(ctx context.Context, name string) (answer, error) {
	servers, err := c.o.Servers()
	if err != nil {
		return answer{}, err
	}
	err = errors.New("no server")
	for i, s := range servers[:min(len(servers), 3)] {
		limit, stop := context.WithTimeout(ctx, askTimeout/time.Duration(min(len(servers), 3)-i))
		var r *dns.Msg
		r, err = c.exchange(limit, name, s)
		stop()
		if err == nil {
			return read(r)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return answer{}, err
}

func (c *Checker) exchange(ctx context.Context, name string, server netip.AddrPort) (*dns.Msg, error) {
	c.asked.Add(1)
	m := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA)
	m.SetEdns0(1232, false)
	var r *dns.Msg
	var err error
	for _, network := range [...]string{"udp", "tcp"} {
		client := dns.Client{Net: network, Timeout: askTimeout}
		r, _, err = client.ExchangeContext(ctx, m, server.String())
		if err != nil {
			return nil, err
		}
		if !r.Truncated {
			break
		}
	}
	if !r.Response || len(r.Question) != 1 || r.Question[0].Qtype != dns.TypeA ||
		!strings.EqualFold(r.Question[0].Name, m.Question[0].Name) {
		return nil, errors.New("an answer to another question")
	}
	if r.Rcode != dns.RcodeSuccess && r.Rcode != dns.RcodeNameError {
		return nil, fmt.Errorf("the resolver answers %s", dns.RcodeToString[r.Rcode])
	}
	return r, nil
}

// How long answers are kept, whatever they say.
const (
	leastTTL = 30 * time.Second
	mostTTL  = 6 * time.Hour
	mostCode = 16
)

func read(r *dns.Msg) (answer, error) {
	a := answer{ttl: mostTTL}
	if r.Rcode == dns.RcodeNameError || len(r.Answer) == 0 {
		a.ttl = 5 * time.Minute
		for _, rr := range r.Ns {
			if soa, ok := rr.(*dns.SOA); ok {
				a.ttl = seconds(min(soa.Hdr.Ttl, soa.Minttl))
			}
		}
		a.ttl = min(max(a.ttl, leastTTL), time.Hour)
		return a, nil
	}
	var codes []netip.Addr
	for _, rr := range r.Answer {
		v, ok := rr.(*dns.A)
		if !ok {
			continue
		}
		code, _ := netip.AddrFromSlice(v.A.To4())
		b := code.As4()
		switch {
		case b[0] != 127:
			return answer{}, errOutside
		case b[1] == 255 && b[2] == 255, code == netip.AddrFrom4([4]byte{127, 0, 0, 1}):
			return answer{}, errRefuses
		}
		a.ttl = min(a.ttl, seconds(v.Hdr.Ttl))
		if len(codes) < mostCode {
			codes = append(codes, code)
		}
	}
	a.ttl = max(a.ttl, leastTTL)
	if len(codes) > 0 {
		a.listing = &Listing{Codes: codes, TTL: a.ttl}
	}
	return a, nil
}

func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }

// reversed gives 192.0.2.1 as "1.2.0.192." and an IPv6 address as its 32 nibbles.
func reversed(a netip.Addr) string {
	const hex = "0123456789abcdef"
	var s strings.Builder
	b := a.AsSlice()
	for i := len(b) - 1; i >= 0; i-- {
		if a.Is4() {
			fmt.Fprintf(&s, "%d.", b[i])
		} else {
			s.Write([]byte{hex[b[i]&15], '.', hex[b[i]>>4], '.'})
		}
	}
	return s.String()
}
