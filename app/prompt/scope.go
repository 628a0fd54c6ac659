package prompt

import (
	"errors"
	"fmt"

	"sekisho/app/flow"
	"sekisho/app/rule"
)

// Scopes are the offers for f, the narrowest first: this host on this port, all of
// this host, any host on this port, anything. Protocols without ports have no offers
// with one, and a flow whose other end is unknown has only the last.
func Scopes(f flow.Flow) []Scope {
	host, port := Destination(f), Service(f)
	all := []Scope{
		{Kind: HostAndPort, To: host, Port: port},
		{Kind: Host, To: host},
		{Kind: Port, Port: port},
		{Kind: Anything},
	}
	var offers []Scope
	for _, s := range all {
		if s.check() == nil {
			offers = append(offers, s)
		}
	}
	return offers
}

// DefaultScope is the offer that is chosen before anybody chooses: the narrowest.
func DefaultScope(f flow.Flow) Scope { return Scopes(f)[0] }

// Destination is the other end as a rule would name it: the host name that the
// program looked up if rules can hold it, else the address, else "".
func Destination(f flow.Flow) string {
	if n := rule.NormalName(f.Remote.Name); rule.CheckName(n) == nil {
		return n
	}
	if a := f.Remote.Addr; a.IsValid() {
		return a.Unmap().WithZone("").String()
	}
	return ""
}

// Service is the port that the flow is about: the remote one of an outgoing flow, the
// local one of an incoming flow, 0 where the protocol has none.
func Service(f flow.Flow) uint16 {
	switch {
	case !f.Protocol.HasPorts():
		return 0
	case f.Direction == flow.In:
		return f.Local.Port
	}
	return f.Remote.Port
}

// ParseScope makes a scope of a remote operand as rule.ParseRemote reads it ("" or
// "any": anybody) and a port (0: any).
func ParseScope(to string, port uint16) (Scope, error) {
	if to == "any" {
		to = ""
	}
	s := Scope{To: to, Port: port}
	switch {
	case to != "" && port != 0:
		s.Kind = HostAndPort
	case to != "":
		s.Kind = Host
	case port != 0:
		s.Kind = Port
	default:
		s.Kind = Anything
	}
	_, err := s.remote()
	return s, err
}

// check reports whether the fields are those that the kind needs.
func (s Scope) check() error {
	var to, port bool
	switch s.Kind {
	case HostAndPort:
		to, port = true, true
	case Host:
		to = true
	case Port:
		port = true
	case Anything:
	default:
		return fmt.Errorf("scope %.20q: want host-port, host, port or any", string(s.Kind))
	}
	if to != (s.To != "") || port != (s.Port != 0) {
		return fmt.Errorf("scope %s: its host or port doesn't fit", s.Kind)
	}
	return nil
}

var errBroadRemote = errors.New("an answer names a host, domain, address or network: for lan and lists add a rule")

// remote reads the destination.
func (s Scope) remote() (rule.Remote, error) {
	if s.To == "" {
		return rule.Remote{}, nil
	}
	r, err := rule.ParseRemote(s.To)
	switch {
	case err != nil:
		return rule.Remote{}, err
	case r.LAN || r.List != "" || r.IsAny():
		return rule.Remote{}, errBroadRemote
	}
	return r, nil
}
