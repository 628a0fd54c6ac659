package learn

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"sekisho/app/flow"
	"sekisho/app/rule"
)

// Key is what rules can tell flows apart by. Addr and Name are the remote end; Port is the
// remote one of what goes out and the local one of what comes in.
type Key struct {
	Path      string         `json:"path"`
	Script    string         `json:"script,omitempty"`
	App       string         `json:"app,omitempty"`    // that the program is part of, where a rule may name it
	Inline    bool           `json:"inline,omitempty"` // an interpreter ran code that is no file
	Direction flow.Direction `json:"direction"`
	Protocol  flow.Protocol  `json:"protocol,omitempty"`
	Name      string         `json:"name,omitempty"`
	Addr      netip.Addr     `json:"address,omitzero"` // zero: there were too many to keep
	Port      uint16         `json:"port,omitempty"`   // zero: there are none, or there were too many to keep
	LAN       bool           `json:"lan,omitempty"`
	// Network is the profile of the local network that it was, with LAN alone: the same
	// address elsewhere is another machine.
	Network string `json:"network_profile,omitempty"`
}

// Facts are what a flow itself doesn't say.
type Facts struct {
	LAN     bool   // its remote end is on the local network
	Network string // profile of the network that it went by; empty: unknown
	Odd     bool   // a warning speaks against it
}

// Note is flows that rules can't tell apart.
type Note struct {
	Key
	Flows uint64    `json:"flows"`
	Users []uint32  `json:"users,omitempty"` // whose they were, at most maxUsers
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// maxUsers bounds the accounts that a Note names.
const maxUsers = 8

// keyOf is f's Key.
func keyOf(f *flow.Flow, facts Facts) Key {
	k := Key{
		Path: f.Process.Path, Script: f.Process.Script, Inline: f.Process.Inline,
		Direction: f.Direction, Protocol: f.Protocol,
		Name: rule.NormalName(f.Remote.Name), Addr: f.Remote.Addr.Unmap().WithZone(""), LAN: facts.LAN,
	}
	if facts.LAN {
		k.Network = rule.NormalNetwork(facts.Network)
	}
	if !f.Process.OwnApp {
		k.App = f.Process.App
	}
	if k.Inline {
		k.Script = "" // a rule for the script would not match
	}
	if rule.CheckName(k.Name) != nil {
		k.Name = ""
	}
	if f.Protocol.HasPorts() {
		k.Port = f.Remote.Port
		if f.Direction == flow.In {
			k.Port = f.Local.Port
		}
	}
	return k
}

// Query asks rules about the flows of k.
func (k *Key) Query() rule.Query {
	q := rule.Query{
		Process:   &flow.Process{Program: flow.Program{Path: k.Path, Script: k.Script, App: k.App, Inline: k.Inline}},
		Direction: k.Direction, Protocol: k.Protocol,
		Remote: flow.Endpoint{Addr: k.Addr, Name: k.Name}, LAN: k.LAN, Network: k.Network,
	}
	if k.Direction == flow.In {
		q.LocalPort = k.Port
	} else {
		q.Remote.Port = k.Port
	}
	return q
}

// program is who a rule for k names: an application as a whole, since the paths in it
// change with every version, else the executable and its script.
func (k *Key) program() rule.Program {
	if k.App != "" {
		return rule.Program{App: k.App}
	}
	return rule.Program{Path: k.Path, Script: k.Script}
}

// host is how a person calls the remote end; "" if there were too many to keep.
func (k *Key) host() string {
	switch {
	case k.Name != "":
		return k.Name
	case k.Addr.IsValid():
		return k.Addr.String()
	}
	return ""
}

func (k *Key) compare(o *Key) int {
	return cmp.Or(
		strings.Compare(k.App, o.App), strings.Compare(k.Path, o.Path), strings.Compare(k.Script, o.Script), compareBool(k.Inline, o.Inline),
		cmp.Compare(k.Direction, o.Direction), strings.Compare(k.Name, o.Name), k.Addr.Compare(o.Addr),
		cmp.Compare(k.Protocol, o.Protocol), cmp.Compare(k.Port, o.Port), compareBool(k.LAN, o.LAN), strings.Compare(k.Network, o.Network))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func (n *Note) add(uid uint32, at time.Time) {
	n.Flows++
	if n.First.IsZero() || at.Before(n.First) {
		n.First = at
	}
	if at.After(n.Last) {
		n.Last = at
	}
	if i, found := slices.BinarySearch(n.Users, uid); !found && len(n.Users) < maxUsers {
		n.Users = slices.Insert(n.Users, i, uid)
	}
}
