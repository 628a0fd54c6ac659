package blocklist

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"sekisho/service/blocklist/format"
)

// fetched is a new text on disk, not judged yet.
type fetched struct {
	path         string
	sha256       string
	etag         string
	lastModified string
}

// errUnchanged: the copy is the newest.
var errUnchanged = errors.New("unchanged")

// fetch gets a list's text. s is what is known of the copy.
func (b *Book) fetch(ctx context.Context, l *List, s *state) (*fetched, error) {
	ctx, stop := context.WithTimeoutCause(ctx, b.o.Limits.Time,
		&Problem{Why: fmt.Sprintf("it took longer than %v", b.o.Limits.Time), Do: "it is tried again later; if it stays so, choose another address"})
	defer stop()
	f, err := b.get(ctx, l, s)
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return f, err
}

func (b *Book) get(ctx context.Context, l *List, s *state) (*fetched, error) {
	conditional := s.SHA256 != "" && s.URL == l.URL
	r, err := b.follow(ctx, l, s, conditional)
	if err != nil {
		return nil, err
	}
	if r.StatusCode == http.StatusNotModified && conditional {
		return nil, errors.Join(r.Body.Close(), errUnchanged)
	}
	if r.StatusCode != http.StatusOK {
		return nil, errors.Join(r.Body.Close(), refusedBy(r))
	}
	if r.ContentLength > b.o.Limits.Bytes {
		return nil, errors.Join(r.Body.Close(), &format.Refusal{Why: fmt.Sprintf("it is longer than %d MiB", b.o.Limits.Bytes>>20), Do: "choose a smaller list"})
	}
	tell := func(n int64) {
		b.o.Progress(Progress{List: l.ID, Stage: Fetching, Done: n, Total: max(0, r.ContentLength)})
	}
	path, sum, err := b.save(ctx, r.Body, tell)
	if err = errors.Join(err, r.Body.Close()); err != nil {
		if path != "" {
			b.drop(path)
		}
		return nil, err
	}
	return &fetched{path, sum, bounded(r.Header.Get("ETag")), bounded(r.Header.Get("Last-Modified"))}, nil
}

// bounded drops a validator that is too long to be kept.
func bounded(s string) string {
	if len(s) > 1024 {
		return ""
	}
	return s
}

func refusedBy(r *http.Response) error {
	do := "it is tried again later"
	switch r.StatusCode {
	case http.StatusNotFound, http.StatusGone:
		do = "the list has moved: look for its new address"
	case http.StatusUnauthorized, http.StatusForbidden:
		do = "the list isn't for everybody: look on its home page for how to get it"
	}
	return &Problem{Why: fmt.Sprintf("the server answers %d %s", r.StatusCode, http.StatusText(r.StatusCode)), Do: do}
}

// follow asks for the list, and again wherever the server says it is. Only the first
// address is the person's choice: from the first redirect on it must be one of the
// Internet, and never less safe than the one before.
func (b *Book) follow(ctx context.Context, l *List, s *state, conditional bool) (*http.Response, error) {
	at := l.URL
	for hops := 0; ; hops++ {
		if err := checkURL(at, l.Insecure); err != nil {
			return nil, &Problem{Why: err.Error(), Do: "choose another address"}
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
		if err != nil {
			return nil, err
		}
		if hops > 0 && !sameHost(l.URL, r.URL) {
			if a, err := netip.ParseAddr(r.URL.Hostname()); err == nil && format.OfNoHost(a) {
				return nil, errInward
			}
			r = r.WithContext(context.WithValue(ctx, outward{}, true))
		}
		r.Header.Set("User-Agent", "sekisho")
		r.Header.Set("Accept-Encoding", "gzip")
		if conditional {
			set(r.Header, "If-None-Match", s.ETag)
			set(r.Header, "If-Modified-Since", s.LastModified)
		}
		a, err := b.o.Transport.RoundTrip(r)
		if err != nil {
			return nil, unreachable(err)
		}
		where := a.Header.Get("Location")
		if a.StatusCode < 301 || a.StatusCode > 308 || a.StatusCode == http.StatusNotModified || where == "" {
			return a, nil
		}
		if err := a.Body.Close(); err != nil {
			return nil, err
		}
		next, err := r.URL.Parse(where)
		if err != nil {
			return nil, &Problem{Why: "the server redirects to what is no address", Do: "choose another address"}
		}
		if r.URL.Scheme == "https" && next.Scheme == "http" {
			return nil, &Problem{Why: "the server redirects from https to http", Do: "choose another address"}
		}
		if hops == b.o.Limits.Redirects {
			return nil, &Problem{Why: fmt.Sprintf("the server redirects more than %d times", hops), Do: "choose another address"}
		}
		at = next.String()
	}
}

func set(h http.Header, key, value string) {
	if value != "" {
		h.Set(key, value)
	}
}

func sameHost(first string, u *url.URL) bool {
	f, err := url.Parse(first)
	return err == nil && strings.EqualFold(f.Host, u.Host)
}

// unreachable says more plainly what the connection's error means.
func unreachable(err error) error {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	return &Problem{Why: "can't be reached: " + err.Error(), Do: "it is tried again later; check the address and the network", Err: err}
}

// drop removes a text that isn't wanted; it is gone if it was taken. What can't be
// removed is, when the book is opened again.
func (b *Book) drop(path string) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		b.o.Log.Warn("list's unfinished copy stays", "err", err)
	}
}

// save writes a text, unpacked, to a new file in the folder of copies, synced.
func (b *Book) save(ctx context.Context, r io.Reader, tell func(int64)) (path, sum string, err error) {
	t, err := format.Text(&counted{ctx: ctx, r: r, limit: b.o.Limits.Bytes, tell: tell}, b.o.Limits.Bytes)
	if err != nil {
		return "", "", err
	}
	f, err := os.CreateTemp(b.copyDir(), "new-")
	if err != nil {
		return "", "", err
	}
	d := sha256.New()
	_, err = io.Copy(io.MultiWriter(f, d), t)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), hex.EncodeToString(d.Sum(nil)), nil
}

// counted bounds what comes over the wire and tells of it every so often.
type counted struct {
	ctx      context.Context
	r        io.Reader
	n, limit int64
	told     int64
	tell     func(int64)
}

func (c *counted) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	if c.n += int64(n); c.n > c.limit {
		return 0, &format.Refusal{Why: fmt.Sprintf("it is longer than %d MiB", c.limit>>20), Do: "choose a smaller list"}
	}
	if c.tell != nil && (c.n-c.told >= 256<<10 || err == io.EOF) {
		c.told = c.n
		c.tell(c.n)
	}
	return n, err
}
