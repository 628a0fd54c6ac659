package flow

import "strings"

// HostName is a name in lower case without its last dot; false if it is empty, longer
// than 253 bytes, or has other bytes than letters, digits, hyphens and underscores in
// labels of 1 to 63 bytes.
func HostName(s string) (string, bool) {
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > 253 {
		return "", false
	}
	label := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.':
			if label == 0 {
				return "", false
			}
			label = 0
			continue
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return "", false
		}
		if label++; label > 63 {
			return "", false
		}
	}
	return strings.ToLower(strings.Clone(s)), label > 0
}
