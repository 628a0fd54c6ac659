package blocklist

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestFetchedWhenSwitchedOn: a list that is on is fetched and in use without a word;
// one that is off isn't fetched at all.
func TestFetchedWhenSwitchedOn(t *testing.T) {
	s := newScene(t, nil)
	p := publish(t, text(packed(t, tenHosts)))
	off := fromURL("off", p.URL+"/off")
	off.On = false
	s.set(fromURL("good", p.URL), off)
	waitFor(t, "the list is in use", func() bool { return s.listed("n.listed.example") })
	if s.listed("other.example") || s.listed("localhost") {
		t.Error("what isn't listed is blocked")
	}
	st := s.status("good")
	if st.Report.Names != 11 || st.Fetched != s.clock.Now() || st.Error != "" || st.Due.Sub(s.clock.Now()) > 27*time.Hour || st.Due.Sub(s.clock.Now()) < 21*time.Hour {
		t.Errorf("status %+v", st)
	}
	if n := p.count(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

func TestConditionalRequest(t *testing.T) {
	s := newScene(t, nil)
	p := publish(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"one"`)
		w.Header().Set("Last-Modified", "Sun, 22 Nov 2026 11:00:00 GMT")
		if r.Header.Get("If-None-Match") == `"one"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(w, tenHosts)
	})
	s.set(fromURL("good", p.URL))
	waitFor(t, "the list is in use", func() bool { return s.listed("n.listed.example") })
	first := s.status("good").Fetched
	s.clock.advance(time.Hour)
	s.update("good")
	if got := p.last().Header.Get("If-Modified-Since"); got != "Sun, 22 Nov 2026 11:00:00 GMT" {
		t.Errorf("If-Modified-Since %q", got)
	}
	st := s.status("good")
	if !st.Fetched.Equal(first) || !st.Checked.Equal(s.clock.Now()) || st.Error != "" || !s.listed("n.listed.example") {
		t.Errorf("after 304: %+v", st)
	}
	// Another address: what the old one said is of no use.
	p2 := publish(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(w, "0.0.0.0 new.listed.example\n")
	})
	s.set(fromURL("good", p2.URL))
	waitFor(t, "the new address is in use", func() bool { return s.listed("new.listed.example") })
}

// TestScheduleAndBackoff: a day with jitter after a good fetch, minutes that double
// after bad ones.
func TestScheduleAndBackoff(t *testing.T) {
	s := newScene(t, nil)
	p := publish(t, text(tenHosts))
	s.set(fromURL("good", p.URL))
	within := func(what string, got, about time.Duration) {
		t.Helper()
		if got < about*9/10 || got > about*11/10 {
			t.Errorf("%s: waits %v, want about %v", what, got, about)
		}
	}
	within("after a good fetch", s.asleep("good", 1, p), 24*time.Hour)
	p.set(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) })
	for i, about := range []time.Duration{5 * time.Minute, 10 * time.Minute, 20 * time.Minute} {
		s.clock.advance(s.status("good").Due.Sub(s.clock.Now()))
		within("after an error", s.asleep("good", 2+i, p), about)
	}
	if st := s.status("good"); !strings.Contains(st.Error, "503") || st.Do == "" || !s.listed("n.listed.example") {
		t.Errorf("status %+v", st)
	}
	p.set(text(tenHosts))
	s.clock.advance(s.status("good").Due.Sub(s.clock.Now()))
	within("good again", s.asleep("good", 5, p), 24*time.Hour)
	if st := s.status("good"); st.Error != "" {
		t.Errorf("status %+v", st)
	}
	if got := backoff(1000); got != lastRetry {
		t.Errorf("after a thousand errors: %v", got)
	}
}

// asleep waits until a list was asked for n times and Run waits for the next time, and
// says how long.
func (s *scene) asleep(id string, n int, p *publisher) time.Duration {
	s.t.Helper()
	waitFor(s.t, "it is fetched", func() bool { return p.count() == n && s.status(id).Due.After(s.clock.Now()) })
	wait := s.status(id).Due.Sub(s.clock.Now())
	for {
		select {
		case d := <-s.clock.slept:
			if d == wait {
				return d
			}
		case <-time.After(10 * time.Second):
			s.t.Fatalf("Run doesn't wait %v", wait)
		}
	}
}

// hostile are answers of a server that must not change what is in use.
var hostile = []struct {
	name string
	how  func(t *testing.T) http.HandlerFunc
	why  string
}{
	{"nothing", says(""), "it is empty"},
	{"web page", says("<!doctype html><title>Please log in</title>"), "a web page"},
	{"JSON", says(`{"error": "rate limited"}`), "JSON"},
	{"zip", says("PK\x03\x04\x14\x00\x00\x00\x08\x00"), "a zip archive"},
	{"binary", says("\x00\x01\x02\x03"), "binary"},
	{"gzip bomb", func(t *testing.T) http.HandlerFunc { return text(packed(t, strings.Repeat(tenHosts, 30_000))) }, "longer than 1 MiB"},
	{"gzip cut short", func(t *testing.T) http.HandlerFunc { z := packed(t, tenHosts); return text(z[:len(z)/2]) }, "middle of its packed data"},
	{"endless", endless, "longer than 1 MiB"},
	{"announced too long", func(*testing.T) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "99999999999") }
	}, "longer than 1 MiB"},
	{"slow headers", slow(false), "took longer than"},
	{"slow loris", slow(true), "took longer than"},
	{"cut short", func(*testing.T) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100000")
			fmt.Fprint(w, tenHosts)
		}
	}, "unexpected EOF"},
	{"huge line", says(tenHosts + strings.Repeat("x", 100_000)), "longer than 64 KiB"},
	{"localhost", says(tenHosts + "0.0.0.0 localhost\n"), "localhost is this machine"},
	{"update host", says(tenHosts + "0.0.0.0 updates.system.example\n"), "would stop updates"},
	{"TLD", says("||n.listed.example^\n||com^\n"), "every name under .com"},
	{"every address", says("198.51.100.1\n0.0.0.0/0\n"), "would block every address"},
	{"shrunk", says("0.0.0.0 n.listed.example\n"), "shrank from 11 entries to 1"},
	{"not found", status(http.StatusNotFound), "404"},
	{"server error", status(http.StatusInternalServerError), "500"},
	{"partial", status(http.StatusPartialContent), "206"},
	{"redirect to a file", redirect("file:///etc/passwd"), "want https://"},
	{"redirect to metadata", redirect("http://169.254.169.254/latest/meta-data"), "into the local network"},
	{"redirect to this machine by name", func(t *testing.T) http.HandlerFunc {
		inner := publish(t, text(tenHosts+"0.0.0.0 smuggled.example\n"))
		return redirect(strings.Replace(inner.URL, "127.0.0.1", "localhost", 1))(t)
	}, "into the local network"},
	{"redirect without end", redirect("/again"), "more than 5 times"},
	{"redirect to nowhere", redirect("http://[::1"), "no address"},
}

func says(s string) func(*testing.T) http.HandlerFunc {
	return func(*testing.T) http.HandlerFunc { return text(s) }
}

func status(code int) func(*testing.T) http.HandlerFunc {
	return func(*testing.T) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code); fmt.Fprint(w, tenHosts) }
	}
}

func redirect(to string) func(*testing.T) http.HandlerFunc {
	return func(*testing.T) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusFound)
		}
	}
}

func endless(*testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; r.Context().Err() == nil; i++ {
			if _, err := fmt.Fprintf(w, "0.0.0.0 n%d.listed.example\n", i); err != nil {
				return
			}
		}
	}
}

func slow(begun bool) func(*testing.T) http.HandlerFunc {
	return func(*testing.T) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if begun {
				fmt.Fprint(w, tenHosts)
				w.(http.Flusher).Flush()
			}
			<-r.Context().Done()
		}
	}
}

// TestHostileListKeepsLastGood: each is refused with what is wrong and what to do, and
// the list of before stays on disk and in use. It is fetched well before and after, so
// that only the hostile answer can be why.
func TestHostileListKeepsLastGood(t *testing.T) {
	s := newScene(t, func(o *Options) {
		o.Limits = Limits{Bytes: 1 << 20, Time: 700 * time.Millisecond}
		o.Guarded = []string{"updates.system.example"}
	})
	p := publish(t, text(tenHosts))
	s.set(fromURL("good", p.URL))
	waitFor(t, "the list is in use", func() bool { return s.listed("n.listed.example") })
	for _, c := range hostile {
		t.Run(c.name, func(t *testing.T) {
			p.set(c.how(t))
			err := s.tryUpdate("good")
			var problem *Problem
			if !errors.As(err, &problem) || !strings.Contains(err.Error(), c.why) || problem.Do == "" || problem.List != "good" {
				t.Errorf("error %v, want one of the list that says %q and what to do", err, c.why)
			}
			if st := s.status("good"); !strings.Contains(st.Error, c.why) || st.Do == "" || st.Report.Names != 11 {
				t.Errorf("status %+v", st)
			}
			if !s.listed("n9.listed.example") || s.listed("smuggled.example") || s.listed("www.example.com") || s.copyOf("good") != tenHosts {
				t.Error("the last good copy didn't stay")
			}
			p.set(text(tenHosts))
			s.update("good")
		})
	}
}

// TestRedirectInwardByAnyTransport: an address is refused before it is dialled, too.
func TestRedirectInwardByAnyTransport(t *testing.T) {
	s := newScene(t, func(o *Options) { o.Transport = &http.Transport{DisableKeepAlives: true} })
	inner := publish(t, text(tenHosts))
	p := publish(t, redirect(inner.URL)(t))
	s.set(fromURL("good", p.URL))
	if err := s.tryUpdate("good"); err == nil || !strings.Contains(err.Error(), "into the local network") || inner.count() != 0 {
		t.Errorf("%d requests inside, error %v", inner.count(), err)
	}
}

// TestRedirects: to another place of the same server is followed, but not for ever.
func TestRedirects(t *testing.T) {
	s := newScene(t, nil)
	hops := 3
	p := publish(t, nil)
	p.set(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == fmt.Sprint("/", hops) {
			fmt.Fprint(w, tenHosts)
			return
		}
		n := 0
		fmt.Sscanf(r.URL.Path, "/%d", &n)
		http.Redirect(w, r, fmt.Sprint("/", n+1), http.StatusFound)
	})
	s.set(fromURL("good", p.URL))
	waitFor(t, "the list is in use", func() bool { return s.listed("n.listed.example") })
	p.mu.Lock()
	hops = 1000
	p.mu.Unlock()
	before := p.count()
	if err := s.tryUpdate("good"); err == nil || !strings.Contains(err.Error(), "more than 5 times") {
		t.Errorf("error %v", err)
	}
	if n := p.count() - before; n != 6 {
		t.Errorf("%d requests", n)
	}
}

// TestETagLoop: a server that says "unchanged" of what we haven't got gives no list.
func TestETagLoop(t *testing.T) {
	s := newScene(t, nil)
	p := publish(t, status(http.StatusNotModified)(t))
	s.set(fromURL("good", p.URL))
	if err := s.tryUpdate("good"); err == nil || !strings.Contains(err.Error(), "304") {
		t.Errorf("error %v", err)
	}
}

// TestPlainHTTPIsAChoice, and https never becomes http on the way.
func TestPlainHTTPIsAChoice(t *testing.T) {
	s := newScene(t, nil)
	l := fromURL("good", "http://lists.example/hosts")
	l.Insecure = false
	if err := s.SetLists([]List{l}); err == nil || !strings.Contains(err.Error(), "use https") {
		t.Errorf("error %v", err)
	}
	for _, u := range []string{"file:///etc/passwd", "ftp://lists.example/x", "https://user:pw@lists.example/", "https:///x", "lists.example", "gopher://x/"} {
		l.URL = u
		if err := s.SetLists([]List{l}); err == nil {
			t.Errorf("%s was taken", u)
		}
	}
}
