package names

import (
	"math"
	"slices"
	"strings"
	"time"
)

// follow walks from the question along its aliases to the addresses.
func follow(q Query, records []resource) Answer {
	a := Answer{Question: serviceHost(q.Question, q.Type)}
	owner, ttl := q.Question, uint32(math.MaxUint32)
	for range maxChain {
		next := ""
		for i := range records {
			r := &records[i]
			to, counts := r.leads(owner)
			if !counts {
				continue
			}
			if to != "" && next == "" {
				next = to
			}
			if r.addr.IsValid() {
				a.Addrs = append(a.Addrs, r.addr)
			}
			a.Addrs = append(a.Addrs, r.hints...)
			ttl = min(ttl, r.ttl)
		}
		if len(a.Addrs) > maxRecords {
			a.Addrs = a.Addrs[:maxRecords]
		}
		// An owner with addresses has no alias (RFC 1034, 3.6.2), but another server's name.
		if next != "" && next != a.Question && next != q.Question && !slices.Contains(a.Chain, next) {
			if len(a.Addrs) == 0 || ofService(q.Type) {
				a.Chain = append(a.Chain, next)
			}
		} else {
			break
		}
		if len(a.Addrs) > 0 {
			break
		}
		owner = next
	}
	if len(a.Addrs) > 0 {
		a.TTL = time.Duration(ttl) * time.Second
	}
	return a
}

func ofService(kind uint16) bool { return kind == typeHTTPS || kind == typeSVCB }

// leads says where a record leads from owner, "" if to nothing but addresses, and whether
// it is about owner at all.
func (r *resource) leads(owner string) (to string, counts bool) {
	switch {
	case r.kind == typeDNAME: // about what is below its owner (RFC 6672, 2.2)
		below, ok := strings.CutSuffix(owner, "."+r.owner)
		if r.owner == "" {
			below, ok = owner, owner != ""
		}
		if !ok || len(below)+1+len(r.target) > 253 {
			return "", false
		}
		return strings.TrimSuffix(below+"."+r.target, "."), true
	case r.owner != owner:
		return "", false
	}
	return r.target, true
}

// serviceHost is the host that a question is about: those for HTTPS and SVCB records may
// name a port and a scheme before it, as _8443._https.example.com (RFC 9460, 2.3).
func serviceHost(question string, kind uint16) string {
	if !ofService(kind) {
		return question
	}
	for strings.HasPrefix(question, "_") {
		_, rest, ok := strings.Cut(question, ".")
		if !ok {
			break
		}
		question = rest
	}
	return question
}
