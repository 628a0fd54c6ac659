package machine

import (
	"strings"
	"testing"

	"sekisho/service/machine/ruleset"
)

func TestEnglish(t *testing.T) {
	place := ruleset.Place{Hook: ruleset.Output, Family: ruleset.IPv4, Table: "filter", Chain: "ufw-user-output", Handle: 7, Number: 1, Rule: "tcp dport 25 drop", Comment: "no mail", Author: ruleset.UFW}
	filter := func(e ruleset.Effect, to string) *ruleset.Step { return &ruleset.Step{Place: place, Effect: e, To: to} }
	packet := map[string]string{"packet": FirstPacket}
	policy := filter(ruleset.Drop, "")
	policy.Rule, policy.Number, policy.Comment = "", 0, ""
	doubt := filter("", "")
	doubt.Unsure = "a limit"
	for _, c := range []struct {
		step       Step
		what, want string
	}{
		{Step{Code: FilterRule, Outcome: Dropped, Values: packet, Filter: filter(ruleset.Drop, "")},
			"ufw: ip filter ufw-user-output rule 1", `It drops the first packet: tcp dport 25 drop ("no mail").`},
		{Step{Code: FilterRule, Outcome: Perhaps, Values: map[string]string{"packet": Answer}, Filter: filter(ruleset.Reject, "")},
			"ufw: ip filter ufw-user-output rule 1", `It perhaps rejects the answer: tcp dport 25 drop ("no mail").`},
		{Step{Code: FilterRule, Values: packet, Filter: filter(ruleset.Jump, "x")}, "ufw: ip filter ufw-user-output rule 1",
			`It sends the first packet to chain x: tcp dport 25 drop ("no mail").`},
		{Step{Code: FilterRule, Values: packet, Filter: filter(ruleset.Mark, "0x7")}, "ufw: ip filter ufw-user-output rule 1",
			`It marks the first packet with 0x7: tcp dport 25 drop ("no mail").`},
		{Step{Code: FilterPolicy, Outcome: Dropped, Values: packet, Filter: policy}, "ufw: ip filter ufw-user-output",
			"The chain's policy drops the first packet: no rule of it decided."},
		{Step{Code: FilterDoubt, Values: packet, Filter: doubt}, "ufw: ip filter ufw-user-output rule 1",
			`It can't be told whether this matches the first packet, because it depends on a limit: tcp dport 25 drop ("no mail").`},
		{Step{Code: RouteFound, Values: map[string]string{"to": "192.0.2.1", "interface": "eth0", "gateway": "10.0.0.1", "source": "10.0.0.2"}}, "route",
			"Packets to 192.0.2.1 leave by eth0 through 10.0.0.1, from 10.0.0.2."},
		{Step{Code: RouteUnreachable, Values: map[string]string{"to": "192.0.2.1", "route": "unreachable 192.0.2.0/24"}}, "route",
			"The routes say that 192.0.2.1 is unreachable (unreachable 192.0.2.0/24)."},
		{Step{Code: NeighbourFailed, Values: map[string]string{"to": "192.0.2.1", "interface": "eth0", "gateway": "10.0.0.1"}}, "neighbour",
			"The gateway 10.0.0.1 does not answer on eth0."},
		{Step{Code: NameUnknown, Values: map[string]string{"search": "a.example", "server": "10.0.0.1"}}, "resolver",
			"The name server 10.0.0.1 says that there is no name a.example."},
	} {
		if got := c.step.What(); got != c.what {
			t.Errorf("%s: got %q, want %q", c.step.Code, got, c.what)
		}
		if got := c.step.English(); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// TestEveryStepIsSaid looks at what real reports say: nothing is left to be filled in.
func TestEveryStepIsSaid(t *testing.T) {
	s := newScene(t)
	s.DNS.Set("mail.example.com", s.Remote.Addr4, s.Remote.Addr6)
	s.run(ufwRules, "iptables-nft-restore")
	s.nft("table ip x { chain o { type filter hook output priority 1; limit rate 1/hour drop |}|}")
	f := s.mail()
	f.Remote.Name = "mail.example.com"
	f.Remote.Addr = s.Home.Addr4.Next().Prev() // itself, too
	for range 2 {
		r := s.look(f)
		steps := r.Names
		for _, p := range r.Paths {
			steps = append(steps, p.Steps...)
		}
		if len(steps) < 2 {
			t.Errorf("%d steps, want some", len(steps))
		}
		for _, step := range steps {
			if said := step.English(); said == "" || step.What() == "" || strings.ContainsAny(said, "{}") {
				t.Errorf("%s: %q, %q", step.Code, step.What(), said)
			}
		}
		f.Remote.Addr = s.Remote.Addr4
		f.Remote.Port = 587
	}
}
