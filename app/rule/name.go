package rule

import (
	"strings"
)

const maxName = 253

// NormalName is a host name as rules hold it: in lower case and without the dot at
// its end.
func NormalName(s string) string {
	return strings.ToLower(strings.TrimSuffix(strings.TrimSpace(s), "."))
}

// CheckName says what is wrong with host name s, which must be in the form that
// NormalName gives. Names in other scripts are held as DNS carries them, as xn--….
// Underscores and hyphens are let through wherever real names have them.
func CheckName(s string) error {
	if s == "" {
		return badf("the host name is empty")
	}
	if len(s) > maxName {
		return badf("host name of %d characters: at most %d", len(s), maxName)
	}
	rest, label := s, ""
	for more := true; more; {
		label, rest, more = strings.Cut(rest, ".")
		if err := checkLabel(label, s); err != nil {
			return err
		}
	}
	if strings.Trim(label, "0123456789") == "" {
		return badf("%q is neither an address nor a host name", s)
	}
	return nil
}

func checkLabel(label, name string) error {
	if label == "" {
		return badf("%q is not a host name: a part between two dots is empty", name)
	}
	if len(label) > 63 {
		return badf("%q is not a host name: a part is longer than 63 characters", name)
	}
	for i := range len(label) {
		switch c := label[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
		case c >= 0x80:
			return badf("%q is not a host name as DNS has it: write it in its xn-- form", name)
		case c == ':':
			return badf("%q is not a host name: give the port by itself (--port)", name)
		default:
			return badf("%q is not a host name: %q can't be in one", name, string(rune(c)))
		}
	}
	return nil
}

// inDomain reports whether name is domain or below it; both are normal.
func inDomain(name, domain string) bool {
	if len(name) == len(domain) {
		return name == domain
	}
	return len(name) > len(domain) && name[len(name)-len(domain)-1] == '.' && strings.HasSuffix(name, domain)
}

func countLabels(name string) int { return strings.Count(name, ".") + 1 }
