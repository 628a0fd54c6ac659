package view

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/ui/text"
)

func language(t *testing.T, code string) {
	t.Helper()
	old := text.Language()
	if err := text.SetLanguage(code); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = text.SetLanguage(old) })
}

var began = time.Date(2026, 11, 22, 16, 0, 0, 0, time.UTC)

func question(change func(*prompt.Prompt)) prompt.Prompt {
	p := prompt.Prompt{ID: "p1", Generation: 3, Flows: 1, State: prompt.Waiting, Deadline: began.Add(time.Minute)}
	p.Flow = flow.Flow{
		Time: began, Protocol: flow.TCP,
		Local:  flow.Endpoint{Addr: netip.MustParseAddr("192.168.1.12"), Port: 40000},
		Remote: flow.Endpoint{Addr: netip.MustParseAddr("93.184.216.34"), Port: 443, Name: "example.com"},
		Process: &flow.Process{
			ProcessID: flow.ProcessID{PID: 4242}, UID: 1000, User: "hana", Args: []string{"curl", "-fsSL", "https://example.com/a b"},
			Program: flow.Program{Path: "/usr/bin/curl", Name: "curl", Package: "curl"},
			Parents: []flow.Ancestor{
				{ProcessID: flow.ProcessID{PID: 200}, Name: "bash"},
				{ProcessID: flow.ProcessID{PID: 100}, Name: "Terminal"},
				{ProcessID: flow.ProcessID{PID: 1}, Path: "/usr/lib/systemd/systemd"},
			},
		},
	}
	p.Scopes = []prompt.Scope{
		{Kind: prompt.HostAndPort, To: "example.com", Port: 443}, {Kind: prompt.Host, To: "example.com"},
		{Kind: prompt.Port, Port: 443}, {Kind: prompt.Anything},
	}
	if change != nil {
		change(&p)
	}
	return p
}

func incoming(p *prompt.Prompt) {
	p.Flow.Direction = flow.In
	p.Flow.Remote = flow.Endpoint{Addr: netip.MustParseAddr("192.168.1.20"), Port: 51000}
	p.Flow.Local.Port = 8000
	for i := range p.Scopes {
		if p.Scopes[i].To != "" {
			p.Scopes[i].To = "192.168.1.20"
		}
		if p.Scopes[i].Port != 0 {
			p.Scopes[i].Port = 8000
		}
	}
}

func TestSentenceOfAPrompt(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*prompt.Prompt)
		en, ja [4]string // subject, lead, object, detail
	}{
		{"outgoing", nil,
			[4]string{"curl", "wants to connect to", "example.com", "93.184.216.34  ·  port 443  ·  HTTPS"},
			[4]string{"curl", "が次の相手に接続しようとしています", "example.com", "93.184.216.34  ·  ポート 443  ·  HTTPS"}},
		{"address only", func(p *prompt.Prompt) { p.Flow.Remote.Name, p.Flow.Remote.Port = "", 4444 },
			[4]string{"curl", "wants to connect to", "93.184.216.34", "port 4444  ·  TCP"},
			[4]string{"curl", "が次の相手に接続しようとしています", "93.184.216.34", "ポート 4444  ·  TCP"}},
		{"incoming", incoming,
			[4]string{"192.168.1.20", "on your network, wants to reach", "curl", "port 8000  ·  TCP"},
			[4]string{"192.168.1.20", "（同じネットワーク内）が次のプログラムに接続しようとしています", "curl", "ポート 8000  ·  TCP"}},
		{"script", func(p *prompt.Prompt) {
			p.Flow.Process.Path, p.Flow.Process.Script = "/usr/bin/python3", "/home/hana/backup.py"
		},
			[4]string{"backup.py", "wants to connect to", "example.com", "93.184.216.34  ·  port 443  ·  HTTPS"},
			[4]string{"backup.py", "が次の相手に接続しようとしています", "example.com", "93.184.216.34  ·  ポート 443  ·  HTTPS"}},
		{"hostile names", func(p *prompt.Prompt) {
			p.Flow.Process.Name = "good\u202egpj.exe"
			p.Flow.Remote.Name = "\u0430pple.com"
		},
			[4]string{`good\u202egpj.exe`, "wants to connect to", "xn--pple-43d.com", "93.184.216.34  ·  port 443  ·  HTTPS"},
			[4]string{`good\u202egpj.exe`, "が次の相手に接続しようとしています", "xn--pple-43d.com", "93.184.216.34  ·  ポート 443  ·  HTTPS"}},
	} {
		for code, want := range map[string][4]string{"en": c.en, "ja": c.ja} {
			language(t, code)
			q := Ask(question(c.change))
			if got := [4]string{q.Subject, q.Lead, q.Object, q.ObjectDetail}; got != want {
				t.Errorf("%s, %s:\ngot  %q\nwant %q", c.name, code, got, want)
			}
		}
	}
}

func TestFacts(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*prompt.Prompt)
		en, ja []string
	}{
		{"all", nil,
			[]string{"Secure web (HTTPS, port 443)", "Started by bash in Terminal", "From the package curl"},
			[]string{"安全なウェブ通信（HTTPS、ポート 443）", "Terminal の bash から起動", "パッケージ curl のプログラム"}},
		{"script of a lone shell", func(p *prompt.Prompt) {
			p.Flow.Remote.Port = 4444
			p.Flow.Process.Path, p.Flow.Process.Script = "/usr/bin/python3", "/home/hana/backup.py"
			p.Flow.Process.Parents = p.Flow.Process.Parents[:1]
			p.Flow.Process.Package = ""
		},
			[]string{"backup.py, run by python3", "Started by bash"},
			[]string{"backup.py（python3 で実行）", "bash から起動"}},
		{"at most four", func(p *prompt.Prompt) { p.Flow.Process.Script = "/a.py" },
			[]string{"Secure web (HTTPS, port 443)", "a.py, run by curl", "Started by bash in Terminal", "From the package curl"},
			[]string{"安全なウェブ通信（HTTPS、ポート 443）", "a.py（curl で実行）", "Terminal の bash から起動", "パッケージ curl のプログラム"}},
		{"nothing known", func(p *prompt.Prompt) { p.Flow.Process = nil; p.Flow.Remote.Port = 4444 }, nil, nil},
	} {
		for code, want := range map[string][]string{"en": c.en, "ja": c.ja} {
			language(t, code)
			var got []string
			for _, f := range Ask(question(c.change)).Facts {
				got = append(got, f.Text)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s, %s:\ngot  %q\nwant %q", c.name, code, got, want)
			}
		}
	}
}

func TestPreviewOfEveryCombination(t *testing.T) {
	lives := map[string][5]string{
		"en": {"this one time", "until curl quits", "for 1 hour", "until the computer restarts", "from now on"},
		"ja": {"今回だけ", "curl の終了まで", "1時間", "コンピューターの再起動まで", "今後ずっと"},
	}
	for _, c := range []struct {
		change func(*prompt.Prompt)
		scopes map[string][4]string
	}{
		{nil, map[string][4]string{
			"en": {"Only example.com on port 443", "All of example.com", "Any site on port 443", "Any site, any port"},
			"ja": {"example.com のポート 443 のみ", "example.com のすべて", "すべてのサイトのポート 443", "すべてのサイトとポート"}}},
		{incoming, map[string][4]string{
			"en": {"Only from 192.168.1.20 to port 8000", "Everything from 192.168.1.20", "From anywhere to port 8000", "From anywhere to any port"},
			"ja": {"192.168.1.20 からポート 8000 へのみ", "192.168.1.20 からのすべて", "どこからでもポート 8000 へ", "どこからでもすべてのポートへ"}}},
	} {
		for code, scopes := range c.scopes {
			language(t, code)
			q := Ask(question(c.change))
			for l, life := range lives[code] {
				for s, scope := range scopes {
					want := scope + ", " + life + "."
					if code == "ja" {
						want = scope + "、" + life
					}
					if got := q.Preview(l, s); got != want {
						t.Errorf("%s: %q, want %q", code, got, want)
					}
				}
			}
		}
	}
}

func TestWarnings(t *testing.T) {
	p := question(func(p *prompt.Prompt) {
		p.Warnings = []prompt.Warning{{Code: prompt.WarnWritableFolder, Text: "x", Value: "/tmp"}, {Code: "from-the-future", Text: "It glows\u202e"}}
	})
	language(t, "ja")
	if got, want := Ask(p).Warnings, []string{"ほかのプログラムも書き込める /tmp にあります", `It glows\u202e`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if q := Ask(p); q.Lifetimes[q.FirstLifetime].Lifetime != rule.Once {
		t.Error("a prompt with warnings does not begin with once")
	}
	if q := Ask(question(nil)); q.Lifetimes[q.FirstLifetime].Lifetime != rule.Quit {
		t.Error("a plain prompt does not begin with until it quits")
	}
}

func TestEveryWarningIsTranslated(t *testing.T) {
	for _, code := range []string{prompt.WarnNoName, prompt.WarnInlineCode, prompt.WarnWritableFolder, prompt.WarnFresh, prompt.WarnDeleted} {
		if !text.Has("prompt.warning." + code) {
			t.Errorf("no translation of %q", code)
		}
	}
}

func TestUnknownProgramGetsNoRule(t *testing.T) {
	language(t, "en")
	q := Ask(question(func(p *prompt.Prompt) { p.Flow.Process = &flow.Process{} }))
	if len(q.Lifetimes) != 1 || q.Answer(rule.Allow, 0, 0).Lifetime != rule.Once {
		t.Errorf("lifetimes %+v", q.Lifetimes)
	}
	if q.Known || q.Subject == "" {
		t.Errorf("known %v, subject %q", q.Known, q.Subject)
	}
}

func TestAnswerNamesWhatWasSeen(t *testing.T) {
	q := Ask(question(nil))
	want := prompt.Answer{Action: rule.Allow, Lifetime: rule.Until, For: time.Hour, Generation: 3,
		Scope: prompt.Scope{Kind: prompt.Host, To: "example.com"}}
	if got := q.Answer(rule.Allow, 2, 1); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestCountdown(t *testing.T) {
	q := Ask(question(nil))
	for _, c := range []struct {
		after  time.Duration
		en, ja string
		left   float32
	}{
		{15 * time.Second, "Blocked in 45 s if you don't answer", "回答がなければ 45 秒後にブロック", .75},
		{59500 * time.Millisecond, "Blocked in 1 s if you don't answer", "回答がなければ 1 秒後にブロック", .5 / 60},
		{2 * time.Minute, "Blocked in 0 s if you don't answer", "回答がなければ 0 秒後にブロック", 0},
	} {
		for code, want := range map[string]string{"en": c.en, "ja": c.ja} {
			language(t, code)
			got, left := q.Countdown(began.Add(c.after))
			if d := left - c.left; got != want || d > .001 || d < -.001 {
				t.Errorf("after %v: %q, %v; want %q, %v", c.after, got, left, want, c.left)
			}
		}
	}
}

func TestDetails(t *testing.T) {
	language(t, "en")
	q := Ask(question(func(p *prompt.Prompt) {
		p.Flow.Process.SHA256 = strings.Repeat("0123456789abcdef", 4)
		p.Flow.Process.Unit = "app.scope"
	}))
	want := []Row{
		{"Program", "/usr/bin/curl", true},
		{"Command", "curl -fsSL 'https://example.com/a b'", true},
		{"SHA-256", "0123 4567 89ab … 89ab cdef", true},
		{"Process", "4242", true},
		{"Started by", "systemd (1) › Terminal (100) › bash (200)", false},
		{"User", "hana (1000)", false},
		{"Unit", "app.scope", true},
		{"Other end", "93.184.216.34:443/tcp", true},
		{"This computer", "192.168.1.12:40000/tcp", true},
	}
	if !slices.Equal(q.Details, want) {
		t.Errorf("got\n%+v\nwant\n%+v", q.Details, want)
	}
}

func TestSameQuestion(t *testing.T) {
	a := Ask(question(nil))
	if !a.SameAs(Ask(question(func(p *prompt.Prompt) { p.Generation, p.Flows = 8, 50 }))) {
		t.Error("more connections make another question")
	}
	for name, change := range map[string]func(*prompt.Prompt){
		"id":      func(p *prompt.Prompt) { p.ID = "p2" },
		"host":    func(p *prompt.Prompt) { p.Flow.Remote.Name = "example.org" },
		"port":    func(p *prompt.Prompt) { p.Flow.Remote.Port = 80 },
		"warning": func(p *prompt.Prompt) { p.Warnings = []prompt.Warning{{Code: "changed"}} },
		"scope":   func(p *prompt.Prompt) { p.Scopes = p.Scopes[1:] },
		"parent":  func(p *prompt.Prompt) { p.Flow.Process.Parents = nil },
	} {
		if a.SameAs(Ask(question(change))) {
			t.Errorf("another %s is not noticed", name)
		}
	}
}
