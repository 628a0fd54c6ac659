package process

import (
	"os"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"
)

// parseDesktop reads the main group of a desktop entry; false if it is no application
// or runs another program in a terminal of its choice.
func parseDesktop(s string) (candidate, bool) {
	c := candidate{Entry: Entry{Name: map[string]string{}}}
	kind, main := "", false
	for line := range strings.Lines(s) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			if main {
				break
			}
			main = line == "[Desktop Entry]"
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !main || !ok || strings.HasPrefix(line, "#") {
			continue
		}
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		switch key {
		case "Type":
			kind = value
		case "Exec":
			words := splitExec(unescapeValue(value))
			if len(words) == 0 || !plain(words[1:]) {
				return c, false
			}
			c.exec, c.words = words[0], countWords(words[1:])
		case "TryExec":
			c.try = unescapeValue(value)
		case "Icon":
			c.Icon = cleanName(unescapeValue(value))
		case "NoDisplay":
			c.hidden = value == "true"
		case "Hidden":
			if value == "true" {
				return c, false
			}
		default:
			if lang, ok := nameKey(key); ok {
				if n := cleanName(unescapeValue(value)); n != "" {
					c.Name[lang] = n
				}
			}
		}
	}
	return c, kind == "Application" && c.Name[""] != ""
}

// nameKey reads "Name" and "Name[ja]".
func nameKey(key string) (lang string, ok bool) {
	if key == "Name" {
		return "", true
	}
	lang, ok = strings.CutPrefix(key, "Name[")
	lang, end := strings.CutSuffix(lang, "]")
	return lang, ok && end && lang != "" && len(lang) < 32
}

// plain reports whether the words after a program give it no other program to run.
func plain(words []string) bool {
	for _, w := range words {
		if w == "-e" || w == "-x" || w == "--" || w == "--command" {
			return false
		}
	}
	return true
}

func countWords(words []string) int {
	n := 0
	for _, w := range words {
		if len(w) != 2 || w[0] != '%' {
			n++
		}
	}
	return n
}

// splitExec splits an Exec line at blanks; in double quotes a backslash takes the next
// character as it is.
func splitExec(s string) []string {
	var words []string
	var w strings.Builder
	in, quoted := false, false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case quoted && c == '\\' && i+1 < len(s):
			i++
			w.WriteByte(s[i])
		case c == '"':
			in, quoted = true, !quoted
		case !quoted && (c == ' ' || c == '\t'):
			if in {
				words = append(words, w.String())
				w.Reset()
			}
			in = false
		default:
			in = true
			w.WriteByte(c)
		}
	}
	if in {
		words = append(words, w.String())
	}
	return words
}

var valueEscapes = strings.NewReplacer(`\s`, " ", `\n`, "\n", `\t`, "\t", `\r`, "\r", `\\`, `\`)

func unescapeValue(s string) string { return valueEscapes.Replace(s) }

// cleanName is a name that fits on a line, or nothing.
func cleanName(s string) string {
	if !utf8.ValidString(s) || len(s) > 256 {
		return ""
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, s))
}

// rootOnly reports whether a file or folder is root's and no other may write to it.
func rootOnly(path string) bool {
	info, err := os.Lstat(path)
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Uid == 0 && info.Mode().Perm()&0o022 == 0
}
