package format

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Sample is how much of a text Detect wants to see, in bytes.
const Sample = 64 << 10

// Detect says how a text is written, from its beginning: at most Sample bytes, of
// which a cut last line isn't looked at. The error is a *Refusal: a web page, an
// archive, a picture, or a text that no format fits.
func Detect(head []byte) (Format, error) {
	head = bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))
	if err := notText(head); err != nil {
		return Auto, err
	}
	if len(head) >= Sample-3 && bytes.IndexByte(head, '\n') < 0 {
		return Auto, &Refusal{Line: 1, Why: fmt.Sprintf("longer than %d KiB", MaxLine>>10), Do: "this is no list that can be read"}
	}
	lines := sampleLines(head)
	best, most := Auto, 0
	for _, f := range [...]Format{IPSet, RPZ, Adblock, Dnsmasq, URLs, Hosts, Networks, Names} {
		if n := score(f, lines); n > most {
			best, most = f, n
		}
	}
	if best == Auto {
		return Auto, &Refusal{Why: "no name, address or network could be read in it",
			Do: "give the address of a list of hosts, names or networks"}
	}
	return best, nil
}

// score counts the lines that f reads, less those that it can't.
func score(f Format, lines []string) int {
	n, p := 0, newParser(f)
	for _, raw := range lines {
		switch o := p.line(strings.TrimSpace(raw), raw, &sink{emit: func(Entry) {}}); {
		case o.kind == broken:
			n--
		case o.kind == taken || o.kind == hostile:
			n += 2
		case f == Adblock && strings.HasPrefix(raw, "[Adblock"):
			n += 4
		}
	}
	return n
}

// sampleLines are the first thousand lines that hold anything but a # comment.
func sampleLines(head []byte) []string {
	if i := bytes.LastIndexByte(head, '\n'); i > 0 && len(head) >= Sample-3 {
		head = head[:i]
	}
	var lines []string
	for l := range strings.Lines(string(head)) {
		l = strings.TrimRight(l, "\r\n")
		if t := strings.TrimSpace(l); t != "" && (t[0] != '#' || strings.HasPrefix(t, "##")) {
			if lines = append(lines, l); len(lines) == 1000 {
				break
			}
		}
	}
	return lines
}

var magics = []struct{ magic, what string }{
	{"PK\x03\x04", "a zip archive"}, {"PK\x05\x06", "an empty zip archive"},
	{"7z\xbc\xaf\x27\x1c", "a 7z archive"}, {"Rar!", "a rar archive"},
	{"\xfd7zXZ\x00", "packed with xz"}, {"BZh", "packed with bzip2"}, {"\x28\xb5\x2f\xfd", "packed with zstd"},
	{"\x1f\x8b", "packed with gzip twice"}, {"%PDF-", "a PDF document"}, {"\x7fELF", "a program"}, {"MZ", "a program for Windows"},
	{"\x89PNG", "a picture"}, {"GIF8", "a picture"}, {"\xff\xd8\xff", "a picture"}, {"SQLite format 3", "a database"},
}

// notText refuses what can't be a list by how it begins.
func notText(head []byte) error {
	const another = "give the address of the list itself, as plain text or packed with gzip"
	for _, m := range magics {
		if bytes.HasPrefix(head, []byte(m.magic)) && (len(m.magic) > 3 || !utf8.Valid(trimRune(head)) || bytes.IndexByte(head, 0) >= 0) {
			return &Refusal{Why: "it is " + m.what + ", not a list", Do: another}
		}
	}
	if control(head) {
		return &Refusal{Why: "it is binary data, not a list", Do: another}
	}
	t := bytes.ToLower(bytes.TrimSpace(head))
	switch {
	case len(t) == 0:
		return &Refusal{Why: "it is empty", Do: another}
	case t[0] == '<':
		return &Refusal{Why: "it is a web page, not a list", Do: "the server may be asking for a login or be out of order; " + another}
	case t[0] == '{', t[0] == '[' && !bytes.HasPrefix(t, []byte("[adblock")) && !bytes.HasPrefix(t, []byte("[ad")) && !bytes.HasPrefix(t, []byte("[ublock")):
		return &Refusal{Why: "it is JSON, not a list", Do: another}
	}
	return nil
}

// trimRune drops a character that the end of the sample cut.
func trimRune(b []byte) []byte {
	for i := 1; i <= 3 && i <= len(b); i++ {
		if utf8.RuneStart(b[len(b)-i]) {
			if !utf8.FullRune(b[len(b)-i:]) {
				return b[:len(b)-i]
			}
			break
		}
	}
	return b
}

// control says whether b holds a character that no text has.
func control(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' && c != '\f' && c != '\v' || c == 0x7f {
			return true
		}
	}
	return false
}
