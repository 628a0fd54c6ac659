package process

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Unit is the systemd unit of a cgroup: the service or scope of the system's manager
// or, beneath user@UID.service, of the user's own (own). It is empty outside of both.
//
// Beneath user@UID.service the user decides which cgroups there are and who is in
// them, so a unit's name there says what the user's programs say of themselves.
func Unit(cgroup string) (unit string, own bool) {
	unit, below := firstUnit(strings.Split(cgroup, "/"))
	if strings.HasPrefix(unit, "user@") && strings.HasSuffix(unit, ".service") {
		if theirs, _ := firstUnit(below); theirs != "" {
			return theirs, true
		}
	}
	return unit, false
}

// firstUnit finds the first service or scope, with only slices above it, and what is
// below.
func firstUnit(folders []string) (string, []string) {
	for i, f := range folders {
		f = strings.TrimPrefix(f, "_") // systemd puts it before names that the kernel uses
		switch {
		case f == "", strings.HasSuffix(f, ".slice"):
		case strings.HasSuffix(f, ".service"), strings.HasSuffix(f, ".scope"):
			return unescape(f), folders[i+1:]
		default:
			return "", nil
		}
	}
	return "", nil
}

// unescape reads \x2d as -, leaving what would not be plain text.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && s[i+1] == 'x' {
			if c, err := strconv.ParseUint(s[i+2:i+4], 16, 8); err == nil && c >= ' ' && c != '/' && c != 0x7f {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	if !utf8.ValidString(b.String()) {
		return s
	}
	return b.String()
}
