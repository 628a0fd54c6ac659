package format

import "strings"

// names reads one name a line. *.x and .x mean x and all below; a name alone means
// itself. A person's own list has addresses among the names: they are taken as well.
type names struct{}

func (names) line(text, _ string, to *sink) outcome {
	if text == "" || text[0] == '#' || text[0] == ';' || text[0] == '!' || strings.HasPrefix(text, "//") {
		return lineEmpty
	}
	text = cutComment(text)
	if strings.ContainsAny(text, "/:-") || text[0] >= '0' && text[0] <= '9' {
		if p, _, ok := parseNetworks(text); ok {
			return takeAll(p, to, flags{})
		}
	}
	if strings.ContainsAny(text, " \t") {
		return wrong("more than one word")
	}
	if n, ok := strings.CutPrefix(text, "*."); ok {
		return to.name(n, whole)
	}
	if n, ok := strings.CutPrefix(text, "."); ok {
		return to.name(n, whole)
	}
	if !strings.Contains(text, ".") && !local(strings.ToLower(text)) {
		return wrong("one word is no name of the Internet")
	}
	return to.name(text, exactly)
}
