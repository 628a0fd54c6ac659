package format

import (
	"net/netip"
	"strings"
)

// dnsmasq reads the lines of a dnsmasq configuration that make names unreachable:
// address=/x/ (to nobody), server=/x/ and local=/x/ (asked of nobody). They hold for x
// and all below; server=/x/# takes a part of it back.
type dnsmasq struct{}

func (dnsmasq) line(text, _ string, to *sink) outcome {
	text = cutComment(text)
	if text == "" {
		return lineEmpty
	}
	option, value, ok := strings.Cut(text, "=")
	if !ok {
		return wrong("not option=value")
	}
	option = strings.TrimPrefix(strings.TrimSpace(option), "--")
	if option != "address" && option != "server" && option != "local" {
		if strings.ContainsAny(option, " \t/|^:.") {
			return wrong("not option=value")
		}
		return leave("another option than address, server or local")
	}
	value = strings.TrimSpace(value)
	if !strings.HasPrefix(value, "/") {
		return leave("names no domain")
	}
	parts := strings.Split(value[1:], "/")
	target := parts[len(parts)-1]
	f := whole
	switch a, err := netip.ParseAddr(target); {
	case len(parts) < 2:
		return wrong("the domain isn't between two strokes")
	case target == "" || option == "address" && (target == "#" || err == nil && sinks(a)):
	case option == "server" && target == "#":
		f.exception = true
	default:
		return leave("sends the name elsewhere instead of blocking it")
	}
	for _, d := range parts[:len(parts)-1] {
		if o := dnsmasqName(d, f, to); o.kind != taken {
			return o
		}
	}
	return entryTaken
}

func dnsmasqName(d string, f flags, to *sink) outcome {
	if d == "#" || d == "" {
		if f.exception {
			return leave("an exception of everything")
		}
		return outcome{hostile, "every name would be blocked"}
	}
	if n, ok := strings.CutPrefix(d, "*."); ok {
		d, f.exact = n, false
	}
	return to.name(strings.TrimPrefix(d, "."), f)
}
