package resolved

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sekisho/service/names"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve is a varlink service that speaks what was recorded, one list of messages for each
// caller in turn, and then hangs up if there is another to come.
func serve(t *testing.T, says ...[]byte) (path string, calls <-chan map[string]any) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan map[string]any, len(says))
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for i, say := range says {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b, err := bufio.NewReader(c).ReadBytes(0)
			var m map[string]any
			if err == nil && json.Unmarshal(bytes.TrimSuffix(b, []byte{0}), &m) == nil {
				asked <- m
			}
			for part := range slices.Chunk(say, 700) { // messages don't end where reads do
				c.Write(part)
			}
			if i == len(says)-1 {
				c.Read(make([]byte, 1)) // until the caller hangs up
			}
			c.Close()
		}
	}()
	return path, asked
}

// listen collects what a Monitor tells until it has told n answers.
func listen(t *testing.T, path string, n int) (all []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	m := NewMonitor(path, slog.New(slog.DiscardHandler))
	err := m.Run(ctx, func(a names.Answer) {
		if !m.Working() {
			t.Error("it does not say that it works")
		}
		all = append(all, fmt.Sprintf("%s %v %v %v", a.Question, a.Chain, a.Addrs, a.TTL))
		if len(all) == n {
			cancel()
		}
	})
	if err != nil || m.Working() {
		t.Errorf("Run: %v, working %v", err, m.Working())
	}
	return all
}

// What systemd-resolved 252 of Debian 12 said when it was asked by varlink and at its stub.
func TestRecorded(t *testing.T) {
	said, err := os.ReadFile("testdata/systemd-252.varlink")
	if err != nil {
		t.Fatal(err)
	}
	path, calls := serve(t, said)
	want := []string{
		"www.example.com [cdn.example.net] [198.51.100.1 198.51.100.2] 1m0s",
		"www.example.com [cdn.example.net] [198.51.100.1 198.51.100.2] 1m0s",
		"www.example.com [cdn.example.net] [198.51.100.2 198.51.100.1] 1m0s",
		"www.example.com [cdn.example.net] [198.51.100.2 198.51.100.1] 1m0s",
		"xn--bcher-kva.example [] [198.51.100.3] 5m0s",
		"a.b.example.org [a.c.example.org] [198.51.100.4] 1m0s",
		"localhost [] [127.0.0.1] 0s",
		"www.example.com [cdn.example.net] [198.51.100.1 198.51.100.2] 56s",
		"www.example.com [cdn.example.net] [198.51.100.1 198.51.100.2] 55s",
	}
	if got := listen(t, path, len(want)); !slices.Equal(got, want) {
		t.Errorf("heard\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if m := <-calls; m["method"] != subscribe || m["more"] != true {
		t.Errorf("asked %v", m)
	}
}

func answer(name, raw string) string {
	return fmt.Sprintf(`{"parameters":{"state":"success","question":[{"class":1,"type":1,"name":%q}],"answer":[{"raw":%q}]},"continues":true}`+"\x00", name, raw)
}

const (
	ready = `{"parameters":{"ready":true},"continues":true}` + "\x00"
	good  = "A2NkbgdleGFtcGxlA25ldAAAAQABAAAAPAAExjNkAQ==" // cdn.example.net. 60 A 198.51.100.1
)

// It goes on over what it can't read, and after the service has gone.
func TestMonitorGoesOn(t *testing.T) {
	one := ready +
		answer("bad name", good) + answer("other.example", good) + answer("cdn.example.net", "????") + answer("cdn.example.net", good[:20]) +
		`{"parameters":{"state":"success"},"continues":true}` + "\x00" + `{"parameters":{"question":3},"continues":true}` + "\x00" +
		`{"continues":true}` + "\x00" + answer("cdn.example.net", good)
	path, _ := serve(t,
		[]byte(one),
		[]byte("not JSON\x00"),
		[]byte(`{"error":"org.varlink.service.MethodNotFound","parameters":{}}`+"\x00"),
		[]byte(ready+answer("CDN.example.net.", good)),
	)
	want := "cdn.example.net [] [198.51.100.1] 1m0s"
	if got := listen(t, path, 2); !slices.Equal(got, []string{want, want}) {
		t.Errorf("heard %q", got)
	}
}

func TestMonitorIsBounded(t *testing.T) {
	path, _ := serve(t, slices.Repeat([]byte{' '}, maxMessage+10_000))
	err := call(t.Context(), path, subscribe, func(json.RawMessage) error { t.Error("heard something"); return nil })
	if err == nil || !strings.Contains(err.Error(), errTooLong.Error()) {
		t.Errorf("error %v", err)
	}
}

func TestNoResolved(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	m := NewMonitor(filepath.Join(t.TempDir(), "none"), slog.New(slog.DiscardHandler))
	if err := m.Run(ctx, func(names.Answer) { t.Error("heard something") }); err != nil {
		t.Error(err)
	}
}

func FuzzResult(f *testing.F) {
	said, err := os.ReadFile("testdata/systemd-252.varlink")
	if err != nil {
		f.Fatal(err)
	}
	for m := range bytes.SplitSeq(said, []byte{0}) {
		var p struct {
			Parameters json.RawMessage `json:"parameters"`
		}
		if json.Unmarshal(m, &p) == nil {
			f.Add([]byte(p.Parameters))
		}
	}
	m := NewMonitor("", slog.New(slog.DiscardHandler))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, ok := m.read(b)
		if name, valid := names.HostName(a.Question); ok && (!valid || name != a.Question || len(a.Addrs) == 0) {
			t.Fatalf("%+v", a)
		}
	})
}
