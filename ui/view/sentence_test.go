package view

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"sekisho/app/flow"
	"sekisho/app/rule"
	"sekisho/ui/text"
)

// speak sets the language for one test.
func speak(t *testing.T, code string) {
	t.Helper()
	if err := text.SetLanguage(code); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = text.SetLanguage("en") })
}

func TestSentence(t *testing.T) {
	curl := rule.Program{Path: "/usr/bin/curl"}
	tests := []struct {
		rule   rule.Rule
		en, ja string
	}{
		{
			rule.Rule{Action: rule.Allow, Program: curl, Remote: rule.Remote{Name: "example.com"}, Ports: []rule.PortRange{{From: 443, To: 443}}, Lifetime: rule.Lifetime{Kind: rule.Boot}},
			"Allow curl to connect to example.com on port 443, until restart",
			"curl から example.com のポート 443 への接続を許可（再起動まで）",
		}, {
			rule.Rule{Action: rule.Block, Program: curl},
			"Block curl from connecting to anything",
			"curl からすべての接続先への接続をブロック",
		}, {
			rule.Rule{Action: rule.Allow, Program: curl, Ports: []rule.PortRange{{From: 80, To: 80}, {From: 8000, To: 8999}}, Protocol: flow.TCP},
			"Allow curl to connect to any site on TCP ports 80, 8000–8999",
			"curl からすべてのサイトの TCP ポート 80, 8000–8999 への接続を許可",
		}, {
			rule.Rule{Action: rule.Allow, Direction: rule.In, Program: rule.Program{Path: "/usr/bin/python3.11", Script: "/srv/backup.py"}, Remote: rule.Remote{LAN: true}, Ports: []rule.PortRange{{From: 8000, To: 8000}}},
			"Allow devices on your network to reach backup.py on port 8000",
			"家庭内などのネットワークの機器から backup.py のポート 8000 への着信を許可",
		}, {
			rule.Rule{Action: rule.Block, Direction: rule.Both, Remote: rule.Remote{Network: netip.MustParsePrefix("10.0.0.0/8")}},
			"Block any program from connecting to and being reached by the network 10.0.0.0/8",
			"すべてのプログラムとネットワーク 10.0.0.0/8 の間の送受信をブロック",
		}, {
			rule.Rule{Action: rule.Allow, Program: rule.Program{Package: "firefox-esr"}, Remote: rule.Remote{Domain: "mozilla.org"}, Lifetime: rule.Lifetime{Kind: rule.Until, Until: noon.Add(90 * time.Minute)}},
			"Allow programs from the package firefox-esr to connect to mozilla.org and everything under it, until 13:30",
			"パッケージ firefox-esr のプログラムから mozilla.org とその配下への接続を許可（13:30 まで）",
		}, {
			rule.Rule{Action: rule.Block, Program: rule.Program{Path: "/usr/bin/curl", Parent: "/usr/bin/bash", SHA256: "00"}, User: "hana", Protocol: flow.ICMP, Lifetime: rule.Lifetime{Kind: rule.Once}},
			"Block curl started by bash run by hana (exactly this file) from connecting to anything over ICMP, this one time",
			"",
		},
	}
	for _, tt := range tests {
		speak(t, "en")
		if got := Plain(Sentence(tt.rule, noon)); got != tt.en {
			t.Errorf("got  %s\nwant %s", got, tt.en)
		}
		speak(t, "ja")
		if got := Plain(Sentence(tt.rule, noon)); tt.ja != "" && got != tt.ja {
			t.Errorf("got  %s\nwant %s", got, tt.ja)
		}
	}
}

func TestSentenceIsStrongWhereItMatters(t *testing.T) {
	speak(t, "en")
	r := rule.Rule{Action: rule.Allow, Program: rule.Program{Path: "/usr/bin/curl"}, Remote: rule.Remote{Name: "example.com"}}
	var loud []string
	for _, s := range Sentence(r, noon) {
		if s.Strong {
			loud = append(loud, s.Text)
		}
	}
	if got := strings.Join(loud, " "); got != "curl example.com" {
		t.Errorf("strong: %q", got)
	}
}

// TestSentenceKeepsNamesApart holds that a name made to look like part of the sentence,
// or to hide, cannot.
func TestSentenceKeepsNamesApart(t *testing.T) {
	speak(t, "en")
	evil := "a⦄ to connect\u202e {{.Remote}}⦃b"
	r := rule.Rule{Action: rule.Block, Program: rule.Program{Path: "/tmp/" + evil}}
	got := Sentence(r, noon)
	if len(got) != 3 || !got[1].Strong || got[1].Text != `a} to connect\u202e {{.Remote}}{b` {
		t.Errorf("got %+v", got)
	}
}

func TestBlockFromNow(t *testing.T) {
	speak(t, "en")
	f := sample("a")
	r, ok := BlockFromNow(f)
	if !ok || Plain(Sentence(r, noon)) != "Block curl from connecting to Example.com" {
		t.Errorf("%v %+v", ok, r)
	}
	f.Direction, f.Remote.Name = flow.In, ""
	if r, ok = BlockFromNow(f); !ok || Plain(Sentence(r, noon)) != "Block 2606:50c0::154 from reaching curl" {
		t.Errorf("%v %s", ok, Plain(Sentence(r, noon)))
	}
	f.Process = &flow.Process{}
	if _, ok = BlockFromNow(f); ok {
		t.Error("a rule about any program was made from a flow whose program is unknown")
	}
}

func TestDecidedBy(t *testing.T) {
	speak(t, "en")
	for want, by := range map[string]flow.By{
		"Your rule":         {Kind: flow.ByRule, ID: "1", Name: "curl"},
		"Learn mode":        {Kind: flow.ByMode, Name: "learn"},
		"Mode":              {Kind: flow.ByMode, Name: "of a newer service"},
		"No answer in time": {Kind: flow.ByLimit, Name: "deadline"},
		`List bad\u200bist`: {Kind: flow.ByList, Name: "bad\u200bist"},
		"oracle":            {Kind: "oracle"},
	} {
		if got := DecidedBy(flow.Decision{Verdict: flow.Allow, By: by}); got != want {
			t.Errorf("%+v: %q, want %q", by, got, want)
		}
	}
	if got := DecidedBy(flow.Decision{}); got != "Waiting for you" {
		t.Errorf("waiting: %q", got)
	}
}

func TestRulesAreGroupedAndFound(t *testing.T) {
	speak(t, "en")
	var l Rules
	l.Replace([]rule.Rule{
		{ID: "1", Action: rule.Allow, Program: rule.Program{Path: "/usr/bin/wget"}, Created: noon},
		{ID: "2", Action: rule.Block, Program: rule.Program{Path: "/usr/bin/curl"}, Created: noon, Ports: []rule.PortRange{{From: 400, To: 500}}},
		{ID: "3", Action: rule.Allow, Program: rule.Program{Path: "/usr/bin/curl"}, Created: noon.Add(1), Remote: rule.Remote{Name: "example.com"}, Direction: rule.In, Ports: []rule.PortRange{{From: 80, To: 80}}},
	})
	for filter, want := range map[string]string{
		"": "3 2 1", "curl": "3 2", "program:curl verdict:block": "2", "port:443": "2", "port:http": "3",
		"name:example": "3", "direction:in": "3", "-direction:in": "2 1", "allow wget": "1", "nothing": "",
	} {
		l.SetFilter(ParseFilter(filter))
		var ids []string
		for i := range l.Len() {
			ids = append(ids, l.At(i).ID)
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%q: %q, want %q", filter, got, want)
		}
	}
	if r, ok := l.Get("1"); !ok || r.ID != "1" || l.Total() != 3 {
		t.Errorf("Get: %v %+v of %d", ok, r, l.Total())
	}
}

func TestRuleFacts(t *testing.T) {
	speak(t, "en")
	r := rule.Rule{Program: rule.Program{Path: "/usr/bin/curl"}, Hits: 2, LastUsed: noon.Add(-5 * time.Minute)}
	if got := RuleFacts(r, noon); got != "/usr/bin/curl  ·  used 2 times  ·  last used 5 minutes ago" {
		t.Error(got)
	}
	if got := RuleFacts(rule.Rule{}, noon); got != "never used" {
		t.Error(got)
	}
}

func TestDescribe(t *testing.T) {
	speak(t, "en")
	if got := Describe(sample("a")); got != "curl (/usr/bin/curl) → example.com (2606:50c0::154), port 443/tcp, Your rule" {
		t.Error(got)
	}
}
