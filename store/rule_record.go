package store

import (
	"fmt"
	"net/netip"
	"time"

	"sekisho/app/flow"
	"sekisho/app/rule"
)

// ruleRecord is a rule on disk, version 2. A field may be added; a meaning changes
// only with a migration.
type ruleRecord struct {
	Disabled  bool           `json:"disabled,omitempty"`
	Action    string         `json:"action"`
	Direction string         `json:"direction"`
	Path      string         `json:"path,omitempty"`
	Script    string         `json:"script,omitempty"`
	Package   string         `json:"package,omitempty"`
	App       string         `json:"app,omitempty"`
	Folder    string         `json:"folder,omitempty"`
	Unit      string         `json:"unit,omitempty"`
	Parent    string         `json:"parent,omitempty"`
	SHA256    string         `json:"sha256,omitempty"`
	User      string         `json:"user,omitempty"`
	Name      string         `json:"name,omitempty"`
	Domain    string         `json:"domain,omitempty"`
	Address   netip.Addr     `json:"address,omitzero"`
	Prefix    netip.Prefix   `json:"prefix,omitzero"`
	From      netip.Addr     `json:"from,omitzero"`
	To        netip.Addr     `json:"to,omitzero"`
	LAN       bool           `json:"lan,omitempty"`
	List      string         `json:"list,omitempty"`
	Ports     [][2]uint16    `json:"ports,omitempty"`
	Protocol  uint8          `json:"protocol,omitempty"`
	Network   string         `json:"network,omitempty"`
	Lifetime  lifetimeRecord `json:"lifetime"`
	Note      string         `json:"note,omitempty"`
	Created   time.Time      `json:"created,omitzero"`
	By        string         `json:"by,omitempty"`
	Origin    string         `json:"origin"`
	Hits      uint64         `json:"hits,omitempty"`
	LastUsed  time.Time      `json:"last_used,omitzero"`
}

type lifetimeRecord struct {
	Kind     string    `json:"kind"`
	Boot     string    `json:"boot,omitempty"`
	Deadline int64     `json:"deadline,omitempty"` // ns on CLOCK_BOOTTIME
	Until    time.Time `json:"until,omitzero"`
	PID      uint32    `json:"pid,omitempty"`
	Start    uint64    `json:"start,omitempty"`
}

var (
	actionNames    = map[rule.Action]string{rule.Allow: "allow", rule.Block: "block"}
	directionNames = map[rule.Direction]string{rule.Out: "out", rule.In: "in", rule.Both: "both"}

	actions    = reversed(actionNames)
	directions = reversed(directionNames)
	lifetimes  = map[rule.LifetimeKind]bool{rule.Always: true, rule.Boot: true, rule.Quit: true, rule.Until: true, rule.Once: true}
)

func reversed[V comparable](names map[V]string) map[string]V {
	m := make(map[string]V, len(names))
	for v, n := range names {
		m[n] = v
	}
	return m
}

// newRuleRecord refuses what ruleRecord.rule could not read back.
func newRuleRecord(r rule.Rule) (ruleRecord, error) {
	rec := ruleRecord{
		Disabled: !r.Enabled, Action: actionNames[r.Action], Direction: directionNames[r.Direction],
		Path: toText(r.Program.Path), Script: toText(r.Program.Script), Parent: toText(r.Program.Parent),
		Folder:  toText(r.Program.Folder),
		Package: r.Program.Package, App: toText(r.Program.App), Unit: r.Program.Unit, SHA256: r.Program.SHA256,
		User: r.User, Name: r.Remote.Name, Domain: r.Remote.Domain, Address: r.Remote.Address,
		Prefix: r.Remote.Network, From: r.Remote.Range.From, To: r.Remote.Range.To,
		LAN: r.Remote.LAN, List: r.Remote.List, Protocol: uint8(r.Protocol), Network: r.Network,
		Lifetime: lifetimeRecord{
			Kind: string(r.Lifetime.Kind), Boot: r.Lifetime.Boot, Deadline: int64(r.Lifetime.Deadline),
			Until: r.Lifetime.Until.UTC(), PID: r.Lifetime.Process.PID, Start: r.Lifetime.Process.Start,
		},
		Note: r.Note, Created: r.Created.UTC(), By: r.By, Origin: string(r.Origin),
		Hits: r.Hits, LastUsed: r.LastUsed.UTC(),
	}
	for _, p := range r.Ports {
		rec.Ports = append(rec.Ports, [2]uint16{p.From, p.To})
	}
	return rec, rec.check()
}

func (rec *ruleRecord) check() error {
	if _, ok := actions[rec.Action]; !ok {
		return fmt.Errorf("rule has no action")
	}
	if _, ok := directions[rec.Direction]; !ok {
		return fmt.Errorf("rule has no direction")
	}
	if !lifetimes[rule.LifetimeKind(rec.Lifetime.Kind)] {
		return fmt.Errorf("rule has no lifetime (%q)", rec.Lifetime.Kind)
	}
	return nil
}

func (rec *ruleRecord) rule(id string) (rule.Rule, error) {
	err := rec.check()
	if err == nil {
		err = texts(&rec.Path, &rec.Script, &rec.Parent, &rec.Folder, &rec.App)
	}
	if err != nil {
		return rule.Rule{}, fmt.Errorf("%w: rule %q: %w", errDamaged, id, err)
	}
	r := rule.Rule{
		ID: id, Enabled: !rec.Disabled, Action: actions[rec.Action], Direction: directions[rec.Direction],
		Program: rule.Program{
			Path: rec.Path, Script: rec.Script, Package: rec.Package, App: rec.App, Unit: rec.Unit,
			Folder: rec.Folder, Parent: rec.Parent, SHA256: rec.SHA256,
		},
		User: rec.User,
		Remote: rule.Remote{
			Name: rec.Name, Domain: rec.Domain, Address: rec.Address, Network: rec.Prefix,
			Range: rule.AddrRange{From: rec.From, To: rec.To}, LAN: rec.LAN, List: rec.List,
		},
		Protocol: flow.Protocol(rec.Protocol), Network: rec.Network,
		Lifetime: rule.Lifetime{
			Kind: rule.LifetimeKind(rec.Lifetime.Kind), Boot: rec.Lifetime.Boot,
			Deadline: time.Duration(rec.Lifetime.Deadline), Until: rec.Lifetime.Until,
			Process: flow.ProcessID{PID: rec.Lifetime.PID, Start: rec.Lifetime.Start},
		},
		Note: rec.Note, Created: rec.Created, By: rec.By, Origin: rule.Origin(rec.Origin),
		Hits: rec.Hits, LastUsed: rec.LastUsed,
	}
	for _, p := range rec.Ports {
		r.Ports = append(r.Ports, rule.PortRange{From: p[0], To: p[1]})
	}
	return r, nil
}

func decodeRule(key, record []byte) (rule.Rule, error) {
	var rec ruleRecord
	if err := decode(key, record, &rec); err != nil {
		return rule.Rule{}, err
	}
	return rec.rule(string(key))
}
