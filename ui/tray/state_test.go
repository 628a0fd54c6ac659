package tray

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/assets"
	"sekisho/ui/session"
	"sekisho/ui/text"
)

func TestStates(t *testing.T) {
	on := func(m api.Mode) session.State {
		return session.State{Connected: true, Status: api.Status{Mode: m, Enforcing: m != api.ModeOff}}
	}
	paused := func(d time.Duration) session.State {
		s := on(api.ModeOff)
		s.Status.ModeUntil = time.Now().Add(d)
		return s
	}
	waiting := on(api.ModeAsk)
	waiting.Prompts = make([]prompt.Prompt, 2)
	broken := on(api.ModeAsk)
	broken.Status.Enforcing = false
	gone := on(api.ModeAsk)
	gone.Connected = false
	for _, c := range []struct {
		name     string
		state    session.State
		icon     string
		en, ja   string
		contains bool
	}{
		{"ask", on(api.ModeAsk), "asking", "Asking about what is new", "新しい接続は確認します", false},
		{"learn", on(api.ModeLearn), "quiet", "Learning: allowing and noting what is new", "学習中：新しい接続を許可して記録します", false},
		{"allow", on(api.ModeAllow), "quiet", "Quietly allowing what is new", "新しい接続を確認せず許可します", false},
		{"block", on(api.ModeBlock), "quiet", "Quietly blocking what is new", "新しい接続を確認せずブロックします", false},
		{"lockdown", on(api.ModeLockdown), "lockdown", "Lockdown: only essentials get through", "遮断中：必要最小限だけ通しています", false},
		{"off", on(api.ModeOff), "paused", "Paused", "一時停止中", false},
		{"paused", paused(10 * time.Minute), "paused", "Paused until ", "まで一時停止中", true},
		{"paused until restart", paused(rule.MaxSpan), "paused", "Paused until restart", "再起動まで一時停止中", false},
		{"waiting", waiting, "waiting", "Asking about what is new", "新しい接続は確認します", false},
		{"not enforcing", broken, "off", "Not protecting", "保護されていません", false},
		{"no service", gone, "off", "Not protecting: the service is not running", "保護されていません：サービスが停止中", false},
	} {
		if got := Icon(c.state); got != c.icon {
			t.Errorf("%s: icon %s, want %s", c.name, got, c.icon)
		}
		for code, want := range map[string]string{"en": c.en, "ja": c.ja} {
			if err := text.SetLanguage(code); err != nil {
				t.Fatal(err)
			}
			if got := Summary(c.state); got != want && (!c.contains || !strings.Contains(got, want)) {
				t.Errorf("%s, %s: %q, want %q", c.name, code, got, want)
			}
		}
	}
}

func TestEveryStateHasItsOwnIcon(t *testing.T) {
	names := []string{"asking", "quiet", "paused", "lockdown", "off", "waiting"}
	for i, a := range names {
		for _, b := range names[i+1:] {
			if bytes.Equal(assets.Tray(a), assets.Tray(b)) {
				t.Errorf("%s and %s look the same", a, b)
			}
		}
	}
}

func TestBlockedLabel(t *testing.T) {
	if err := text.SetLanguage("en"); err != nil {
		t.Fatal(err)
	}
	f := flow.Flow{
		Process: &flow.Process{Program: flow.Program{Path: "/bin/my_app", Name: "my_app"}},
		Remote:  flow.Endpoint{Addr: netip.MustParseAddr("192.0.2.1"), Name: strings.Repeat("login.bank.example.", 20) + "evil.test"},
	}
	got := BlockedLabel(f)
	if !strings.HasPrefix(got, "my_app → …") || !strings.HasSuffix(got, ".evil.test") || len([]rune(got)) > 80 {
		t.Errorf("%q", got)
	}
	if Label("my_app") != "my__app" {
		t.Error("an underscore would mark a shortcut")
	}
	f.Direction = flow.In
	f.Remote.Name = ""
	if got := BlockedLabel(f); got != "my_app ← 192.0.2.1" {
		t.Errorf("%q", got)
	}
}
