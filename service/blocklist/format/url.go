package format

import (
	"net/netip"
	"net/url"
	"path"
	"strings"
)

// urls reads addresses of pages, one a line. Only plain HTTP shows its path to a
// firewall, so only http:// is taken; the host alone isn't blocked.
type urls struct{}

func (urls) line(text, _ string, to *sink) outcome {
	if text == "" || strings.IndexByte("#;!", text[0]) >= 0 {
		return lineEmpty
	}
	lower := text
	if i := strings.Index(text, "://"); i >= 0 {
		lower = strings.ToLower(text[:i]) + text[i:]
	}
	rest, ok := strings.CutPrefix(lower, "http://")
	if !ok {
		if strings.HasPrefix(lower, "https://") || strings.HasPrefix(lower, "ftp://") {
			return leave("only the path of plain HTTP can be seen")
		}
		return wrong("not the address of a page")
	}
	host, target := rest, "/"
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		host, target = rest[:i], rest[i:]
	}
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = host[i+1:]
	}
	key, ok := URLKey(host, target)
	if !ok {
		return wrong("not the address of a page")
	}
	if a, err := netip.ParseAddr(hostOf(key)); err == nil && OfNoHost(a) {
		return leave("an address of no host on the Internet")
	}
	if n := hostOf(key); local(n) {
		return ofThisMachine(n)
	}
	to.emit(Entry{URL: key})
	return entryTaken
}

// maxURL bounds the host and path of a page, in bytes.
const maxURL = 2048

// URLKey gives the form in which the address of a page is compared: the host in lower
// case with its port unless that is 80, and the path without escapes and detours, so
// that neither hides it. host may have a port; target is what a request of plain HTTP
// asks for: path and query. It is false for what can't be a page.
func URLKey(host, target string) (string, bool) {
	name, port := host, ""
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		name, port = host[:i], host[i+1:]
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	if a, err := netip.ParseAddr(name); err == nil {
		name = a.Unmap().WithZone("").String()
	} else if n, ok := cleanName(name); ok {
		name = n
	} else {
		return "", false
	}
	if len(port) > 5 || strings.Trim(port, "0123456789") != "" {
		return "", false
	}
	if strings.Contains(name, ":") {
		name = "[" + name + "]"
	}
	if port != "" && port != "80" {
		name += ":" + port
	}
	target, _, _ = strings.Cut(target, "#")
	p, query, asked := strings.Cut(target, "?")
	key := name + cleanPath(p)
	if asked && query != "" {
		key += "?" + query
	}
	return key, len(key) <= maxURL
}

func cleanPath(p string) string {
	if u, err := url.PathUnescape(p); err == nil {
		p = u
	}
	c := path.Clean("/" + p)
	if strings.HasSuffix(p, "/") && c != "/" {
		c += "/"
	}
	return c
}

// hostOf gives the host of a key without its port.
func hostOf(key string) string {
	h, _, _ := strings.Cut(key, "/")
	if strings.HasPrefix(h, "[") {
		h, _, _ = strings.Cut(h[1:], "]")
		return h
	}
	h, _, _ = strings.Cut(h, ":")
	return h
}
