package hello

import (
	"bytes"
	"strings"
)

const (
	maxMethod = 20
	preface   = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
)

// httpReader reads the head of an HTTP/1 request. It looks at each byte once until the
// head is whole, however they come.
type httpReader struct {
	head   []byte
	method int // bytes of the method, once there is a space behind it
	line   int // bytes of the first line, once it is whole
	looked int // bytes that were looked at
}

func (r *httpReader) add(b []byte) (Hello, State) {
	full := len(r.head)+len(b) > MaxHello
	r.head = append(r.head, b[:min(len(b), MaxHello-len(r.head))]...)
	if h, s := r.preface(); s != Nothing {
		return h, s
	}
	if r.line == 0 && !r.firstLine() {
		return Hello{}, Nothing
	}
	if r.line > 0 {
		from := max(r.line, r.looked-3) // the end may have come in parts
		r.looked = len(r.head)
		if i := bytes.Index(r.head[from:], []byte("\r\n\r\n")); i >= 0 {
			h, ok := readRequest(string(r.head[:from+i]))
			if !ok {
				return Hello{}, Nothing
			}
			return h, Said
		}
	}
	if full {
		return Hello{}, Nothing
	}
	return Hello{}, More
}

// firstLine reads on in the first line, and reports whether it can be a request's: what
// can't, isn't waited for.
func (r *httpReader) firstLine() bool {
	for ; r.looked < len(r.head); r.looked++ {
		c := r.head[r.looked]
		switch {
		case c == '\n' && r.looked > 0 && r.head[r.looked-1] == '\r':
			r.line = r.looked - 1
			_, version, ok := cutLast(string(r.head[r.method:r.line]), " ")
			return r.method > 0 && ok && (version == "HTTP/1.1" || version == "HTTP/1.0")
		case r.looked > 0 && r.head[r.looked-1] == '\r': // only before the line's end
			return false
		case c == '\r':
		case c < ' ' || c == 0x7f:
			return false
		case r.method > 0:
		case c == ' ':
			if r.method = r.looked; r.method == 0 {
				return false
			}
		case !isToken(c) || r.looked >= maxMethod:
			return false
		}
	}
	return true
}

func (r *httpReader) kept() int { return cap(r.head) }

// preface tells HTTP/2 with prior knowledge (RFC 9113, 3.4).
func (r *httpReader) preface() (Hello, State) {
	n := min(len(r.head), len(preface))
	switch {
	case string(r.head[:n]) != preface[:n]:
		return Hello{}, Nothing
	case n < len(preface):
		return Hello{}, More
	}
	return Hello{Kind: HTTP2}, Said
}

// readRequest reads a request's head without its last line's end. It refuses what two
// readers could take for two hosts: folded and doubled fields, bare line ends, space
// before a colon, a target that differs from Host.
func readRequest(head string) (Hello, bool) {
	line, fields, _ := strings.Cut(head, "\r\n")
	method, rest, _ := strings.Cut(line, " ")
	target, version, ok := cutLast(rest, " ")
	if !ok || target == "" || strings.ContainsAny(target, " \t\r\n") {
		return Hello{}, false
	}
	h := Hello{Kind: HTTP, Method: method}
	host, there, ok := hostField(fields)
	if !ok || !there && version == "HTTP/1.1" {
		return Hello{}, false
	}
	if there {
		if h.Name, h.Port, ok = authority(host); !ok && host != "" {
			return Hello{}, false
		}
	}
	return h, h.setTarget(target, there && host != "")
}

// setTarget reads a request's target (RFC 9112, 3.2); named says that Host names one.
func (h *Hello) setTarget(target string, named bool) bool {
	switch {
	case h.Method == "CONNECT":
		return h.setAuthority(target, named)
	case target[0] == '/' || target == "*" && h.Method == "OPTIONS":
		h.Path = target
		return true
	}
	scheme, rest, ok := strings.Cut(target, "://")
	if !ok || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") && !strings.EqualFold(scheme, "ftp") {
		return false
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	h.Path = rest[end:]
	if !strings.HasPrefix(h.Path, "/") {
		h.Path = "/" + h.Path
	}
	return h.setAuthority(rest[:end], named)
}

// setAuthority takes the host of a target that is meant for a proxy.
func (h *Hello) setAuthority(s string, named bool) bool {
	name, port, ok := authority(s)
	if !ok || named && name != h.Name {
		return false
	}
	h.Name, h.Port, h.Proxied = name, port, true
	return true
}

// hostField finds the one Host among a request's fields; ok is false if the fields are
// not in order.
func hostField(fields string) (host string, there, ok bool) {
	for fields != "" {
		var line string
		line, fields, _ = strings.Cut(fields, "\r\n")
		name, value, colon := strings.Cut(line, ":")
		if !colon || name == "" || strings.ContainsAny(value, "\r\n\x00") {
			return "", false, false
		}
		for i := range len(name) { // also a space before the colon, or of a folded line
			if !isToken(name[i]) {
				return "", false, false
			}
		}
		if !strings.EqualFold(name, "Host") {
			continue
		}
		if there {
			return "", false, false
		}
		host, there = strings.Trim(value, " \t"), true
	}
	return host, there, true
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// isToken reports whether c may stand in a method or a field's name (RFC 9110, 5.6.2).
func isToken(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return true
	}
	return strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}
