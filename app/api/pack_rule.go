package api

import (
	"fmt"
	"net/netip"
	"time"

	"sekisho/app/api/sekishopb"
	"sekisho/app/flow"
	"sekisho/app/rule"
)

// PackRule writes r as a message.
func PackRule(r rule.Rule) *sekishopb.Rule {
	m := &sekishopb.Rule{
		Id:        text(r.ID),
		Enabled:   r.Enabled,
		Action:    packAction(r.Action),
		Direction: sekishopb.Direction(r.Direction),
		Program: &sekishopb.RuleProgram{
			Path:    []byte(r.Program.Path),
			Script:  []byte(r.Program.Script),
			Package: []byte(r.Program.Package),
			App:     []byte(r.Program.App),
			Unit:    []byte(r.Program.Unit),
			Parent:  []byte(r.Program.Parent),
			Sha256:  text(r.Program.SHA256),
			Folder:  []byte(r.Program.Folder),
		},
		User:     text(r.User),
		Remote:   packRemote(r.Remote),
		Protocol: uint32(r.Protocol),
		Network:  text(r.Network),
		Lifetime: &sekishopb.Lifetime{
			Kind:     text(string(r.Lifetime.Kind)),
			Boot:     text(r.Lifetime.Boot),
			Deadline: int64(r.Lifetime.Deadline),
			Until:    packTime(r.Lifetime.Until),
			Process:  packProcessID(r.Lifetime.Process),
		},
		Note:     text(r.Note),
		Created:  packTime(r.Created),
		By:       text(r.By),
		Origin:   text(string(r.Origin)),
		Hits:     r.Hits,
		LastUsed: packTime(r.LastUsed),
	}
	for _, p := range r.Ports {
		m.Ports = append(m.Ports, &sekishopb.PortRange{From: uint32(p.From), To: uint32(p.To)})
	}
	return m
}

// UnpackRule reads a message. It checks that each field can be held, not that the
// rule makes sense: that is rule.Rule.Validate.
func UnpackRule(m *sekishopb.Rule) (rule.Rule, error) {
	g := m.GetProgram()
	r := rule.Rule{
		ID:      m.GetId(),
		Enabled: m.GetEnabled(),
		Program: rule.Program{
			Path:    string(g.GetPath()),
			Script:  string(g.GetScript()),
			Package: string(g.GetPackage()),
			App:     string(g.GetApp()),
			Unit:    string(g.GetUnit()),
			Parent:  string(g.GetParent()),
			SHA256:  g.GetSha256(),
			Folder:  string(g.GetFolder()),
		},
		User:     m.GetUser(),
		Network:  m.GetNetwork(),
		Lifetime: unpackLifetime(m.GetLifetime()),
		Note:     m.GetNote(),
		Created:  unpackTime(m.GetCreated()),
		By:       m.GetBy(),
		Origin:   rule.Origin(m.GetOrigin()),
		Hits:     m.GetHits(),
		LastUsed: unpackTime(m.GetLastUsed()),
	}
	var err error
	if r.Action, err = unpackAction(m.GetAction()); err != nil {
		return rule.Rule{}, err
	}
	if r.Direction, err = unpackRuleDirection(m.GetDirection()); err != nil {
		return rule.Rule{}, err
	}
	if r.Protocol, err = unpackProtocol(m.GetProtocol()); err != nil {
		return rule.Rule{}, err
	}
	if r.Ports, err = unpackPorts(m.GetPorts()); err != nil {
		return rule.Rule{}, err
	}
	if r.Remote, err = unpackRemote(m.GetRemote()); err != nil {
		return rule.Rule{}, err
	}
	return r, nil
}

func unpackLifetime(m *sekishopb.Lifetime) rule.Lifetime {
	var process flow.ProcessID
	if m.GetProcess() != nil {
		process = unpackProcessID(m.GetProcess())
	}
	return rule.Lifetime{
		Kind:     rule.LifetimeKind(m.GetKind()),
		Boot:     m.GetBoot(),
		Deadline: time.Duration(m.GetDeadline()),
		Until:    unpackTime(m.GetUntil()),
		Process:  process,
	}
}

func packRemote(r rule.Remote) *sekishopb.Remote {
	m := &sekishopb.Remote{
		Name:      text(r.Name),
		Domain:    text(r.Domain),
		Address:   packAddr(r.Address),
		RangeFrom: packAddr(r.Range.From),
		RangeTo:   packAddr(r.Range.To),
		Lan:       r.LAN,
		List:      text(r.List),
	}
	if r.Network.IsValid() {
		m.Network = r.Network.String()
	}
	return m
}

func unpackRemote(m *sekishopb.Remote) (rule.Remote, error) {
	r := rule.Remote{Name: m.GetName(), Domain: m.GetDomain(), LAN: m.GetLan(), List: m.GetList()}
	var err error
	if r.Address, err = unpackAddr(m.GetAddress()); err != nil {
		return rule.Remote{}, err
	}
	if r.Range.From, err = unpackAddr(m.GetRangeFrom()); err != nil {
		return rule.Remote{}, err
	}
	if r.Range.To, err = unpackAddr(m.GetRangeTo()); err != nil {
		return rule.Remote{}, err
	}
	if n := m.GetNetwork(); n != "" {
		if r.Network, err = netip.ParsePrefix(n); err != nil {
			return rule.Remote{}, fmt.Errorf("network %q: want an address and a length such as 192.168.0.0/16", n)
		}
	}
	return r, nil
}

func unpackPorts(ms []*sekishopb.PortRange) ([]rule.PortRange, error) {
	var ports []rule.PortRange
	for _, m := range ms {
		from, err := unpackPort(m.GetFrom())
		if err != nil {
			return nil, err
		}
		to, err := unpackPort(m.GetTo())
		if err != nil {
			return nil, err
		}
		ports = append(ports, rule.PortRange{From: from, To: to})
	}
	return ports, nil
}

func packAction(a rule.Action) sekishopb.Verdict {
	switch a {
	case rule.Allow:
		return sekishopb.Verdict_ALLOW
	case rule.Block:
		return sekishopb.Verdict_BLOCK
	}
	return sekishopb.Verdict_WAITING
}

func unpackAction(v sekishopb.Verdict) (rule.Action, error) {
	switch v {
	case sekishopb.Verdict_ALLOW:
		return rule.Allow, nil
	case sekishopb.Verdict_BLOCK:
		return rule.Block, nil
	}
	return 0, fmt.Errorf("action %d: want allow or block", v)
}

func unpackRuleDirection(d sekishopb.Direction) (rule.Direction, error) {
	switch d {
	case sekishopb.Direction_OUT, sekishopb.Direction_IN, sekishopb.Direction_BOTH:
		return rule.Direction(d), nil
	}
	return 0, fmt.Errorf("direction %d: want out, in or both", d)
}
