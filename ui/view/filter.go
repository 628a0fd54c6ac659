package view

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// field is what a term of a Filter looks at.
type field uint8

const (
	anyField field = iota
	programField
	portField
	nameField
	directionField
	verdictField
)

var fieldNames = [...]string{"", "program", "port", "name", "direction", "verdict"}

// term is one condition: text is lower case; ports is set when a port term is made of
// numbers and not of a service's name.
type term struct {
	field field
	not   bool
	text  string
	ports []portSpan
}

type portSpan struct{ from, to uint16 }

// maxFilter bounds what is read of a search field, in bytes: somebody may paste a file.
const maxFilter = 1000

// Filter is what a person typed into a search field: words, all of which must be
// found, and terms such as program:curl, port:443, port:8000-8999, port:https,
// name:example.com, direction:in and verdict:block. A leading minus turns a term
// round, quotes keep spaces. Anything that isn't such a term is a word, so an IPv6
// address can be pasted as it is. The zero value lets everything through.
type Filter struct{ terms []term }

// ParseFilter reads what was typed. It cannot fail: a half-typed term is ignored until
// it has a value. Full-width letters, as an input method leaves them, count as plain ones.
func ParseFilter(s string) Filter {
	var f Filter
	if len(s) > maxFilter {
		s = s[:maxFilter]
	}
	for _, w := range splitWords(narrow(s)) {
		if t, ok := parseTerm(w); ok {
			f.terms = append(f.terms, t)
		}
	}
	return f
}

// IsZero reports whether f lets everything through.
func (f Filter) IsZero() bool { return len(f.terms) == 0 }

// Equal reports whether f and g ask for the same.
func (f Filter) Equal(g Filter) bool {
	return slices.EqualFunc(f.terms, g.terms, func(a, b term) bool {
		return a.field == b.field && a.not == b.not && a.text == b.text
	})
}

// String is the filter as it could be typed.
func (f Filter) String() string {
	words := make([]string, len(f.terms))
	for i, t := range f.terms {
		var b strings.Builder
		if t.not {
			b.WriteByte('-')
		}
		if t.field != anyField {
			b.WriteString(fieldNames[t.field])
			b.WriteByte(':')
		}
		b.WriteString(`"` + t.text + `"`)
		words[i] = b.String()
	}
	return strings.Join(words, " ")
}

// word is one piece of what was typed; head is the part before its first quote, in
// which alone a minus or a field name counts.
type word struct{ head, rest string }

func splitWords(s string) []word {
	var words []word
	var w word
	quoted, inQuote, started := false, false, false
	flush := func() {
		if started {
			words = append(words, w)
		}
		w, quoted, started = word{}, false, false
	}
	for _, r := range s {
		switch {
		case r == '"':
			inQuote, quoted, started = !inQuote, true, true
		case unicode.IsSpace(r) && !inQuote:
			flush()
		case quoted:
			w.rest += string(r)
		default:
			w.head += string(r)
			started = true
		}
	}
	flush()
	return words
}

func parseTerm(w word) (term, bool) {
	var t term
	if h, ok := strings.CutPrefix(w.head, "-"); ok {
		t.not, w.head = true, h
	}
	if key, value, ok := strings.Cut(w.head, ":"); ok {
		if i := slices.Index(fieldNames[1:], strings.ToLower(key)); i >= 0 {
			t.field, w.head = field(i+1), value
		}
	}
	t.text = strings.ToLower(w.head + w.rest)
	if t.field != anyField {
		t.text = strings.TrimSpace(t.text)
	}
	if t.field == portField {
		t.ports = parsePorts(t.text)
	}
	return t, t.text != ""
}

// parsePorts reads "443", "8000-8999" and lists of both; nil if s is something else.
func parsePorts(s string) []portSpan {
	var spans []portSpan
	for part := range strings.SplitSeq(s, ",") {
		if part == "" {
			continue
		}
		from, to, isSpan := strings.Cut(part, "-")
		if !isSpan || to == "" {
			to = from
		}
		a, err := strconv.ParseUint(from, 10, 16)
		if err != nil {
			return nil
		}
		b, err := strconv.ParseUint(to, 10, 16)
		if err != nil {
			return nil
		}
		spans = append(spans, portSpan{uint16(min(a, b)), uint16(max(a, b))})
	}
	return spans
}

// narrow turns the full-width forms of ASCII into ASCII.
func narrow(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 0xFF01 && r <= 0xFF5E {
			return r - 0xFF01 + '!'
		}
		return r
	}, s)
}

// subject is what a filter is held against; all texts in lower case.
type subject struct {
	words     string // everything that a plain word may be found in, parted by newlines
	program   string // display name, path and script, parted by newlines
	name      string // host name and address, parted by newlines
	service   string
	direction string // "out", "in" or "both"
	verdict   string // "allow", "block" or "waiting"
	ports     []portSpan
}

func (f Filter) match(s *subject) bool {
	for i := range f.terms {
		if f.terms[i].match(s) == f.terms[i].not {
			return false
		}
	}
	return true
}

func (t *term) match(s *subject) bool {
	switch t.field {
	case programField:
		return strings.Contains(s.program, t.text)
	case nameField:
		return strings.Contains(s.name, t.text)
	case directionField:
		return s.direction == "both" || strings.HasPrefix(s.direction, t.text)
	case verdictField:
		return strings.HasPrefix(s.verdict, t.text)
	case portField:
		return t.matchPort(s)
	default:
		return strings.Contains(s.words, t.text)
	}
}

func (t *term) matchPort(s *subject) bool {
	if t.ports == nil {
		return strings.Contains(s.service, t.text)
	}
	for _, want := range t.ports {
		for _, have := range s.ports {
			if have.from <= want.to && want.from <= have.to {
				return true
			}
		}
	}
	return false
}
