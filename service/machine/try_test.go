package machine

import (
	"strings"
	"testing"
	"time"

	"sekisho/app/flow"
	"sekisho/service/machine/ruleset"
)

func (s *scene) try(f flow.Flow) Report {
	s.t.Helper()
	var r Report
	err := s.Home.Do(func() (err error) {
		r, err = s.machine.Try(s.t.Context(), f)
		return err
	})
	if err != nil {
		s.t.Fatalf("try: %v", err)
	}
	if left := s.run("", "nft", "list", "tables"); strings.Contains(left, "sekisho_trace") {
		s.t.Errorf("a table is left: %s", left)
	}
	return r
}

// TestTraceSaysWhereItEnds makes one attempt under the kernel's trace, against rules that
// stop each packet of the conversation.
func TestTraceSaysWhereItEnds(t *testing.T) {
	s := newScene(t)
	server := s.Remote.ServeEcho(25)
	for _, c := range []struct {
		name, rules string
		protocol    flow.Protocol
		port        uint16
		want        string
	}{
		{"nothing", "", flow.TCP, 25, "passes"},
		{"nobody listens", "", flow.TCP, 26, "rejected by try-refused"},
		{"udp", "", flow.UDP, 25, "passes"},
		{"a rule of a chain", `table inet f {| chain sub { meta skuid 1000 tcp dport 25 drop |}
			chain out { type filter hook output priority 0; jump sub |}|}`, flow.TCP, 25,
			"dropped by filter-rule (nft: inet f sub, rule 1: meta skuid 1000 tcp dport 25 drop)"},
		{"a policy", "table ip f { chain out { type filter hook output priority 0; policy drop; tcp dport 443 accept |}|}", flow.TCP, 25,
			"dropped by filter-policy (nft: ip f out)"},
		{"a refusal", "table ip f { chain out { type filter hook output priority 0; udp dport 25 reject |}|}", flow.UDP, 25,
			"rejected by filter-rule (nft: ip f out, rule 1: udp dport 25 reject with icmp port-unreachable)"},
		{"the answer", "table ip f { chain in { type filter hook input priority 0; tcp sport 25 drop |}|}", flow.TCP, 25,
			"dropped by filter-rule (nft: ip f in, rule 1: tcp sport 25 drop) answer"},
		{"another user's", "table ip f { chain out { type filter hook output priority 0; meta skuid 1001 drop |}|}", flow.TCP, 25, "passes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.t = t
			s.nft(c.rules)
			defer s.nft("flush ruleset")
			f := s.mail()
			f.Protocol, f.Remote.Port = c.protocol, c.port
			r := s.try(f)
			if got := say(r); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			for _, step := range r.Paths[0].Steps {
				if step.Code == TryUntraced {
					t.Error("no packet was traced")
				}
			}
		})
	}
	if server.Count("tcp") != 2 || server.Count("udp") != 1 {
		t.Errorf("Remote saw %d connections and %d datagrams, want 2 and 1", server.Count("tcp"), server.Count("udp"))
	}
}

// TestTraceEndsWithItsProcess: the kernel takes the table away when the socket that made it
// is closed, which is what happens to a service that is killed.
func TestTraceEndsWithItsProcess(t *testing.T) {
	s := newScene(t)
	var table *traceTable
	err := s.Home.Do(func() (err error) {
		table, err = addTraceTable(6, 1234)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.run("", "nft", "list", "tables"); !strings.Contains(got, table.name) {
		t.Errorf("no table: %q", got)
	}
	if err := table.conn.Close(); err != nil {
		t.Fatal(err)
	}
	for range 100 { // it is taken away by the kernel's own time
		if !strings.Contains(s.run("", "nft", "list", "tables"), table.name) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the table is left")
}

// TestTraceOfIPTables: rules of iptables over nftables are traced with the others. A queue
// that nobody reads keeps what it is given.
func TestTraceOfIPTables(t *testing.T) {
	s := newScene(t)
	s.Remote.ServeEcho(25)
	for target, want := range map[string]string{
		"REJECT":                   "rejected by filter-rule (iptables-nft: ip filter OUTPUT, rule 1: tcp dport 25 meta skuid 1000 reject with port-unreachable)",
		"NFQUEUE --queue-num 4242": "dropped by filter-rule (iptables-nft: ip filter OUTPUT, rule 1: tcp dport 25 meta skuid 1000 queue num 4242)",
	} {
		s.run("*filter\n:OUTPUT ACCEPT\n-A OUTPUT -p tcp --dport 25 -m owner --uid-owner 1000 -j "+target+"\nCOMMIT\n", "iptables-nft-restore")
		r := s.try(s.mail())
		if got := say(r); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if f := r.Culprit.Filter; f.Effect == ruleset.Queue && f.To != "4242" {
			t.Errorf("queue %q", f.To)
		}
	}
}
