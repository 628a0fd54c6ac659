package machine

import (
	"fmt"
	"maps"
	"strings"

	"sekisho/app/flow"
	"sekisho/service/machine/ruleset"
)

// Remedy is what would keep a step from stopping a connection. The tray has sentences for
// its code; English is one for the command line.
type Remedy struct {
	Code    string
	Values  map[string]string
	English string
}

// Remedies say what would keep the step from stopping f, the least first; none if it does
// not, or if nothing on this machine would. Commands among them are for a shell.
func (s Step) Remedies(f flow.Flow) []Remedy {
	if f := s.Filter; f != nil && f.Rule == "" && s.Code == FilterRule {
		return nil // whoever asks may not see it
	}
	values := maps.Clone(s.Values)
	if values == nil {
		values = map[string]string{}
	}
	codes := remedies[s.Code]
	if s.Filter != nil {
		codes = filterRemedies(s, f, values)
	}
	var all []Remedy
	for _, code := range codes {
		text := remedyWords[code]
		for k, v := range values {
			text = strings.ReplaceAll(text, "{"+k+"}", v)
		}
		all = append(all, Remedy{Code: code, Values: values, English: text})
	}
	return all
}

var remedies = map[Code][]string{
	NameUnknown: {"spell"}, NameEmpty: {"spell"}, NameInvalid: {"spell"}, NameMulticast: {"device"},
	NameNoAnswer: {"name-server"}, NameRefused: {"name-server"}, NameNoServer: {"set-name-server"},
	RouteMissing: {"connect", "add-route"}, RouteError: {"connect"},
	RouteUnreachable: {"take-route"}, RouteProhibited: {"take-route"}, RouteBlackhole: {"take-route"},
	LinkDown: {"link-up"}, LinkNoCarrier: {"plug"}, NeighbourFailed: {"neighbour"},
	TryRefused: {"listen"}, TryNoAnswer: {"other-end"}, TryFailed: {"other-end"},
}

var remedyWords = map[string]string{
	"spell":           "See whether the name is written as it should be.",
	"device":          "See whether that device is switched on and in this network.",
	"name-server":     "See whether the name server works, or name another one in the network's settings.",
	"set-name-server": "Name a name server in the network's settings (it goes to {file}).",
	"connect":         "Connect this computer to a network that leads there.",
	"add-route":       "Add a route: sudo ip route add {to} via GATEWAY.",
	"take-route":      "Take that route away: ip route show table all lists it.",
	"link-up":         "Switch it on: sudo ip link set {interface} up.",
	"plug":            "Plug in the cable of {interface}, or use another network.",
	"neighbour":       "See whether that device is switched on and in this network.",
	"listen":          "See whether the service over there runs, and on that port.",
	"other-end":       "Nothing on this computer stopped it: ask whoever runs the network or the other end.",

	"nft-delete":      "Take the rule away: sudo nft delete rule {family} {table} {chain} handle {handle}.",
	"nft-accept":      "Accept it in that chain: sudo nft insert rule {family} {table} {chain} {match} accept.",
	"iptables-delete": "Take the rule away: sudo {iptables} -t {table} -D {chain} {number}.",
	"iptables-accept": "Accept it in that chain: sudo {iptables} -t {table} -I {chain} {match} -j ACCEPT.",
	"ufw-allow":       "Allow it in ufw: sudo ufw allow {match} (sudo ufw status numbered lists what ufw has).",
	"ufw-show":        "Change it in ufw: sudo ufw status numbered lists what ufw has.",
	"firewalld-port":  "Allow it in firewalld: sudo firewall-cmd --add-port={match}.",
	"firewalld-show":  "Change it in firewalld: sudo firewall-cmd --list-all-policies lists what it has.",
	"fail2ban":        "Take the ban away: sudo fail2ban-client unban {address}.",
	"queue":           "See what the program says that listens to that queue, if one does: {file} lists who.",
	"author":          "The rule is of {author}: change it there.",
}

// filterRemedies are about a rule or a policy of another packet filter.
func filterRemedies(s Step, f flow.Flow, values map[string]string) []string {
	if s.Outcome == Passes || s.Code == FilterDoubt {
		return nil
	}
	p, first := s.Filter.Place, s.Values["packet"] == FirstPacket
	for k, v := range map[string]string{
		"family": p.Family.String(), "table": quoted(p.Table), "chain": quoted(p.Chain), "author": string(p.Author),
		"handle": fmt.Sprint(p.Handle), "number": fmt.Sprint(p.Number), "address": f.Remote.Addr.String(),
	} {
		values[k] = v
	}
	if s.Filter.Effect == ruleset.Queue {
		values["file"] = "/proc/net/netfilter/nfnetlink_queue"
		return []string{"queue"}
	}
	port := f.Remote.Port
	if f.Direction == flow.In {
		port = f.Local.Port
	}
	ports := (f.Protocol == flow.TCP || f.Protocol == flow.UDP) && port != 0
	switch p.Author {
	case ruleset.UFW:
		if !ports || !first {
			return []string{"ufw-show"}
		}
		values["match"] = fmt.Sprintf("%d/%s", port, f.Protocol)
		if f.Direction == flow.Out {
			values["match"] = "out " + values["match"]
		}
		return []string{"ufw-allow"}
	case ruleset.Firewalld:
		if !ports || !first || f.Direction == flow.Out {
			return []string{"firewalld-show"}
		}
		values["match"] = fmt.Sprintf("%d/%s", port, f.Protocol)
		return []string{"firewalld-port"}
	case ruleset.Fail2ban:
		return []string{"fail2ban"}
	case ruleset.IPTables, ruleset.OldTables:
		values["iptables"] = iptablesOf(p)
		if p.Number > 0 {
			return []string{"iptables-delete"}
		}
		values["match"] = "-m conntrack --ctstate ESTABLISHED,RELATED"
		if first && ports {
			values["match"] = fmt.Sprintf("-p %s --dport %d", f.Protocol, port)
		}
		return []string{"iptables-accept"}
	case ruleset.NFTables, ruleset.Sekisho:
		if p.Number > 0 {
			return []string{"nft-delete"}
		}
		values["match"] = "ct state established,related"
		if first && ports {
			values["match"] = fmt.Sprintf("%s dport %d", f.Protocol, port)
		}
		return []string{"nft-accept"}
	}
	return []string{"author"}
}

func iptablesOf(p ruleset.Place) string {
	name := "iptables"
	if p.Family == ruleset.IPv6 {
		name = "ip6tables"
	}
	if p.Legacy {
		return name + "-legacy"
	}
	return name + "-nft"
}

// quoted is s as a shell takes it for one word: in a container others name the chains.
func quoted(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// WithoutText is s for those who may not read the rules of packet filters: it names the
// table, the chain and whose they are, and not what the rule says.
func (s Step) WithoutText() Step {
	if s.Filter != nil {
		f := *s.Filter
		f.Rule, f.Comment, f.Handle, f.To = "", "", 0, ""
		s.Filter = &f
	}
	return s
}
