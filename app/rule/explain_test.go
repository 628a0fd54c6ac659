package rule

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"sekisho/app/flow"
)

func TestExplain(t *testing.T) {
	rule := func(id string, a Action, change func(r *Rule)) Rule {
		r := Rule{ID: id, Enabled: true, Action: a}
		change(&r)
		return r
	}
	s := NewSet([]Rule{
		rule("any", Block, func(r *Rule) {}),
		rule("lan", Allow, func(r *Rule) { r.Remote.LAN = true }),
		rule("curl", Allow, func(r *Rule) { r.Program.Path = "/usr/bin/curl" }),
		rule("curl-443", Allow, func(r *Rule) {
			r.Program.Path, r.Ports, r.Protocol = "/usr/bin/curl", []PortRange{{443, 443}, {8443, 8443}}, flow.TCP
		}),
		rule("curl-site", Block, func(r *Rule) { r.Program.Path, r.Remote.Domain = "/usr/bin/curl", "example.com" }),
		rule("curl-address", Allow, func(r *Rule) {
			r.Program.Path, r.Remote.Address = "/usr/bin/curl", netip.MustParseAddr("192.0.2.9")
		}),
		rule("off", Allow, func(r *Rule) { r.Enabled, r.Program.Path, r.User = false, "/usr/bin/curl", "bob" }),
		rule("ended", Allow, func(r *Rule) { r.Lifetime = Lifetime{Kind: Boot, Boot: "old"} }),
		rule("script", Allow, func(r *Rule) { r.Program.Script = "/home/a/backup.py" }),
		rule("parent", Allow, func(r *Rule) { r.Program.Parent, r.Direction = "/usr/bin/bash", In }),
		rule("checksum", Allow, func(r *Rule) { r.Program.SHA256, r.Program.Unit = genSums[0], "cron.service" }),
		rule("package", Allow, func(r *Rule) { r.Program.Package = "curl" }),
		rule("wget", Allow, func(r *Rule) { r.Program.Path = "/usr/bin/wget" }),
		rule("quit", Allow, func(r *Rule) { *r = quitsWith(8, 80); r.ID, r.Enabled, r.Action = "quit", true, Allow }),
	})
	q := Query{
		Process: &flow.Process{
			ProcessID: flow.ProcessID{PID: 7, Start: 70}, UID: 1000, User: "alice",
			Program: flow.Program{Path: "/usr/bin/curl"}, Parents: []flow.Ancestor{{Path: "/usr/bin/zsh"}},
		},
		Protocol: flow.TCP,
		Remote:   flow.Endpoint{Addr: netip.MustParseAddr("192.0.2.1"), Port: 80, Name: "www.example.com"},
	}
	const want = `
script: false
  direction +direction out matches
  program.script -the program runs no script, so not /home/a/backup.py
curl-address: false
  direction +direction out matches
  program.path +program /usr/bin/curl matches
  remote.address -address 192.0.2.1 is not 192.0.2.9
curl-site: true, won
  direction +direction out matches
  program.path +program /usr/bin/curl matches
  remote.domain +host www.example.com matches *.example.com
curl-443: false
  direction +direction out matches
  program.path +program /usr/bin/curl matches
  protocol +protocol tcp matches
  ports -port 80 is not 443,8443
off: false, switched off
  direction +direction out matches
  program.path +program /usr/bin/curl matches
  user -user alice (1000) is not bob
curl: true, lost to curl-site by destination: *.example.com over any
  direction +direction out matches
  program.path +program /usr/bin/curl matches
checksum: false
  direction +direction out matches
  program.sha256 -checksum is unknown, not aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
  program.unit -unit is unknown, not cron.service
package: false
  direction +direction out matches
  program.package -package is unknown, not curl
parent: false
  direction -direction out is not in
  program.parent -started by /usr/bin/zsh is not /usr/bin/bash
quit: false
  direction +direction out matches
  lifetime.process -process 7 is not 8 or one that it started
lan: false
  direction +direction out matches
  remote.lan -www.example.com is not on the local network
any: true, lost to curl-site by program: /usr/bin/curl over any
  direction +direction out matches
ended: false, ended
  direction +direction out matches
`
	if got := explained(s.Explain(q, Clock{Boot: "b"})); got != want[1:] {
		t.Errorf("got:\n%s\nwant:%s", got, want)
	}
}

func explained(considered []Consideration) string {
	var b strings.Builder
	for _, c := range considered {
		fmt.Fprintf(&b, "%s: %v", c.Rule.ID, c.Matched)
		switch {
		case c.Won:
			b.WriteString(", won")
		case c.By != "":
			fmt.Fprintf(&b, ", lost to %s by %s: %s over %s", c.To.ID, c.By, c.Theirs, c.Ours)
		case c.Off != "":
			fmt.Fprintf(&b, ", %s", c.Off)
		}
		b.WriteString("\n")
		for _, k := range c.Checks {
			fmt.Fprintf(&b, "  %s %s%s\n", k.Operand, map[bool]string{true: "+", false: "-"}[k.Matched], k.Why)
		}
	}
	return b.String()
}
