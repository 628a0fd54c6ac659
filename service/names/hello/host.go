package hello

import (
	"net/netip"
	"strconv"
	"strings"
)

// hostName is a host in lower case without its last dot. An address has no name: "". It is
// false for what can be neither.
func hostName(s string) (string, bool) {
	if _, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return "", true
	}
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > 253 {
		return "", false
	}
	for label := range strings.SplitSeq(s, ".") {
		if len(label) == 0 || len(label) > 63 {
			return "", false
		}
		for i := range len(label) {
			switch c := label[i]; {
			case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
			default:
				return "", false
			}
		}
	}
	return strings.ToLower(s), true
}

// authority splits host[:port] of a URL, without a user's name. An address has no name.
func authority(s string) (name string, port uint16, ok bool) {
	host, text := s, ""
	if i := strings.LastIndexByte(s, ':'); i >= 0 && i > strings.LastIndexByte(s, ']') {
		host, text = s[:i], s[i+1:]
	}
	if text != "" {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil || text[0] == '+' {
			return "", 0, false
		}
		port = uint16(n)
	}
	if strings.HasPrefix(host, "[") != strings.HasSuffix(host, "]") {
		return "", 0, false
	}
	name, ok = hostName(host)
	return name, port, ok
}
