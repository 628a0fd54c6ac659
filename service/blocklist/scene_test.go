package blocklist

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"sekisho/app/flow"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeClock stands until it is moved.
type fakeClock struct {
	mu    sync.Mutex
	now   time.Time
	sleep []sleeper
	slept chan time.Duration // of each After
}

type sleeper struct {
	until time.Time
	wake  chan time.Time
}

func newClock() *fakeClock {
	return &fakeClock{now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), slept: make(chan time.Duration, 1000)}
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) After(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := sleeper{c.now.Add(d), make(chan time.Time, 1)}
	c.sleep = append(c.sleep, s)
	c.slept <- d
	return s.wake
}

func (c *fakeClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	for _, s := range c.sleep {
		if !s.until.After(c.now) {
			select {
			case s.wake <- c.now:
			default:
			}
		}
	}
}

// publisher serves one list by HTTP; how is replaced between requests.
type publisher struct {
	*httptest.Server
	mu       sync.Mutex
	how      http.HandlerFunc
	requests []*http.Request
}

func publish(t *testing.T, how http.HandlerFunc) *publisher {
	t.Helper()
	p := &publisher{how: how}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.requests = append(p.requests, r)
		how := p.how
		p.mu.Unlock()
		how(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *publisher) set(how http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.how = how
}

func (p *publisher) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.requests)
}

func (p *publisher) last() *http.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests[len(p.requests)-1]
}

func text(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, s) }
}

// tenHosts is a good list: n0.listed.example to n9.listed.example and n.listed.example.
var tenHosts = func() string {
	var s strings.Builder
	s.WriteString("# a good list\n127.0.0.1 localhost\n0.0.0.0 n.listed.example\n")
	for i := range 10 {
		fmt.Fprintf(&s, "0.0.0.0 n%d.listed.example\n", i)
	}
	return s.String()
}()

func packed(t testing.TB, s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write([]byte(s))
	if err = errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// scene is a book with its Run running.
type scene struct {
	*Book
	t     *testing.T
	dir   string
	clock *fakeClock
	o     Options
	stop  func()
}

func newScene(t *testing.T, change func(*Options)) *scene {
	t.Helper()
	s := &scene{t: t, dir: t.TempDir(), clock: newClock()}
	log := new(logged)
	s.o = Options{Dir: s.dir, Clock: s.clock, Log: slog.New(slog.NewTextHandler(log, nil))}
	if change != nil {
		change(&s.o)
	}
	s.dir = s.o.Dir
	s.open()
	t.Cleanup(func() {
		s.stop()
		if t.Failed() {
			t.Logf("status %+v\n%s", s.Status(), log.b.String())
		}
	})
	return s
}

// logged keeps what a book logs, for tests that fail.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (s *scene) open() {
	s.t.Helper()
	b, err := Open(s.o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.Book = b
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	var once sync.Once
	s.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				s.t.Errorf("Run ended with %v", err)
			}
			if err := b.Close(); err != nil {
				s.t.Error(err)
			}
		})
	}
}

func (s *scene) set(lists ...List) {
	s.t.Helper()
	if err := s.SetLists(lists); err != nil {
		s.t.Fatal(err)
	}
}

// update fetches and expects it to go well.
func (s *scene) update(id string) {
	s.t.Helper()
	if err := s.tryUpdate(id); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) tryUpdate(id string) error {
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	return s.Update(ctx, id)
}

// listed looks a name up as a program that wants to go there.
func (s *scene) listed(name string) bool {
	f := s.Look(Query{Direction: flow.Out, Name: name})
	return f.Block() != nil
}

func (s *scene) status(id string) Status {
	s.t.Helper()
	for _, st := range s.Status() {
		if st.List == id {
			return st
		}
	}
	s.t.Fatalf("no list %s", id)
	return Status{}
}

func (s *scene) copyOf(id string) string {
	s.t.Helper()
	b, err := os.ReadFile(s.copyPath(id))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}

// fromURL is a list that is on.
func fromURL(id, url string) List {
	return List{ID: id, Name: "The list " + id, URL: url, Category: Malware, Action: Block, On: true, Insecure: true}
}

func fromFile(id string) List { return fromURL(id, "") }

func (s *scene) imports(id, text string) {
	s.t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	if err := s.Import(ctx, id, strings.NewReader(text)); err != nil {
		s.t.Fatal(err)
	}
}

// waitFor waits for what Run does by itself.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 10 s", what)
		}
	}
}
