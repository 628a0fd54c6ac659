package format

import (
	"net/netip"
	"strings"
)

// hosts reads the format of /etc/hosts: an address that leads nowhere, then names.
type hosts struct{}

func (hosts) line(text, _ string, to *sink) outcome {
	text = cutComment(text)
	if text == "" {
		return lineEmpty
	}
	address, rest, _ := cutField(text)
	a, err := netip.ParseAddr(address)
	if err != nil {
		return wrong("doesn't begin with an address")
	}
	if rest == "" {
		return wrong("an address without a name")
	}
	if !sinks(a) {
		return leave("gives a name an address instead of blocking it")
	}
	last := outcome{}
	for n := range strings.FieldsSeq(rest) {
		// Every such list begins as /etc/hosts does, with the names of the machine at
		// their own addresses. That blocks nothing; the same at 0.0.0.0 does.
		if c, ok := cleanName(n); ok && local(c) && a.IsLoopback() {
			last = leave("this machine's own name at its own address")
			continue
		}
		if _, err := netip.ParseAddr(n); err == nil {
			last = leave("an address for an address")
			continue
		}
		if o := to.name(n, exactly); o.kind != taken {
			last = o
			if o.kind == hostile {
				return o
			}
		}
	}
	return last
}

// sinks says whether nobody is at a.
func sinks(a netip.Addr) bool { return a.IsUnspecified() || a.Unmap().IsLoopback() }

// cutComment drops what follows # at the beginning or after a space, and space around.
func cutComment(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] == '#' && (i == 0 || s[i-1] == ' ' || s[i-1] == '\t') {
			return strings.TrimSpace(s[:i])
		}
	}
	return s
}

// cutField gives the first word and the rest.
func cutField(s string) (first, rest string, ok bool) {
	i := strings.IndexAny(s, " \t")
	if i < 0 {
		return s, "", false
	}
	return s[:i], strings.TrimSpace(s[i:]), true
}
