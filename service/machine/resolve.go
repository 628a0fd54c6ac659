package machine

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Resolve finds a name's addresses as the system's resolver does: the file of hosts, then
// the name servers one after the other, under each of the search domains. Without any
// address the last step says why.
func (m *Machine) Resolve(ctx context.Context, name string) ([]Step, []netip.Addr) {
	return m.resolve(ctx, name, true)
}

// ResolveHere is Resolve without asking anybody else: what others are asked is a way out of
// this machine.
func (m *Machine) ResolveHere(name string) ([]Step, []netip.Addr) {
	return m.resolve(context.Background(), name, false)
}

func (m *Machine) resolve(ctx context.Context, name string, ask bool) ([]Step, []netip.Addr) {
	values := func(more ...string) map[string]string {
		v := map[string]string{"name": name}
		for i := 0; i+1 < len(more); i += 2 {
			v[more[i]] = more[i+1]
		}
		return v
	}
	if _, ok := dns.IsDomainName(name); !ok || name == "" {
		return []Step{{Code: NameInvalid, Outcome: Dropped, Values: values()}}, nil
	}
	hosts := or(m.Hosts, "/etc/hosts")
	if found := inHosts(hosts, name); len(found) > 0 {
		return []Step{{Code: NameInHosts, Outcome: Passes, Values: values("file", hosts, "answer", joined(found))}}, found
	}
	if isLocalhost(name) {
		found := []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
		return []Step{{Code: NameInHosts, Outcome: Passes, Values: values("answer", joined(found))}}, found
	}
	if nss := or(m.NSSwitch, "/etc/nsswitch.conf"); isLocal(name) && asksNetwork(nss) {
		return []Step{{Code: NameMulticast, Outcome: Perhaps, Values: values("file", nss)}}, nil
	}
	if !ask {
		return []Step{{Code: NameNotAsked, Outcome: Passes, Values: values()}}, nil
	}
	file := or(m.Resolv, "/etc/resolv.conf")
	c, err := dns.ClientConfigFromFile(file)
	if err != nil || len(c.Servers) == 0 {
		return []Step{{Code: NameNoServer, Outcome: Dropped, Values: values("file", file)}}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, or(m.NameDeadline, 5*time.Second))
	defer cancel()
	q := question{config: c, values: values}
	for _, full := range c.NameList(name) {
		if found := q.ask(ctx, full); len(found) > 0 {
			return q.steps, found
		}
	}
	return q.verdict(), nil
}

func or[T comparable](a, b T) T {
	var zero T
	if a == zero {
		return b
	}
	return a
}

func isLocalhost(name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// isLocal: names of one network, which its devices answer for themselves (RFC 6762).
func isLocal(name string) bool {
	return strings.HasSuffix(strings.ToLower(strings.TrimSuffix(name, ".")), ".local")
}

// asksNetwork reports whether the system's resolver asks the local network for such names.
func asksNetwork(file string) bool {
	b, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "hosts:"); ok {
			return strings.Contains(rest, "mdns") || strings.Contains(rest, "resolve")
		}
	}
	return false
}

// inHosts looks a name up in a file like /etc/hosts.
func inHosts(file, name string) []netip.Addr {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	name = strings.TrimSuffix(name, ".")
	var found []netip.Addr
	for line := range strings.Lines(string(b)) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) < 2 || !slices.ContainsFunc(fields[1:], func(s string) bool { return strings.EqualFold(s, name) }) {
			continue
		}
		if a, err := netip.ParseAddr(fields[0]); err == nil {
			found = append(found, a.Unmap())
		}
	}
	return found
}

func joined(addrs []netip.Addr) string {
	var all []string
	for _, a := range addrs {
		all = append(all, a.String())
	}
	return strings.Join(all, " ")
}

// question asks the name servers and notes what each says.
type question struct {
	config *dns.ClientConfig
	values func(...string) map[string]string
	steps  []Step
	silent map[string]bool // servers that said nothing: not asked again
}

// ask asks for both kinds of address under one full name.
func (q *question) ask(ctx context.Context, name string) []netip.Addr {
	var found []netip.Addr
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		found = append(found, q.askFor(ctx, name, kind, kind == dns.TypeAAAA && len(found) > 0)...)
		if n := len(q.steps); n > 0 && q.steps[n-1].Code == NameUnknown {
			break // of whatever kind
		}
	}
	return found
}

// askFor asks the servers until one says yes or no. Quiet: what isn't there is no news.
func (q *question) askFor(ctx context.Context, name string, kind uint16, quiet bool) []netip.Addr {
	for _, server := range q.config.Servers {
		if q.silent[server] {
			continue
		}
		reply, err := exchange(ctx, net.JoinHostPort(server, q.config.Port), name, kind, q.each(ctx))
		v := q.values("server", server, "search", strings.TrimSuffix(name, "."), "type", dns.TypeToString[kind])
		s := Step{Outcome: Dropped, Values: v}
		switch {
		case err != nil:
			s.Code, v["error"] = NameNoAnswer, plain(err)
			if q.silent == nil {
				q.silent = map[string]bool{}
			}
			q.silent[server] = true
		case reply.Rcode == dns.RcodeNameError:
			s.Code = NameUnknown
		case reply.Rcode != dns.RcodeSuccess:
			s.Code, v["error"] = NameRefused, dns.RcodeToString[reply.Rcode]
		default:
			found := addresses(reply)
			s.Code = NameEmpty
			if len(found) > 0 {
				s.Code, s.Outcome, v["answer"] = NameFound, Passes, joined(found)
			}
			if len(found) > 0 || !quiet {
				q.steps = append(q.steps, s)
			}
			return found
		}
		if !quiet {
			q.steps = append(q.steps, s)
		}
		if s.Code == NameUnknown {
			return nil
		}
	}
	return nil
}

// each is how long one server may take.
func (q *question) each(ctx context.Context) time.Duration {
	d := time.Duration(max(1, q.config.Timeout)) * time.Second
	if end, ok := ctx.Deadline(); ok {
		d = min(d, time.Until(end)/time.Duration(max(1, len(q.config.Servers)-len(q.silent))))
	}
	return d
}

// verdict puts the step that tells most last: a server's no says more than silence.
func (q *question) verdict() []Step {
	weight := map[Code]int{NameNoAnswer: 0, NameRefused: 1, NameUnknown: 2, NameEmpty: 3}
	steps := q.steps
	best := -1
	for i, s := range steps {
		if best < 0 || weight[s.Code] > weight[steps[best].Code] {
			best = i
		}
	}
	if best >= 0 {
		s := steps[best]
		steps = append(slices.Delete(steps, best, best+1), s)
	}
	return steps
}

func plain(err error) string {
	var t interface{ Timeout() bool }
	if errors.As(err, &t) && t.Timeout() {
		return "timeout"
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err.Error()
	}
	return err.Error()
}

// exchange asks one server, over TCP if the answer does not fit.
func exchange(ctx context.Context, server, name string, kind uint16, limit time.Duration) (*dns.Msg, error) {
	q := new(dns.Msg).SetQuestion(name, kind)
	q.SetEdns0(1232, false)
	for _, network := range []string{"udp", "tcp"} {
		c := &dns.Client{Net: network, Timeout: limit}
		reply, _, err := c.ExchangeContext(ctx, q, server)
		if err != nil {
			return nil, err
		}
		if !reply.Truncated {
			return reply, nil
		}
	}
	return nil, errors.New("the answer is cut off")
}

func addresses(m *dns.Msg) []netip.Addr {
	var found []netip.Addr
	for _, rr := range m.Answer {
		var ip net.IP
		switch rr := rr.(type) {
		case *dns.A:
			ip = rr.A
		case *dns.AAAA:
			ip = rr.AAAA
		}
		if a, ok := netip.AddrFromSlice(ip); ok {
			found = append(found, a.Unmap())
		}
	}
	return found
}
