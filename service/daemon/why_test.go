package daemon_test

import (
	"encoding/json"
	"strings"
	"testing"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/rule"
	"sekisho/service/lab"
)

// mail is the story of the person whose mail isn't sent: a program that a rule allows, a
// server that is there, and somebody on this machine who is in the way.
type mail struct {
	*scene
	program *lab.Program
	to      string
}

func newMail(t *testing.T) *mail {
	m := &mail{scene: newScene(t), to: "mail.lab:25"}
	m.Remote.ServeEcho(25)
	m.DNS.Set("mail.lab", m.Remote.Addr4)
	m.DNS.Set("far.lab", m.Remote.AddAddress("203.0.113.7"))
	m.program = m.Home.Program("mail")
	m.rule(rule.Rule{Action: rule.Allow})
	return m
}

// rule makes one about the mail program, and returns its id.
func (m *mail) rule(r rule.Rule) string {
	m.t.Helper()
	r.Enabled, r.Program.Path = true, m.program.Path
	r, err := m.api.AddRule(m.t.Context(), r, 0)
	if err != nil {
		m.t.Fatal(err)
	}
	return r.ID
}

// home runs a command on Home that nobody filters.
func (m *mail) home(input string, args ...string) {
	m.t.Helper()
	c := m.Home.Command(m.t.Context(), args...)
	c.Stdin = strings.NewReader(strings.ReplaceAll(input, "|", "\n"))
	if out, err := c.CombinedOutput(); err != nil {
		m.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// explain is the last line of what sekishoctl explain prints, and all of it.
func (m *mail) explain(args ...string) (last, all string) {
	m.t.Helper()
	r, err := m.service.Ctl(m.t.Context(), append([]string{"explain"}, args...)...)
	if err != nil || r.Code != 0 {
		m.t.Fatalf("explain: %d, %v\n%s", r.Code, err, r.Err)
	}
	lines := strings.Split(strings.TrimSpace(r.Out), "\n")
	return lines[len(lines)-1], r.Out
}

// sends reports whether the program gets through.
func (m *mail) sends(to string) bool {
	out, _ := m.program.Run(m.t.Context(), "-echo", "-timeout", "400ms", "dns+tcp", to)
	return len(out) == 1 && out[0].OK
}

const (
	mailNFT = `table inet office {|chain out { type filter hook output priority 0|
		tcp dport 443 accept|tcp dport 25 counter drop comment "no mail"|}|}|`
	mailIPTables = "*filter|:OUTPUT ACCEPT|-A OUTPUT -p tcp --dport 443 -j ACCEPT|-A OUTPUT -p tcp --dport 25 -j REJECT|COMMIT|"
	mailUFW      = "*filter|:OUTPUT ACCEPT|:ufw-before-output -|:ufw-user-output -|" +
		"-A OUTPUT -j ufw-before-output|-A ufw-before-output -j ufw-user-output|-A ufw-user-output -p tcp --dport 25 -j DROP|COMMIT|"
)

// Of each of the six that may be in the way, explain names the one that is; and says that
// nothing is when nothing is, and then the mail is really sent.
func TestMailIsNotSent(t *testing.T) {
	m := newMail(t)
	m.sent(t)
	for _, c := range []struct {
		name, to string
		begin    func() (end func())
		want     []string // of the last line
	}{
		{"Sekisho's own rule", m.to, func() func() {
			id := m.rule(rule.Rule{Action: rule.Block, Protocol: flow.TCP, Ports: []rule.PortRange{{From: 25, To: 25}}})
			return func() {
				if err := m.api.RemoveRule(t.Context(), id); err != nil {
					t.Error(err)
				}
			}
		}, []string{"It is stopped by Sekisho, rule ", "block", "What would change it: Switch off what blocks it: sekishoctl rule disable ", "Or: Make a rule: sekishoctl rule add --action allow --program ", " --to mail.lab."}},
		{"Sekisho's own rule, at the name server", m.to, func() func() {
			id := m.rule(rule.Rule{Action: rule.Block, Protocol: flow.UDP, Ports: []rule.PortRange{{From: 53, To: 53}}})
			m.service.Restart() // what the program was told before is forgotten
			return func() {
				if err := m.api.RemoveRule(t.Context(), id); err != nil {
					t.Error(err)
				}
			}
		}, []string{"It is stopped by Sekisho, lookup: It may not ask the name server " + m.Remote.Addr4.String() + " for the address: blocked by rule "}},
		{"nftables", m.to, func() func() {
			m.home(mailNFT, "nft", "-f", "-")
			return func() { m.home("", "nft", "delete", "table", "inet", "office") }
		}, []string{"It is stopped by nft: inet office out rule 2: It drops the first packet: tcp dport 25 drop", "sudo nft delete rule inet office out handle "}},
		{"iptables-nft", m.to, func() func() {
			m.home(mailIPTables, "iptables-nft-restore")
			return func() { m.home("", "nft", "delete", "table", "ip", "filter") }
		}, []string{"It is stopped by iptables-nft: ip filter OUTPUT rule 2: It rejects the first packet: tcp dport 25", "sudo iptables-nft -t filter -D OUTPUT 2."}},
		{"ufw", m.to, func() func() {
			m.home(mailUFW, "iptables-nft-restore")
			return func() { m.home("", "nft", "delete", "table", "ip", "filter") }
		}, []string{"It is stopped by ufw: ip filter ufw-user-output rule 1: It drops the first packet", "sudo ufw allow out 25/tcp"}},
		{"a missing route", "far.lab:25", func() func() {
			m.home("", "ip", "-4", "route", "del", "default")
			return func() { m.home("", "ip", "-4", "route", "add", "default", "via", m.Remote.Addr4.String()) }
		}, []string{"It is stopped by route: There is no route to 203.0.113.7.", "Connect this computer to a network"}},
		{"a name that doesn't resolve", "nosuch.lab:25", func() func() { return func() {} },
			[]string{"It is stopped by resolver: The name server " + m.Remote.Addr4.String() + " says that there is no name nosuch.lab.", "See whether the name is written"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m.t = t
			end := c.begin()
			last, all := m.explain("--program", m.program.Path, "--to", c.to)
			for _, want := range c.want {
				if !strings.Contains(last, want) {
					t.Errorf("the last line lacks %q:\n%s", want, all)
				}
			}
			if m.sends(c.to) {
				t.Error("the mail was sent all the same")
			}
			end()
		})
	}
	m.sent(t)
}

// sent: explain says that nothing stops the mail, and nothing does.
func (m *mail) sent(t *testing.T) {
	t.Helper()
	m.t = t
	for _, to := range []string{m.to, "far.lab:25"} {
		if last, all := m.explain("--program", m.program.Path, "--to", to); last != "Nothing stops it." {
			t.Errorf("%s:\n%s", to, all)
		}
		if !m.sends(to) {
			t.Errorf("nothing stops it, but the mail to %s isn't sent", to)
		}
	}
}

// With --live one attempt is made, and the kernel's trace says where it ended.
func TestMailIsTried(t *testing.T) {
	m := newMail(t)
	for _, c := range []struct{ name, input, tool, undo, want string }{
		{"nothing", "", "", "", "Nothing stops it."},
		{"nftables", mailNFT, "nft", "inet office", "It is stopped by nft: inet office out rule 2: It drops the first packet: tcp dport 25"},
		{"iptables-nft", mailIPTables, "iptables-nft-restore", "ip filter", "It is stopped by iptables-nft: ip filter OUTPUT rule 2: It rejects the first packet"},
	} {
		switch c.tool {
		case "nft":
			m.home(c.input, "nft", "-f", "-")
		case "iptables-nft-restore":
			m.home(c.input, c.tool)
		}
		last, all := m.explain("--program", m.program.Path, "--to", m.to, "--live")
		_, attempt, traced := strings.Cut(all, "One attempt, as the kernel traced it:")
		if !strings.HasPrefix(last, c.want) || !traced || strings.Contains(attempt, "shows no packet") {
			t.Errorf("%s: want %q of an attempt:\n%s", c.name, c.want, all)
		}
		if c.name == "nothing" && !strings.Contains(attempt, "It connected to "+m.Remote.Addr4.String()+":25") {
			t.Errorf("no connection was made:\n%s", all)
		}
		if c.undo != "" {
			m.home("", append([]string{"nft", "delete", "table"}, strings.Fields(c.undo)...)...)
		}
	}
}

// A service that is filtered itself, as it is where every program is, lets its own attempt
// through, and nothing else of its own.
func TestAttemptIsAdmitted(t *testing.T) {
	m := newMail(t)
	m.service.Through("/bin/sh", "-c", `echo $$ >`+m.Filtered+`/cgroup.procs; exec "$@"`, "sh")
	m.service.Restart()
	target := m.Remote.Addr4.String() + ":25"
	if last, all := m.explain("--program", m.program.Path, "--to", target, "--live"); last != "Nothing stops it." || !strings.Contains(all, "It connected to "+target) {
		t.Errorf("%s", all)
	}
	m.prompts(0)
}

// A connection that was is explained by its id: what decided it then, and what would now.
func TestPastIsExplained(t *testing.T) {
	m := newMail(t)
	id := m.rule(rule.Rule{Action: rule.Block, Protocol: flow.TCP, Ports: []rule.PortRange{{From: 25, To: 25}}})
	if m.sends(m.to) {
		t.Fatal("the mail is sent")
	}
	var past string
	m.eventually("the blocked connection", func() bool {
		err := m.api.Activity(t.Context(), api.ActivityFilter{Program: m.program.Path, Verdict: flow.Block}, func(f flow.Flow) { past = f.ID })
		if err != nil {
			t.Fatal(err)
		}
		return past != ""
	})
	m.service.Restart() // from the disk
	last, all := m.explain(past)
	if !strings.Contains(all, "It was blocked, by rule "+id+", which is still there.") || !strings.HasPrefix(last, "It is stopped by Sekisho, rule "+id) {
		t.Errorf("the rule is there:\n%s", all)
	}
	if err := m.api.RemoveRule(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	m.home(mailNFT, "nft", "-f", "-")
	defer m.home("", "nft", "delete", "table", "inet", "office")
	last, all = m.explain(past)
	if !strings.Contains(all, "It was blocked, by rule "+id+", which is gone now.") || !strings.HasPrefix(last, "It is stopped by nft: inet office out rule 2") {
		t.Errorf("another is in the way:\n%s", all)
	}
	r, err := m.service.CtlAs(t.Context(), 12345, 12345, "explain", past)
	if err != nil || r.Code == 0 || !strings.Contains(r.Err, "there is no connection") {
		t.Errorf("another user is told of root's connection: %+v, %v", r, err)
	}
}

// An ordinary user is told who is in the way, not what is not theirs to read, and has the
// service ask nobody.
func TestStrangerIsToldLess(t *testing.T) {
	m := newMail(t)
	m.home(mailNFT, "nft", "-f", "-")
	defer m.home("", "nft", "delete", "table", "inet", "office")
	m.rule(rule.Rule{Action: rule.Block, User: "root", Ports: []rule.PortRange{{From: 26, To: 26}}})
	ask := func(to string) api.ExplanationJSON {
		r, err := m.service.CtlAs(t.Context(), 12345, 12345, "--json", "explain", "--program", m.program.Path, "--to", to)
		var x api.ExplanationJSON
		if err != nil || json.Unmarshal([]byte(r.Out), &x) != nil {
			t.Fatalf("%+v, %v", r, err)
		}
		for _, s := range x.Steps {
			if s.Rule != "" || s.Handle != 0 || strings.Contains(s.Why, "dport") || s.Values["user"] == "root" {
				t.Errorf("a user is shown %+v", s)
			}
		}
		return x
	}
	x := ask(m.Remote.Addr4.String() + ":25")
	if c := x.Culprit; c == nil || c.Author != "nft" || c.Values["table"] != "office" || c.Rule != "" || len(c.Remedies) != 0 {
		t.Errorf("the culprit: %+v", c)
	}
	if x := ask("secret.mail.lab:25"); x.Outcome != "" || len(m.DNS.Queries("secret.mail.lab")) != 0 {
		t.Errorf("a name server was asked for a user: %+v", x)
	}
}
