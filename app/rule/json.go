package rule

import (
	"encoding/json"
	"errors"
	"time"

	"sekisho/app/flow"
)

// document is a rule as JSON has it: the names of the contract, and beside them what
// a lifetime needs to go on after it was read back. Operands are text here, so that
// the one that is wrong can be named.
type document struct {
	ID        string            `json:"id"`
	Enabled   *bool             `json:"enabled"` // absent: true
	Action    string            `json:"action"`
	Direction string            `json:"direction"` // absent: out
	Program   programDocument   `json:"program"`
	User      string            `json:"user,omitempty"`
	Remote    *remoteDocument   `json:"remote,omitempty"`
	Ports     []string          `json:"ports,omitempty"`
	Protocol  string            `json:"protocol,omitempty"`
	Network   string            `json:"network_profile,omitempty"`
	Lifetime  *lifetimeDocument `json:"lifetime"` // absent: always
	Note      string            `json:"note"`
	Created   string            `json:"created,omitempty"`
	By        string            `json:"by"`
	Origin    Origin            `json:"origin"`
	Hits      uint64            `json:"hits"`
	LastUsed  string            `json:"last_used,omitempty"`
}

type programDocument struct {
	Path    string `json:"path,omitempty"`
	Script  string `json:"script,omitempty"`
	Package string `json:"package,omitempty"`
	App     string `json:"app,omitempty"`
	Folder  string `json:"folder,omitempty"`
	Unit    string `json:"unit,omitempty"`
	Parent  string `json:"parent,omitempty"`
	SHA256  string `json:"sha256,omitempty"`
}

type remoteDocument struct {
	Name    string `json:"name,omitempty"`
	Domain  string `json:"domain,omitempty"`
	Address string `json:"address,omitempty"`
	Network string `json:"network,omitempty"`
	Range   string `json:"range,omitempty"`
	LAN     bool   `json:"lan,omitempty"`
	List    string `json:"list,omitempty"`
}

type lifetimeDocument struct {
	Kind     LifetimeKind     `json:"kind"`
	Until    string           `json:"until,omitempty"`
	Left     string           `json:"left,omitempty"` // worked out when it is written; ignored when it is read
	Boot     string           `json:"boot,omitempty"`
	Deadline int64            `json:"deadline_ns,omitempty"`
	Process  *processDocument `json:"process,omitempty"`
}

type processDocument struct {
	PID   uint32 `json:"pid"`
	Start uint64 `json:"start"`
}

// MarshalJSON writes r as the contract has it, without what is left of its lifetime.
func (r Rule) MarshalJSON() ([]byte, error) {
	d, err := documentOf(&r)
	if err != nil {
		return nil, err
	}
	return json.Marshal(d)
}

// MarshalListed is MarshalJSON with what is left of the lifetime now.
func MarshalListed(r Rule, now Clock) ([]byte, error) {
	d, err := documentOf(&r)
	if err != nil {
		return nil, err
	}
	if left, ok := Left(&r, now); ok {
		d.Lifetime.Left = left.Round(time.Second).String()
	}
	return json.Marshal(d)
}

// UnmarshalJSON reads what MarshalJSON writes. It refuses unknown and repeated names
// and control characters, and does not Validate.
func (r *Rule) UnmarshalJSON(b []byte) error {
	v, _, err := readRule(b)
	if err == nil {
		*r = v
	}
	return err
}

func documentOf(r *Rule) (*document, error) {
	if r.Action != Allow && r.Action != Block || r.Direction > Both {
		return nil, errors.New("write rule " + r.ID + ": it has no action or direction")
	}
	d := &document{
		ID: r.ID, Enabled: &r.Enabled, Action: r.Action.String(), Direction: r.Direction.String(),
		Program: programDocument(r.Program), User: r.User, Protocol: r.Protocol.String(),
		Network: r.Network, Note: r.Note, Created: formatTime(r.Created), By: r.By, Origin: r.Origin,
		Hits: r.Hits, LastUsed: formatTime(r.LastUsed),
	}
	for _, p := range r.Ports {
		d.Ports = append(d.Ports, p.String())
	}
	if !r.Remote.IsAny() {
		d.Remote = remoteOf(&r.Remote)
	}
	l := r.Lifetime.normal()
	d.Lifetime = &lifetimeDocument{
		Kind: l.Kind, Until: formatTime(l.Until), Boot: l.Boot, Deadline: int64(l.Deadline),
	}
	if p := l.Process; p != (flow.ProcessID{}) {
		d.Lifetime.Process = &processDocument{p.PID, p.Start}
	}
	return d, nil
}

func remoteOf(r *Remote) *remoteDocument {
	d := &remoteDocument{Name: r.Name, Domain: r.Domain, LAN: r.LAN, List: r.List}
	if r.Address.IsValid() {
		d.Address = r.Address.String()
	}
	if r.Network.IsValid() {
		d.Network = r.Network.String()
	}
	if (r.Range != AddrRange{}) {
		d.Range = r.Range.String()
	}
	return d
}

// rule is d with its text read; errors are *OperandError.
func (d *document) rule() (Rule, error) {
	r := Rule{
		ID: d.ID, Enabled: d.Enabled == nil || *d.Enabled, Program: Program(d.Program), User: d.User,
		Network: d.Network, Note: d.Note, By: d.By, Origin: d.Origin, Hits: d.Hits,
		Lifetime: Lifetime{Kind: Always},
	}
	var e firstError
	r.Action = read(&e, "action", d.Action, ParseAction)
	if d.Direction != "" {
		r.Direction = read(&e, "direction", d.Direction, ParseDirection)
	}
	for _, p := range d.Ports {
		r.Ports = append(r.Ports, read(&e, "ports", p, ParsePortRange))
	}
	r.Protocol = read(&e, "protocol", d.Protocol, parseProtocol)
	r.Created = read(&e, "created", d.Created, parseTime)
	r.LastUsed = read(&e, "last_used", d.LastUsed, parseTime)
	if m := d.Remote; m != nil {
		r.Remote = Remote{Name: m.Name, Domain: m.Domain, LAN: m.LAN, List: m.List}
		r.Remote.Address = readSome(&e, "remote.address", m.Address, parseAddress)
		r.Remote.Network = readSome(&e, "remote.network", m.Network, parseNetwork)
		r.Remote.Range = readSome(&e, "remote.range", m.Range, ParseAddrRange)
	}
	if l := d.Lifetime; l != nil {
		r.Lifetime = Lifetime{Kind: l.Kind, Boot: l.Boot, Deadline: time.Duration(l.Deadline)}
		r.Lifetime.Until = read(&e, "lifetime.until", l.Until, parseTime)
		if l.Process != nil {
			r.Lifetime.Process = flow.ProcessID{PID: l.Process.PID, Start: l.Process.Start}
		}
	}
	return r, e.err
}

type firstError struct{ err error }

func read[T any](e *firstError, operand, s string, parse func(string) (T, error)) T {
	v, err := parse(s)
	if err != nil && e.err == nil {
		e.err = &OperandError{operand, err}
	}
	return v
}

// readSome leaves out what is absent.
func readSome[T any](e *firstError, operand, s string, parse func(string) (T, error)) (v T) {
	if s == "" {
		return v
	}
	return read(e, operand, s, parse)
}

func parseProtocol(s string) (flow.Protocol, error) {
	p, err := flow.ParseProtocol(s)
	if err != nil {
		return 0, badf("%.40q is no protocol: want a name such as tcp, udp or icmp, or a number from 1 to 255", s)
	}
	return p, nil
}

func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// parseTime reads RFC 3339; nothing is the zero time.
func parseTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, badf("%.40q is not a time such as 2026-01-31T15:04:05Z", s)
	}
	return t.UTC(), nil
}
