package machine

import (
	"fmt"
	"strings"

	"sekisho/service/machine/ruleset"
)

// What names what looked at the connection, in a few words for a table's first column.
func (s Step) What() string {
	if f := s.Filter; f != nil {
		if f.Number > 0 {
			return fmt.Sprintf("%s: %s %s %s rule %d", f.Author, f.Family, f.Table, f.Chain, f.Number)
		}
		return fmt.Sprintf("%s: %s %s %s", f.Author, f.Family, f.Table, f.Chain)
	}
	kind, _, _ := strings.Cut(string(s.Code), "-")
	return map[string]string{
		"name": "resolver", "route": "route", "link": "link", "neighbour": "neighbour", "port": "port",
		"filter": "packet filter", "try": "attempt",
	}[kind]
}

// English is one plain sentence about the step, for the command line.
func (s Step) English() string {
	if s.Filter != nil {
		return s.filterEnglish()
	}
	text := sentences[s.Code]
	if s.Code == NeighbourFailed && s.Values["gateway"] != "" {
		text = "The gateway {gateway} does not answer on {interface}."
	}
	for _, c := range clauses {
		if v := s.Values[c.value]; v != "" && !strings.Contains(text, "{"+c.value+"}") && c.of[s.Code] {
			text = strings.TrimSuffix(text, ".") + c.text + "."
		}
	}
	for k, v := range s.Values {
		text = strings.ReplaceAll(text, "{"+k+"}", v)
	}
	return text
}

var sentences = map[Code]string{
	NameFound:     "{search} is {answer}, says the name server {server}.",
	NameInHosts:   "{name} is {answer}, without asking a name server.",
	NameUnknown:   "The name server {server} says that there is no name {search}.",
	NameEmpty:     "The name server {server} knows {search}, but no address of it.",
	NameNoAnswer:  "The name server {server} does not answer when asked for {search}.",
	NameRefused:   "The name server {server} does not look up {search}: {error}.",
	NameNoServer:  "No name server is set up in {file}.",
	NameInvalid:   "{name} is not a host name.",
	NameMulticast: "{name} is a name of the local network; whether a device there has it was not asked.",
	NameNotAsked:  "The address of {name} is not known here, and no name server was asked.",

	RouteFound:       "Packets to {to} leave by {interface}.",
	RouteMissing:     "There is no route to {to}.",
	RouteUnreachable: "The routes say that {to} is unreachable.",
	RouteProhibited:  "The routes prohibit {to}.",
	RouteBlackhole:   "The routes throw away what is for {to}.",
	RouteError:       "The kernel finds no route to {to}: {error}.",
	LinkDown:         "Packets to {to} would leave by {interface}, which is down.",
	LinkNoCarrier:    "Packets to {to} would leave by {interface}, which is not plugged in.",
	NeighbourFailed:  "{to} does not answer on {interface}.",
	PortZero:         "No port was named, so rules about ports can't be judged.",

	TryConnected: "It connected to {to} after {after}.",
	TryRefused:   "{to} was tried, and the connection was refused after {after}.",
	TryFailed:    "{to} was tried, and it failed after {after}: {error}.",
	TryNoAnswer:  "{to} was tried, and nothing came back within {after}.",
	TrySent:      "A datagram was sent to {to}; nothing says whether it arrived.",
	TryUntraced:  "The kernel's trace shows no packet to {to}.",
}

// clauses are added where there is more to say.
var clauses = []struct {
	value, text string
	of          map[Code]bool
}{
	{"gateway", " through {gateway}", map[Code]bool{RouteFound: true}},
	{"source", ", from {source}", map[Code]bool{RouteFound: true}},
	{"table", ", by routing table {table}", map[Code]bool{RouteFound: true}},
	{"route", " ({route})", map[Code]bool{RouteUnreachable: true, RouteProhibited: true, RouteBlackhole: true}},
	{"file", " (it is in {file})", map[Code]bool{NameInHosts: true}},
}

var packetWords = map[string]string{FirstPacket: "the first packet", Answer: "the answer", NextPacket: "what follows the answer", Neighbour: "neighbour discovery"}

var effectWords = map[ruleset.Effect]string{
	ruleset.Accepted: "accepts", ruleset.Drop: "drops", ruleset.Reject: "rejects", ruleset.Queue: "hands to queue {to}",
	ruleset.Jump: "sends to chain {to}", ruleset.Goto: "sends to chain {to}", ruleset.Return: "goes back to the chain before with",
	ruleset.Translate: "sends to {to}", ruleset.Mark: "marks with {to}", ruleset.Untrack: "keeps from connection tracking",
	ruleset.NoDecision: "matches",
}

func (s Step) filterEnglish() string {
	f, packet := s.Filter, packetWords[s.Values["packet"]]
	rule := ""
	if f.Rule != "" {
		rule = ": " + f.Rule
	}
	if f.Comment != "" {
		rule += fmt.Sprintf(" (%q)", f.Comment)
	}
	if s.Code == FilterDoubt {
		return fmt.Sprintf("It can't be told whether this matches %s, because it depends on %s%s.", packet, f.Unsure, rule)
	}
	does := strings.ReplaceAll(effectWords[f.Effect], "{to}", f.To)
	if f.Effect == ruleset.Mark || f.Effect == ruleset.Queue || f.Effect == ruleset.Translate || f.Effect == ruleset.Jump || f.Effect == ruleset.Goto {
		verb, rest, _ := strings.Cut(does, " ")
		does = verb + " " + packet + " " + rest
	} else {
		does += " " + packet
	}
	if s.Outcome == Perhaps {
		does = "perhaps " + does
	}
	if s.Code == FilterPolicy {
		return fmt.Sprintf("The chain's policy %s: no rule of it decided.", does)
	}
	return fmt.Sprintf("It %s%s.", does, rule)
}
