package flow

import (
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/idna"
)

func TestDisplay(t *testing.T) {
	shown := []string{ // in their own letters
		"bücher.example", "straße.example", "日本語.jp", "ひらがな.jp", "カタカナ.jp", "スーパー.jp", "東京タワー.jp",
		"日本go.jp", "ノート.jp", "ソニー.jp", "срб.срб", "сор.рф", "中文.中国", "例え.テスト", "한국어.kr", "한국漢字.kr", "пример.рф", "яндекс.рф", "παράδειγμα.gr",
		"việtnam.vn", "łódź.pl", "ação.pt", "हिन्दी.भारत", "ไทยแลนด์.ไทย", "தமிழ்.இந்தியா", "българия.бг", "a.bücher.b.example", "bü-cher-1.example",
		"მაგალითი.ge", "օրինակ.am", "ምሳሌ.et",
	}
	for _, want := range shown {
		ascii, err := idna.Punycode.ToASCII(want)
		if err != nil {
			t.Fatal(err)
		}
		if got := Display(ascii); got != want {
			t.Errorf("%s is shown as %s, want %s", ascii, got, want)
		}
	}
	hidden := map[string]string{
		"Cyrillic among Latin":      "pаypal.com",
		"Greek among Latin":         "gοogle.com",
		"all Cyrillic like Latin":   "аррӏе.com",
		"epic in Cyrillic":          "еріс.com",
		"scope in Cyrillic":         "ѕсоре.com",
		"all Greek like Latin":      "νικον.com",
		"Armenian like Latin":       "օսոս.com",
		"Greek and Cyrillic":        "αя.example",
		"Han and Cyrillic":          "日я.example",
		"Hangul and kana":           "한か.example",
		"a kana like a slash":       "examplecomノlogin.evil.jp",
		"slashes among Latin":       "comノノlogin.evil.jp",
		"a lone stroke":             "丨.example",
		"a dash of kana":            "ーa.example",
		"a dash after Latin":        "aー.example",
		"middle dot":                "日・本.jp",
		"Catalan dot":               "col·laborar.example",
		"Han like dashes":           "a一b.example",
		"Han like slashes":          "a丿b.example",
		"zero width joiner":         "क्\u200dष.example",
		"Arabic":                    "مثال.example",
		"Hebrew":                    "דוגמה.example",
		"dotless i":                 "ıbm.example",
		"kra":                       "booĸ.example",
		"thorn":                     "þaypal.example",
		"a click":                   "examplecomǃ.example",
		"open e":                    "googlɛ.example",
		"a mark on Latin":           "example\u0323q\u0307.example",
		"Devanagari digits":         "१२३.example",
		"Arabic digits":             "٣٤.example",
		"emoji":                     "😀.example",
		"marks in a heap":           "กั\u0e49\u0e49.example",
		"Cherokee":                  "ꭰꭱꭲ.example",
		"small letters":             "ᴀᴘᴘʟᴇ.example",
		"fraction slash":            "a\u2044b.example",
		"line separator":            "a\u2028b.example",
		"right to left override":    "a\u202emoc.example",
		"soft hyphen":               "exam\u00adple.example",
		"a full stop of ideographs": "a\u3002b.example",
		"a circled letter":          "ⓐb.example",
		"full width":                "ａｐｐｌｅ.example",
		"mathematical":              "𝐚pple.example",
		"not composed":              "u\u0308ber.example",
		"capital":                   "BÜCHER.example",
	}
	for name, u := range hidden {
		label, rest, _ := strings.Cut(u, ".")
		ascii, err := idna.Punycode.ToASCII(label)
		if err != nil || !strings.HasPrefix(strings.ToLower(ascii), punycode) {
			t.Fatalf("%s: %q, %v", name, ascii, err)
		}
		ascii = strings.ToLower(ascii) + "." + rest
		want := strings.ToLower(ascii)
		if head, _, _ := strings.Cut(Display(ascii), "."); !strings.HasPrefix(want, head+".") {
			t.Errorf("%s: %q is shown as %q", name, ascii, Display(ascii))
		}
	}
	others := map[string]string{
		"www.Example.COM.":        "www.example.com",
		"_dns.example":            "_dns.example",
		"xn--":                    "xn--",
		"xn--a":                   "xn--a",
		"xn--abc-.example":        "xn--abc-.example",
		"xn--99999999999.example": "xn--99999999999.example",
		"":                        `""`,
		"a\nb":                    `"a\nb"`,
		"a\u202eb":                `"a\u202eb"`,
		"bücher.example":          `"b\u00fccher.example"`,
		"a\x1b[31mb":              `"a\x1b[31mb"`,
		"\xff.example":            `"\xff.example"`,
	}
	for name, want := range others {
		if got := Display(name); got != want {
			t.Errorf("%q is shown as %q, want %q", name, got, want)
		}
	}
}

func FuzzDisplay(f *testing.F) {
	for _, s := range []string{"www.example.com", "xn--bcher-kva.example", "xn--80ak6aa92e.com", "xn--wgv71a119e.jp", "a\u202eb", "xn--a-0xb.xn--b", "xn--mgbh0fb.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got := Display(name)
		for _, r := range got {
			if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Bidi_Control, unicode.Zs, unicode.Zl, unicode.Zp, unicode.Arabic, unicode.Hebrew) && r != ' ' || r == unicode.ReplacementChar {
				t.Fatalf("%q is shown as %q", name, got)
			}
		}
		plain, ok := HostName(name)
		if !ok || got == plain {
			return
		}
		// Two names are never shown alike.
		back, err := idna.Punycode.ToASCII(got)
		if err != nil || back != plain {
			t.Fatalf("%q is shown as %q, which is %q, %v", plain, got, back, err)
		}
		if strings.Count(got, ".") != strings.Count(plain, ".") {
			t.Fatalf("%q is shown as %q", plain, got)
		}
	})
}
