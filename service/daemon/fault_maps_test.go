package daemon_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"sekisho/app/rule"
	"sekisho/service/bpf"
)

// kernelMap opens a map of the service by its pin.
func (s *scene) kernelMap(name string) *ebpf.Map {
	s.t.Helper()
	m, err := ebpf.LoadPinnedMap(filepath.Join("/proc", fmt.Sprint(s.service.PID()), "root", bpf.Pins(bpf.Tag(s.service.State)), name), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = m.Close() })
	return m
}

// fill puts entries that nobody looks for into a map until it takes no more, and returns
// what takes them out again.
func (s *scene) fill(m *ebpf.Map) (empty func()) {
	s.t.Helper()
	n := int(m.MaxEntries())
	keys := reflect.MakeSlice(reflect.SliceOf(reflect.ArrayOf(int(m.KeySize()), reflect.TypeFor[byte]())), n, n)
	values := reflect.MakeSlice(reflect.SliceOf(reflect.ArrayOf(int(m.ValueSize()), reflect.TypeFor[byte]())), n, n)
	for i := range n {
		k := keys.Index(i).Slice(0, int(m.KeySize())).Bytes()
		for j := range k {
			k[j] = 0xee
		}
		binary.NativeEndian.PutUint32(k, uint32(i)|0xf0000000)
	}
	const chunk = 1 << 15
	for i := 0; i < n; i += chunk {
		to := min(n, i+chunk)
		if _, err := m.BatchUpdate(keys.Slice(i, to).Interface(), values.Slice(i, to).Interface(), nil); err != nil {
			if i+chunk < n {
				s.t.Fatalf("only %d entries of %d have room: %v", i, n, err)
			}
			break // some were there before
		}
	}
	return func() {
		s.t.Helper()
		for i := 0; i < n; i += chunk {
			if _, err := m.BatchDelete(keys.Slice(i, min(n, i+chunk)).Interface(), nil); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
				s.t.Fatal(err)
			}
		}
	}
}

// With any map of the kernel full, nothing undecided and nothing blocked leaves; with room
// again all is as before.
func TestFullMaps(t *testing.T) {
	s := newScene(t)
	allowed, exact, blocked := s.Home.Program("allowed"), s.Home.Program("exact"), s.Home.Program("blocked")
	s.rule(allowed, rule.Allow, rule.Remote{})
	s.rule(exact, rule.Allow, rule.Remote{Address: s.target.Addr()})
	s.rule(blocked, rule.Block, rule.Remote{})
	since := time.Now()
	l, _ := s.undecidedSender()
	for _, c := range []struct {
		name   string
		closed bool // even what is allowed is refused, and counted
	}{{"sockets", true}, {"programs", false}, {"exacts", false}, {"held", false}, {"processes", true},
		{"conversations", false}, {"listeners", false}, {"let_go", false}} {
		t.Run(c.name, func(t *testing.T) {
			s := *s
			s.t = t
			counted := func() uint64 { c := s.status().Counters; return c.OverLimit + c.Unattributed }
			before := counted()
			empty := s.fill(s.kernelMap(c.name))
			if c.closed {
				// Others end meanwhile, and there is room for one.
				for range 5 {
					_, _ = allowed.Run(t.Context(), "-timeout", "1s", "tcp", s.target.String())
				}
				if counted() == before {
					t.Error("nobody counts what is refused")
				}
			} else {
				s.allowed(allowed, "full")
				s.allowed(exact, "full")
			}
			if out, _ := blocked.Run(t.Context(), "-timeout", "1s", "tcp", s.target.String()); len(out) > 0 && out[0].OK {
				t.Errorf("blocked: %+v", out)
			}
			fresh := s.Home.Program("fresh")
			if out, _ := fresh.Run(t.Context(), "-timeout", "300ms", "tcp", s.target.String()); len(out) > 0 && out[0].OK {
				t.Errorf("undecided: %+v", out)
			}
			l.none(since, "full")
			s.unreachable()
			empty()
			s.allowed(allowed, "with room")
			s.allowed(exact, "with room")
			s.goesOn("with room")
		})
	}
}

// unreachable wants that a server that nobody decided anything about gets no connection.
func (s *scene) unreachable() {
	s.t.Helper()
	server := s.Home.Command(s.t.Context(), python(s.t), s.script("server.py", "s = socket.create_server(('0.0.0.0', 8000))\nprint('x', flush=True)\ns.accept()\n")).Filtered()
	out, err := server.StdoutPipe()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	}()
	if _, err := out.Read(make([]byte, 1)); err != nil {
		return // it could not even listen
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 300*time.Millisecond)
	defer cancel()
	if c, err := s.Remote.Dial(ctx, "tcp", netip.AddrPortFrom(s.Home.Addr4, 8000).String()); err == nil {
		_ = c.Close()
		s.t.Error("an undecided server was reached")
	}
}
