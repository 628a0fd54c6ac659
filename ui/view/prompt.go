package view

import (
	"cmp"
	"net/netip"
	"path"
	"strconv"
	"strings"
	"time"

	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/ui/text"
)

// Level says how loudly a fact is told.
type Level uint8

const (
	PlainFact Level = iota
	GoodFact
)

// Fact is one line about a waiting flow: a glyph of package assets and a sentence.
type Fact struct {
	Glyph string
	Text  string
	Level Level
}

// Row is one line of the details.
type Row struct {
	Key, Value string
	Mono       bool
}

// LifetimeChoice is one answer to "for how long": its label, how it ends the preview
// sentence, and what it makes of a rule.
type LifetimeChoice struct {
	Label    string
	Lifetime rule.LifetimeKind
	For      time.Duration

	sentence string
}

// ScopeChoice is one answer to "what for".
type ScopeChoice struct {
	Label string
	Scope prompt.Scope

	sentence string
}

// Question is a prompt as it is put to a person. Subject, Lead and Object make one
// sentence: "Firefox", "wants to connect to", "example.com". All its texts are safe to
// be shown.
type Question struct {
	ID         string
	Generation uint64

	Incoming      bool
	Subject       string // who wants something
	Lead          string
	Object        string // whom they want it of
	ObjectDetail  string // address, port, service
	Icon          string // icon name or absolute file of the program, "" if it has none
	Glyph         string // stands in for a missing icon
	Known         bool   // false for a program that nothing is known about
	Facts         []Fact
	Warnings      []string
	Lifetimes     []LifetimeChoice
	FirstLifetime int // the one that is chosen at first
	Scopes        []ScopeChoice
	Details       []Row
	Flows         int
	Began         time.Time
	Deadline      time.Time
}

// Ask turns a prompt into what is said, in the language of package text.
func Ask(p prompt.Prompt) Question {
	f := p.Flow
	if f.Process == nil {
		f.Process = &flow.Process{}
	}
	q := Question{
		ID: p.ID, Generation: p.Generation, Incoming: f.Direction == flow.In,
		Icon: f.Process.Icon, Glyph: programGlyph(f.Process), Known: f.Process.Path != "" || f.Process.Kernel,
		Facts: facts(f), Warnings: warnings(p.Warnings),
		Lifetimes: lifetimes(f), Scopes: scopes(p), Details: details(p),
		Flows: p.Flows, Began: f.Time, Deadline: p.Deadline,
	}
	program, host := ProgramName(f.Process), text.Host(f.Remote.Host())
	if q.Incoming {
		q.Subject, q.Object = host, program
		q.Lead = text.T("prompt.lead.in." + nearness(f.Remote.Addr))
		q.ObjectDetail = portLine(f)
	} else {
		q.Subject, q.Object = program, host
		q.Lead = text.T("prompt.lead.out")
		q.ObjectDetail = portLine(f)
		if f.Remote.Name != "" {
			q.ObjectDetail = f.Remote.Addr.Unmap().String() + "  ·  " + q.ObjectDetail
		}
	}
	if q.risky() || !q.Known {
		q.FirstLifetime = 0
	} else {
		q.FirstLifetime = min(1, len(q.Lifetimes)-1)
	}
	return q
}

func (q Question) risky() bool { return len(q.Warnings) > 0 }

// Preview says in one sentence what the answer with these choices would mean.
func (q Question) Preview(lifetime, scope int) string {
	if lifetime >= len(q.Lifetimes) || scope >= len(q.Scopes) {
		return ""
	}
	return text.T("prompt.preview", "Scope", q.Scopes[scope].sentence, "Lifetime", q.Lifetimes[lifetime].sentence)
}

// Answer is the answer with these choices, to the question as it was shown.
func (q Question) Answer(a rule.Action, lifetime, scope int) prompt.Answer {
	out := prompt.Answer{Action: a, Lifetime: rule.Once, Generation: q.Generation}
	if lifetime < len(q.Lifetimes) {
		out.Lifetime, out.For = q.Lifetimes[lifetime].Lifetime, q.Lifetimes[lifetime].For
	}
	if scope < len(q.Scopes) {
		out.Scope = q.Scopes[scope].Scope
	}
	return out
}

// Countdown says what happens at the deadline, and how much of the time is left, from
// 1 to 0.
func (q Question) Countdown(now time.Time) (sentence string, left float32) {
	if q.Deadline.IsZero() {
		return "", 1
	}
	span := q.Deadline.Sub(now)
	seconds := max(0, int((span+time.Second-1)/time.Second))
	if total := q.Deadline.Sub(q.Began); total > 0 {
		left = max(0, min(1, float32(span)/float32(total)))
	}
	return text.T("prompt.countdown", "N", seconds), left
}

// SameAs reports whether a person would see the same question, whatever the number of
// connections and the generation: then nobody has to look again.
func (q Question) SameAs(o Question) bool {
	same := q.ID == o.ID && q.Incoming == o.Incoming && q.Subject == o.Subject && q.Object == o.Object &&
		q.ObjectDetail == o.ObjectDetail && len(q.Warnings) == len(o.Warnings) &&
		len(q.Facts) == len(o.Facts) && len(q.Scopes) == len(o.Scopes) && len(q.Lifetimes) == len(o.Lifetimes)
	if !same {
		return false
	}
	for i := range q.Warnings {
		same = same && q.Warnings[i] == o.Warnings[i]
	}
	for i := range q.Facts {
		same = same && q.Facts[i] == o.Facts[i]
	}
	for i := range q.Scopes {
		same = same && q.Scopes[i] == o.Scopes[i]
	}
	return same
}

// nearness says where an address is: "lan" or "internet".
func nearness(a netip.Addr) string {
	if a = a.Unmap(); a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsLoopback() {
		return "lan"
	}
	return "internet"
}

// programGlyph is what stands in for a program's icon.
func programGlyph(p *flow.Process) string {
	switch {
	case p.Script != "":
		return "script"
	case p.Kernel || p.Path == flow.KernelPath:
		return "gear"
	case p.Path == flow.ForwardedPath:
		return "globe"
	case p.Path == "":
		return "question"
	case p.UID != 0 && p.UID < 1000 || p.Unit != "" && strings.HasSuffix(p.Unit, ".service"):
		return "gear"
	case strings.HasPrefix(p.Path, "/home/") || strings.HasPrefix(p.Path, "/tmp/") || strings.HasPrefix(p.Path, "/var/tmp/"):
		return "file"
	}
	return "terminal"
}

// askedPort is the port whose service a flow is about: ours of incoming flows.
func askedPort(f flow.Flow) uint16 {
	if f.Direction == flow.In {
		return f.Local.Port
	}
	return f.Remote.Port
}

// portLine is "port 443 · HTTPS", or the protocol where there are no ports.
func portLine(f flow.Flow) string {
	port := askedPort(f)
	if port == 0 {
		return strings.ToUpper(f.Protocol.String())
	}
	s := text.T("prompt.port", "Port", port)
	if n := ServiceName(f.Protocol, port); n != "" {
		s += "  ·  " + n
	} else {
		s += "  ·  " + strings.ToUpper(f.Protocol.String())
	}
	return s
}

// facts are at most four lines in plain words.
func facts(f flow.Flow) []Fact {
	var out []Fact
	p := f.Process
	if s := servicePhrase(f); s != "" {
		out = append(out, Fact{"globe", s, PlainFact})
	}
	if p.Script != "" {
		out = append(out, Fact{"script", text.T("prompt.script", "Script", text.Safe(path.Base(p.Script)), "Program", executable(p)), PlainFact})
	}
	if s := startedBy(p.Parents); s != "" {
		out = append(out, Fact{"play", s, PlainFact})
	}
	switch {
	case p.Package != "" && p.Integrity != flow.Modified: // of that there is a warning
		out = append(out, Fact{"package", text.T("prompt.package", "Package", text.Safe(p.Package)), GoodFact})
	case p.App != "":
		level := GoodFact
		if p.OwnApp { // any program of the user can say so
			level = PlainFact
		}
		out = append(out, Fact{"package", text.T("prompt.app", "App", text.Safe(p.App)), level})
	}
	return out[:min(4, len(out))]
}

// servicePhrase says what a port is for: "Secure web (HTTPS, port 443)"; "" where that
// isn't known.
func servicePhrase(f flow.Flow) string {
	port := askedPort(f)
	name := ServiceName(f.Protocol, port)
	if name == "" {
		return ""
	}
	if port == 0 {
		return name
	}
	key := "prompt.service." + strings.ToLower(strings.ReplaceAll(name, " ", "-"))
	if !text.Has(key) {
		return text.T("prompt.service", "Service", name, "Port", port)
	}
	return text.T(key, "Port", port)
}

func executable(p *flow.Process) string { return text.Safe(path.Base(p.Path)) }

// startedBy names the nearest ancestors that mean something to a person: "Started by
// bash in Terminal".
func startedBy(parents []flow.Ancestor) string {
	var names []string
	for _, a := range parents {
		name := text.Safe(cmp.Or(a.Name, path.Base(a.Path)))
		if name == "" || name == "." || a.PID == 1 || name == "systemd" {
			continue
		}
		if len(names) == 0 || names[len(names)-1] != name {
			names = append(names, name)
		}
		if len(names) == 2 {
			return text.T("prompt.started-in", "Parent", names[0], "Where", names[1])
		}
	}
	if len(names) == 1 {
		return text.T("prompt.started", "Parent", names[0])
	}
	return ""
}

// warnings are the sentences of a prompt's warnings; one whose code has no translation
// is told in the service's own words.
func warnings(ws []prompt.Warning) []string {
	var out []string
	for _, w := range ws {
		if key := "prompt.warning." + w.Code; text.Has(key) {
			out = append(out, text.T(key, "Value", text.Safe(w.Value)))
		} else {
			out = append(out, text.Safe(w.Text))
		}
	}
	return out
}

// lifetimes are the choices of "for how long". A program that could not be found gets
// no rule: it would be one about any program.
func lifetimes(f flow.Flow) []LifetimeChoice {
	once := LifetimeChoice{text.T("prompt.lifetime.once"), rule.Once, 0, text.T("prompt.for.once")}
	if f.Process.Path == "" && !f.Process.Kernel {
		return []LifetimeChoice{once}
	}
	choices := []LifetimeChoice{once}
	if f.Process.IsFile() {
		choices = append(choices, LifetimeChoice{text.T("prompt.lifetime.quit"), rule.Quit, 0, text.T("prompt.for.quit", "Program", ProgramName(f.Process))})
	}
	return append(choices, []LifetimeChoice{
		{text.T("prompt.lifetime.hour"), rule.Until, time.Hour, text.T("prompt.for.hour")},
		{text.T("prompt.lifetime.boot"), rule.Boot, 0, text.T("prompt.for.boot")},
		{text.T("prompt.lifetime.always"), rule.Always, 0, text.T("prompt.for.always")},
	}...)
}

// scopes are the service's offers, in words.
func scopes(p prompt.Prompt) []ScopeChoice {
	var out []ScopeChoice
	f := p.Flow
	direction := f.Direction.String()
	_, err := netip.ParseAddr(f.Remote.Host())
	what := "site"
	switch {
	case f.Direction == flow.In:
		what = "peer"
	case err == nil:
		what = "address"
	}
	for _, s := range p.Scopes {
		to, port := text.Host(s.To), strconv.Itoa(int(s.Port))
		var label string
		switch s.Kind {
		case prompt.HostAndPort:
			label = text.T("prompt.scope.host-port", "Port", port)
		case prompt.Host:
			label = text.T("prompt.scope.host." + what)
		case prompt.Port:
			label = text.T("prompt.scope.port", "Port", port)
		default:
			label = text.T("prompt.scope.any")
		}
		kind := string(s.Kind)
		if s.Kind == prompt.HostAndPort && s.Port == 0 {
			kind, label = string(prompt.Host), text.T("prompt.scope.host."+what)
		}
		key := "prompt.what." + direction + "." + kind
		if !text.Has(key) {
			key = "prompt.what." + direction + ".any"
		}
		out = append(out, ScopeChoice{label, s, text.T(key, "To", to, "Port", port)})
	}
	return out
}
