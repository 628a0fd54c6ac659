package rule

import (
	"slices"
	"time"
)

// Normal returns r in the one form in which rules are kept and compared: names in
// lower case without the dot at their end, networks masked, ports sorted and joined,
// times in UTC, an absent lifetime as Always. It shares no memory with r.
func Normal(r Rule) Rule {
	r.Program = r.Program.normal()
	r.User = normalUser(r.User)
	r.Remote = r.Remote.normal()
	r.Ports = normalPorts(r.Ports)
	r.Network = NormalNetwork(r.Network)
	r.Lifetime = r.Lifetime.normal()
	r.Created, r.LastUsed = normalTime(r.Created), normalTime(r.LastUsed)
	return r
}

func normalTime(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.Round(0).UTC()
}

// usable reports whether a Set can match every operand of r, which is normal, as it
// is meant. What can't be matched must not count as "any".
func (r *Rule) usable() bool {
	return (r.Action == Allow || r.Action == Block) && r.Direction <= Both &&
		r.Remote.check() == nil && checkNetwork(r.Network) == nil
}

var origins = []Origin{FromAnswer, FromEditor, FromCommand, FromImport, FromPreset, FromLearn}

func (o Origin) valid() bool { return o == "" || slices.Contains(origins, o) }
