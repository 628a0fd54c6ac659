package format

import "strings"

// ipset reads what "ipset save" writes: create NAME TYPE …, add NAME ENTRY …. An entry
// marked nomatch is an exception; one that has a port or an interface is left.
type ipset struct{}

func (ipset) line(text, _ string, to *sink) outcome {
	if text == "" || text[0] == '#' {
		return lineEmpty
	}
	f := strings.Fields(text)
	switch strings.TrimLeft(f[0], "-") {
	case "create", "N", "flush", "F", "COMMIT", "destroy", "X", "swap", "W", "rename", "E":
		return lineEmpty
	case "add", "A":
	default:
		return wrong("not a command of ipset")
	}
	for len(f) > 1 && strings.HasPrefix(f[1], "-") { // add -exist NAME x
		f = append(f[:1], f[2:]...)
	}
	if len(f) < 3 {
		return wrong("add without an entry")
	}
	if strings.Contains(f[2], ",") {
		return leave("depends on more than an address")
	}
	p, why, ok := parseNetworks(f[2])
	if !ok {
		return wrong(why)
	}
	how := flags{}
	for _, w := range f[3:] {
		if w == "comment" {
			break
		}
		how.exception = how.exception || w == "nomatch"
	}
	return takeAll(p, to, how)
}
