package format

import "strings"

// adblock reads the rules for whole domains of lists made for browsers: ||x^ and the
// exception @@||x^. A rule for a part of a page, or one that depends on which page
// asks, is left: to block the whole domain instead would be more than the list says.
type adblock struct{}

func (adblock) line(text, _ string, to *sink) outcome {
	switch {
	case text == "", text[0] == '!', text[0] == '[',
		text[0] == '#' && (len(text) == 1 || text[1] == ' ' || text[1] == '\t'):
		return lineEmpty
	case cosmetic(text):
		return leave("hides a part of a page")
	}
	f := whole
	if t, ok := strings.CutPrefix(text, "@@"); ok {
		f.exception, f.overrides, text = true, true, t
	}
	rest, ok := strings.CutPrefix(text, "||")
	if !ok {
		return leave("a pattern that is no domain")
	}
	domain, options, ok := strings.Cut(rest, "^")
	if !ok {
		return leave("a pattern that is no domain")
	}
	options = strings.TrimPrefix(options, "|")
	if options != "" && !plainOptions(options) {
		return leave("depends on which page asks for what")
	}
	if n, ok := strings.CutPrefix(domain, "*."); ok {
		domain, f.exact = n, false
	}
	if strings.ContainsAny(domain, "*/:?=") {
		return leave("a pattern that is no domain")
	}
	return to.name(domain, f)
}

// cosmetic finds ##, #@#, #?#, #$#, #%# and their mixtures.
func cosmetic(s string) bool {
	for i := 0; ; {
		j := strings.IndexByte(s[i:], '#')
		if j < 0 {
			return false
		}
		i += j + 1
		k := i
		for k < len(s) && k < i+3 && strings.IndexByte("@?$%", s[k]) >= 0 {
			k++
		}
		if k < len(s) && s[k] == '#' {
			return true
		}
	}
}

// plainOptions says whether $options leave the rule one for the whole domain.
func plainOptions(s string) bool {
	s, ok := strings.CutPrefix(s, "$")
	if !ok {
		return false
	}
	for o := range strings.SplitSeq(s, ",") {
		switch o {
		case "important", "all", "doc", "document":
		default:
			return false
		}
	}
	return true
}
