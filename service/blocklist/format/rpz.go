package format

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// rpz reads a response policy zone. The owner is what a record is about: a name, a
// name with *. before it (all below, not itself), or an address turned round under
// rpz-ip. CNAME rpz-passthru. is an exception; any other policy keeps the answer away.
type rpz struct {
	origin string // without a dot at its end, lower case
	owner  string // of the record before
	open   int    // brackets that aren't closed
}

func (z *rpz) line(text, raw string, to *sink) outcome {
	text = cutZoneComment(text)
	if text == "" {
		return lineEmpty
	}
	if z.open > 0 { // the rest of a SOA
		z.count(text)
		return lineEmpty
	}
	if text[0] == '$' {
		return z.directive(text)
	}
	z.count(text)
	f := strings.Fields(text)
	if raw[0] != ' ' && raw[0] != '\t' {
		z.owner, f = f[0], f[1:]
	}
	for len(f) > 0 && (strings.EqualFold(f[0], "IN") || ttl(f[0])) {
		f = f[1:]
	}
	if len(f) == 0 || z.owner == "" {
		return wrong("not a record of a zone")
	}
	switch kind := strings.ToUpper(f[0]); kind {
	case "SOA":
		if z.origin == "" && strings.HasSuffix(z.owner, ".") {
			z.origin = strings.ToLower(strings.TrimSuffix(z.owner, "."))
		}
		return lineEmpty
	case "NS":
		return lineEmpty
	case "CNAME":
		if len(f) < 2 {
			return wrong("CNAME without a target")
		}
		return z.trigger(strings.ToLower(f[1]), to)
	case "A", "AAAA", "TXT", "DNAME", "MX", "SRV", "HTTPS", "SVCB":
		return z.trigger("", to)
	default:
		return wrong("not a record of a zone")
	}
}

func (z *rpz) count(text string) {
	z.open += strings.Count(text, "(") - strings.Count(text, ")")
	z.open = max(z.open, 0)
}

func (z *rpz) directive(text string) outcome {
	f := strings.Fields(text)
	switch strings.ToUpper(f[0]) {
	case "$ORIGIN":
		if len(f) < 2 {
			return wrong("$ORIGIN without a name")
		}
		if z.origin == "" {
			z.origin = strings.ToLower(strings.TrimSuffix(f[1], "."))
		}
		return lineEmpty
	case "$TTL":
		return lineEmpty
	case "$INCLUDE", "$GENERATE":
		return leave(f[0] + " isn't followed")
	}
	return wrong("not a record of a zone")
}

// trigger takes the record's owner with the policy of its CNAME, or "" for other data.
func (z *rpz) trigger(policy string, to *sink) outcome {
	owner := strings.ToLower(z.owner)
	if absolute, ok := strings.CutSuffix(owner, "."); ok {
		if z.origin == "" || !under(absolute, z.origin) {
			return leave("not of this zone")
		}
		owner = absolute[:len(absolute)-len(z.origin)-1]
	}
	f := exactly
	switch policy {
	case "rpz-passthru.":
		f.exception = true
	case "rpz-tcp-only.":
		return leave("asks again over TCP instead of blocking")
	}
	if owner == "@" {
		return leave("the zone itself")
	}
	i := strings.LastIndexByte(owner, '.')
	switch owner[i+1:] {
	case "rpz-ip":
		p, ok := rpzNetwork(owner[:max(i, 0)])
		if !ok {
			return wrong("not an address turned round")
		}
		return to.network(p, f)
	case "rpz-client-ip", "rpz-nsip", "rpz-nsdname":
		return leave("is about who asks or who answers")
	}
	if owner == "*" {
		if f.exception {
			return leave("an exception of everything")
		}
		return outcome{hostile, "every name would be blocked"}
	}
	if n, ok := strings.CutPrefix(owner, "*."); ok {
		owner, f.exact, f.below = n, false, true
	}
	return to.name(owner, f)
}

// rpzNetwork reads 24.0.2.0.192 and 128.1.zz.db8.2001.
func rpzNetwork(s string) (netip.Prefix, bool) {
	parts := strings.Split(s, ".")
	bits, err := strconv.Atoi(parts[0])
	if err != nil || len(parts) < 2 {
		return netip.Prefix{}, false
	}
	parts = parts[1:]
	slices.Reverse(parts)
	text := strings.Join(parts, ".")
	if len(parts) != 4 || slices.Contains(parts, "zz") || bits > 32 {
		text = strings.Join(parts, ":")
		text = strings.Replace(text, "zz", "", 1)
		if strings.HasPrefix(text, ":") {
			text = ":" + text
		}
		if strings.HasSuffix(text, ":") {
			text += ":"
		}
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, false
	}
	p, err := a.Prefix(bits)
	return p, err == nil
}

// ttl says whether a word is a time to live: 3600 or 1h30m.
func ttl(s string) bool {
	return s[0] >= '0' && s[0] <= '9' && strings.Trim(strings.ToLower(s), "0123456789smhdw") == ""
}

// cutZoneComment drops what follows a semicolon outside quotes.
func cutZoneComment(s string) string {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			quoted = !quoted
		case ';':
			if !quoted {
				return strings.TrimSpace(s[:i])
			}
		}
	}
	return s
}
