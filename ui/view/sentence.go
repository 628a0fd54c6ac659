package view

import (
	"path"
	"strconv"
	"strings"
	"time"

	"sekisho/app/flow"
	"sekisho/app/rule"
	"sekisho/ui/text"
)

// Span is a piece of a sentence; the strong ones are what the sentence is about.
type Span struct {
	Text   string
	Strong bool
}

// Plain is a sentence without its emphasis.
func Plain(spans []Span) string {
	var b strings.Builder
	for _, s := range spans {
		b.WriteString(s.Text)
	}
	return b.String()
}

// Strong parts travel through the translations between these two brackets; untrusted
// keeps them out of what comes from programs.
const strongOn, strongOff = "⦃", "⦄"

func strong(s string) string { return strongOn + s + strongOff }

var brackets = strings.NewReplacer(strongOn, "{", strongOff, "}")

// untrusted makes words from a program, a name or a rule fit to be put into a sentence.
func untrusted(s string) string { return text.Safe(brackets.Replace(s)) }

func spans(s string) []Span {
	var out []Span
	add := func(s string, on bool) {
		if s != "" {
			out = append(out, Span{s, on})
		}
	}
	for {
		quiet, rest, _ := strings.Cut(s, strongOn)
		loud, after, found := strings.Cut(rest, strongOff)
		add(quiet, false)
		add(loud, true)
		if s = after; !found {
			return out
		}
	}
}

// Sentence says what a rule does, in the language of package text: "Allow curl to connect to
// example.com on port 443, until restart". Now is for a rule that ends at a time.
func Sentence(r rule.Rule, now time.Time) []Span {
	ports := portPhrase(r)
	s := text.T("rule."+actionKey(r.Action)+"."+directionKey(r.Direction),
		"Program", programPhrase(r), "Remote", remotePhrase(r), "Port", ports,
	)
	if r.Network != "" {
		s = text.T("rule.network", "Sentence", s, "Network", strong(untrusted(r.Network)))
	}
	if life := lifetimePhrase(r.Lifetime, now); life != "" {
		s = text.T("rule.lifetime", "Sentence", s, "Lifetime", life)
	}
	return spans(strings.TrimSpace(s))
}

func actionKey(a rule.Action) string {
	if a == rule.Allow {
		return "allow"
	}
	return "block"
}

func directionKey(d rule.Direction) string {
	return [...]string{rule.Out: "out", rule.In: "in", rule.Both: "both"}[d]
}

// RuleProgram is the short name of what a rule is about; "" if it is about any program.
func RuleProgram(p rule.Program) string {
	if p.Path != "" && !(flow.Program{Path: p.Path}).IsFile() {
		return ProgramName(&flow.Process{Program: flow.Program{Path: p.Path}})
	}
	for _, s := range []string{p.Script, p.Path} {
		if s != "" {
			return untrusted(path.Base(s))
		}
	}
	for _, s := range []string{p.App, p.Package, unit(p.Unit), p.Parent} {
		if s != "" {
			return untrusted(path.Base(s))
		}
	}
	return ""
}

// unit is what people call a systemd unit.
func unit(s string) string { return strings.TrimSuffix(s, ".service") }

func programPhrase(r rule.Rule) string {
	p := r.Program
	say := func(key, value string) string {
		return text.T("rule.program."+key, "Name", strong(untrusted(value)))
	}
	var s string
	switch {
	case p.Script != "" || p.Path != "":
		s = say("name", RuleProgram(p))
	case p.App != "":
		s, p.App = say("app", p.App), ""
	case p.Package != "":
		s, p.Package = say("package", p.Package), ""
	case p.Unit != "":
		s, p.Unit = say("unit", unit(p.Unit)), ""
	default:
		s = text.T("rule.program.any")
	}
	narrower := []struct{ key, value string }{
		{"in-app", p.App}, {"from-package", p.Package}, {"in-unit", unit(p.Unit)}, {"started-by", path.Base(p.Parent)}, {"run-by", r.User},
	}
	for _, n := range narrower {
		if n.value != "" && n.value != "." {
			s = text.T("rule.program."+n.key, "Program", s, "Name", strong(untrusted(n.value)))
		}
	}
	if p.SHA256 != "" {
		s = text.T("rule.program.exact-file", "Program", s)
	}
	return s
}

// RuleRemote is the short name of the other end that a rule names; "" if it names none.
func RuleRemote(r rule.Remote) string {
	switch {
	case r.Name != "":
		return untrusted(r.Name)
	case r.Domain != "":
		return untrusted(r.Domain)
	case r.Address.IsValid():
		return r.Address.String()
	case r.Network.IsValid():
		return r.Network.String()
	case r.Range.From.IsValid():
		return r.Range.From.String() + "–" + r.Range.To.String()
	case r.List != "":
		return untrusted(r.List)
	}
	return ""
}

func remotePhrase(r rule.Rule) string {
	name := strong(RuleRemote(r.Remote))
	incoming := r.Direction == rule.In
	switch {
	case r.Remote.Name != "", r.Remote.Address.IsValid(), r.Remote.Range.From.IsValid():
		return text.T("rule.remote.name", "Name", name)
	case r.Remote.Domain != "":
		return text.T("rule.remote.domain", "Name", name)
	case r.Remote.Network.IsValid():
		return text.T("rule.remote.network", "Name", name)
	case r.Remote.List != "":
		return text.T("rule.remote.list", "Name", name)
	case r.Remote.LAN && incoming:
		return text.T("rule.remote.lan.in")
	case r.Remote.LAN:
		return text.T("rule.remote.lan.out")
	case incoming:
		return text.T("rule.remote.any.in")
	case len(r.Ports) > 0:
		return text.T("rule.remote.any.site")
	}
	return text.T("rule.remote.any.out")
}

func portPhrase(r rule.Rule) string {
	protocol := strings.ToUpper(r.Protocol.String())
	if len(r.Ports) == 0 {
		if r.Protocol == flow.AnyProtocol {
			return ""
		}
		return text.T("rule.protocol", "Protocol", protocol)
	}
	list := make([]string, len(r.Ports))
	for i, p := range r.Ports {
		list[i] = strconv.Itoa(int(p.From))
		if p.To != p.From {
			list[i] += "–" + strconv.Itoa(int(p.To))
		}
	}
	key := "rule.ports"
	if len(r.Ports) == 1 && r.Ports[0].From == r.Ports[0].To {
		key = "rule.port"
	}
	if r.Protocol != flow.AnyProtocol {
		key += ".protocol"
	}
	return text.T(key, "Ports", strings.Join(list, ", "), "Protocol", protocol)
}

func lifetimePhrase(t rule.Lifetime, now time.Time) string {
	switch t.Kind {
	case rule.Boot, rule.Quit, rule.Once:
		return text.T("rule.until." + string(t.Kind))
	case rule.Until:
		return text.T("rule.until.time", "Time", Moment(t.Until, now))
	}
	return ""
}

// LifetimeLeft is what the mark of a temporary rule says, "" for one that stays.
func LifetimeLeft(t rule.Lifetime, now time.Time) string {
	switch t.Kind {
	case rule.Boot, rule.Quit, rule.Once:
		return text.T("rule.temporary")
	case rule.Until:
		return Left(t.Until.Sub(now))
	}
	return ""
}
