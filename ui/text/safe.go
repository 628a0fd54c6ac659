package text

import (
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/net/idna"

	"sekisho/app/flow"
)

// SafeRunes is the number of characters after which Safe cuts.
const SafeRunes = 200

// Safe makes untrusted words fit to be shown: Visible, and cut in the middle where they
// are longer than SafeRunes.
func Safe(s string) string {
	r := []rune(Visible(s))
	if len(r) <= SafeRunes {
		return string(r)
	}
	return string(r[:SafeRunes/2]) + "…" + string(r[len(r)-SafeRunes/2+1:])
}

// Visible shows characters that cannot be seen, or that change how others are seen, as
// escapes such as \u202e: control, bidirectional, zero-width and unassigned ones, odd
// spaces, and bytes that are no UTF-8. Visible of its own result changes nothing.
func Visible(s string) string {
	clean := true
	for _, r := range s {
		if hidden(r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == unicode.ReplacementChar && s[i] != 0xEF:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case !hidden(r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r > 0xFFFF:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// hidden reports whether a character must not be shown as itself. The ideographic space
// is part of Japanese sentences; every other space but the plain one is not.
func hidden(r rune) bool {
	switch r {
	case ' ', '\u3000':
		return false
	case unicode.ReplacementChar:
		return true
	case '\u115f', '\u1160', '\u3164', '\uffa0', '\u034f', '\u17b4', '\u17b5', '\u2800': // letters and marks that draw nothing
		return true
	}
	if r >= 0xFE00 && r <= 0xFE0F || r >= 0xE0100 && r <= 0xE01EF { // variation selectors
		return true
	}
	return !unicode.IsPrint(r)
}

// Host is a host name fit to be shown. A name in another script than plain letters is
// followed by what it really is ("bücher.example (xn--bcher-kva.example)"); one that could
// be taken for another stays as DNS carries it (flow.Display).
func Host(name string) string {
	ascii := strings.ToLower(name)
	if strings.ContainsFunc(name, func(r rune) bool { return r > unicode.MaxASCII }) {
		a, err := idna.Lookup.ToASCII(name)
		if err != nil {
			return Safe(name)
		}
		ascii = a
	}
	if _, ok := flow.HostName(ascii); !ok {
		return Safe(name) // no real name: show it as it came
	}
	readable := flow.Display(ascii)
	if readable == ascii {
		return Safe(ascii)
	}
	return Safe(readable) + " (" + Safe(ascii) + ")"
}
