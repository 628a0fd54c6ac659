package text

import (
	"strings"
	"testing"
)

func TestVisible(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"Firefox", "Firefox"},
		{"ファイル　名", "ファイル　名"},
		{"a\u202etxt.exe", `a\u202etxt.exe`},
		{"pay\u200bpal", `pay\u200bpal`},
		{"one\ntwo\x1b[31m", `one\ntwo\u001b[31m`},
		{"bad\xffbyte", `bad\xffbyte`},
		{"nb\u00a0sp", `nb\u00a0sp`},
		{"tag\U000e0041", `tag\U000e0041`},
		{"filler\u3164", `filler\u3164`},
		{"real \uFFFD", `real \ufffd`},
	} {
		got := Visible(c.in)
		if got != c.want {
			t.Errorf("Visible(%q) = %q, want %q", c.in, got, c.want)
		}
		if again := Visible(got); again != got {
			t.Errorf("Visible(Visible(%q)) = %q, want %q", c.in, again, got)
		}
	}
}

func TestSafeCuts(t *testing.T) {
	got := Safe(strings.Repeat("あ", 5000) + "end")
	if n := len([]rune(got)); n != SafeRunes {
		t.Errorf("%d runes, want %d", n, SafeRunes)
	}
	if !strings.HasSuffix(got, "end") {
		t.Errorf("the end is lost: %q", got)
	}
}

func TestHost(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"example.com", "example.com"},
		{"\u0430pple.com", "xn--pple-43d.com"},
		{"xn--pple-43d.com", "xn--pple-43d.com"},
		{"xn--bcher-kva.example", "bücher.example (xn--bcher-kva.example)"},
		{"a\u202eb.com", `a\u202eb.com`},
		{"xn--.com", "xn--.com"},
	} {
		if got := Host(c.in); !strings.HasPrefix(got, c.want) {
			t.Errorf("Host(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestT(t *testing.T) {
	l := &language{code: "xx", forms: map[string]forms{
		"plain": {other: "Plain"},
		"count": {one: "{{.N}} is waiting", other: "{{.N}} are waiting"},
		"two":   {other: "{{.A}} and {{.B}}"},
	}}
	old := current.Swap(l)
	defer current.Store(old)
	for _, c := range []struct {
		key  string
		args []any
		want string
	}{
		{"plain", nil, "Plain"},
		{"count", []any{"N", 1}, "1 is waiting"},
		{"count", []any{"N", 3}, "3 are waiting"},
		{"two", []any{"A", "{{.B}}", "B", "x\u202ey"}, `{{.B}} and x\u202ey`},
		{"unknown", nil, "unknown"},
	} {
		if got := T(c.key, c.args...); got != c.want {
			t.Errorf("T(%q, %v) = %q, want %q", c.key, c.args, got, c.want)
		}
	}
}

func TestFromEnvironment(t *testing.T) {
	for _, c := range []struct{ language, all, lang, want string }{
		{"", "", "ja_JP.UTF-8", "ja"},
		{"", "", "C.UTF-8", "en"},
		{"", "en_GB.UTF-8", "ja_JP.UTF-8", "en"},
		{"fr:ja", "", "", "ja"},
		{"", "", "", "en"},
	} {
		t.Setenv("LANGUAGE", c.language)
		t.Setenv("LC_ALL", c.all)
		t.Setenv("LC_MESSAGES", "")
		t.Setenv("LANG", c.lang)
		if got := FromEnvironment(); got != c.want {
			t.Errorf("%+v: got %q", c, got)
		}
	}
}

func TestSetLanguage(t *testing.T) {
	old := current.Load()
	defer current.Store(old)
	if err := SetLanguage("tlh"); err == nil {
		t.Error("no error for a language without translation")
	}
	if err := SetLanguage("ja"); err != nil || Language() != "ja" {
		t.Errorf("language %q: %v", Language(), err)
	}
}
