package traffic

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sekisho/app/flow"
	"sekisho/service/bpf"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func flowTo(cookie uint64, remote string) *flow.Flow {
	r := netip.MustParseAddrPort(remote)
	return &flow.Flow{
		Time: noon, Protocol: flow.UDP, Process: &flow.Process{}, Cookie: cookie, State: flow.Open,
		Remote: flow.Endpoint{Addr: r.Addr(), Port: r.Port()},
	}
}

// meter counts as the kernel does.
type meter struct {
	counts map[bpf.Peer]flow.Traffic
	forgot []bpf.Peer
}

func (m *meter) Traffic(_ uint64, p bpf.Peer) (flow.Traffic, bool) {
	t, ok := m.counts[p]
	return t, ok
}

func (m *meter) ForgetPeers(_ uint64, peers []bpf.Peer) error {
	m.forgot = append(m.forgot, peers...)
	return nil
}

func traffic(n uint64) flow.Traffic {
	return flow.Traffic{Bytes: flow.Bytes{Sent: n, Received: 2 * n}, Packets: flow.Packets{Sent: 3 * n, Received: 4 * n}}
}

// Whatever is done to a Table, its two ways to a flow agree, and each flow that was put in
// comes out once.
func TestTableHoldsTogether(t *testing.T) {
	remotes := []string{"192.0.2.1:1", "192.0.2.1:2", "192.0.2.2:1"}
	rapid.Check(t, func(t *rapid.T) {
		const limit = 8
		table, want := New(limit), map[Key]string{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			f := flowTo(rapid.Uint64Range(0, 4).Draw(t, "cookie"), rapid.SampledFrom(remotes).Draw(t, "remote"))
			f.Direction = rapid.SampledFrom([]flow.Direction{flow.Out, flow.In}).Draw(t, "direction")
			f.ID = rapid.StringMatching("[a-z]{6}").Draw(t, "id")
			k := KeyOf(f)
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0, 1:
				_, there := want[k]
				l := table.Put(f)
				if fits := f.Cookie != 0 && (there || len(want) < limit); (l != nil) != fits {
					t.Fatalf("put %v: %v", fits, l)
				}
				if l != nil {
					want[k] = f.ID
				}
			case 2:
				if l := table.Get(k); l != nil {
					table.Remove(l)
					table.Remove(l)
					delete(want, k)
				}
			case 3:
				to := rapid.Uint64Range(0, 4).Draw(t, "to")
				if l := table.Accept(k, to); l != nil {
					if l.Listener != k.Cookie || l.Cookie != to {
						t.Fatalf("accepted as %+v", l)
					}
					id := want[k]
					delete(want, k)
					k.Cookie = to
					want[k] = id
				}
			case 4:
				n := 0
				for k := range want {
					if k.Cookie == f.Cookie {
						delete(want, k)
						n++
					}
				}
				if closed := table.Close(f.Cookie); len(closed) != n || slices.ContainsFunc(closed, func(l *Live) bool { return !l.Gone() }) {
					t.Fatalf("closed %d, want %d", len(closed), n)
				}
			}
			check(t, table, want)
		}
	})
}

func check(t *rapid.T, table *Table, want map[Key]string) {
	if table.Len() != len(want) || len(table.All()) != len(want) {
		t.Fatalf("%d flows, want %d", table.Len(), len(want))
	}
	for k, id := range want {
		if l := table.Get(k); l == nil || l.ID != id || l.Gone() || KeyOf(&l.Flow) != k {
			t.Fatalf("%+v: got %+v, want %s", k, l, id)
		}
	}
	n := 0
	for c, first := range table.Sockets() {
		var before *Live
		for l := first; l != nil; before, l = l, l.next {
			if n++; l.Cookie != c || l.prev != before {
				t.Fatalf("the list of socket %d is broken", c)
			}
		}
	}
	if n != len(want) {
		t.Fatalf("%d flows of sockets, want %d", n, len(want))
	}
}

func TestKeyWithoutASocket(t *testing.T) {
	a, b := flowTo(0, "192.0.2.1:1"), flowTo(0, "192.0.2.1:1")
	if KeyOf(a) != KeyOf(b) {
		t.Error("the same is not the same")
	}
	b.Process = &flow.Process{ProcessID: flow.ProcessID{PID: 7}}
	if KeyOf(a) == KeyOf(b) {
		t.Error("two processes are one")
	}
	b.Process, b.Local.Port = a.Process, 9
	if KeyOf(a) == KeyOf(b) {
		t.Error("two local ports are one")
	}
}

func TestLast(t *testing.T) {
	one, two, three := flowTo(1, "192.0.2.1:1"), flowTo(1, "192.0.2.2:1"), flowTo(1, "192.0.2.3:1")
	blocked := flowTo(1, "192.0.2.9:1")
	blocked.State = flow.Closed
	first := bpf.Closed{Cookie: 1, Bytes: traffic(1).Bytes, Packets: traffic(1).Packets}
	for _, c := range []struct {
		name    string
		several bool
		flows   []*flow.Flow
		want    []uint64
		forgot  int
	}{
		{"one", false, []*flow.Flow{one}, []uint64{1}, 0},
		{"none", false, nil, nil, 0},
		{"one after a blocked one", false, []*flow.Flow{blocked, one}, []uint64{0, 1}, 0},
		{"several", true, []*flow.Flow{one, two, three}, []uint64{1, 20, 30}, 2},
		{"several, the first blocked", true, []*flow.Flow{blocked, two, three}, []uint64{0, 20, 30}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &meter{counts: map[bpf.Peer]flow.Traffic{Peer(two): traffic(20), Peer(three): traffic(30)}}
			table := New(10)
			for _, f := range c.flows {
				table.Put(f)
			}
			closed := first
			closed.Several = c.several
			flows := table.Close(1)
			if err := Last(m, closed, flows); err != nil {
				t.Fatal(err)
			}
			for i, l := range flows {
				if want := traffic(c.want[i]); l.Bytes != want.Bytes || l.Packets != want.Packets {
					t.Errorf("%s: %+v %+v, want %+v", l.Remote, l.Bytes, l.Packets, want)
				}
			}
			if len(m.forgot) != c.forgot {
				t.Errorf("forgot %v", m.forgot)
			}
		})
	}
}

func TestMeasure(t *testing.T) {
	f := flowTo(1, "192.0.2.1:1")
	m := &meter{counts: map[bpf.Peer]flow.Traffic{Peer(f): traffic(5)}}
	if Measure(m, f); f.Bytes != traffic(5).Bytes || f.Packets != traffic(5).Packets {
		t.Errorf("%+v", f)
	}
	over := flowTo(1, "192.0.2.1:1")
	over.State = flow.Closed
	if Measure(m, over); over.Bytes != (flow.Bytes{}) {
		t.Error("what is over was measured again")
	}
	l := New(1).Put(f)
	if l.Set(traffic(5), noon) || !l.Set(traffic(6), noon) {
		t.Error("news is what has changed")
	}
}

// What others make many of does not stay.
func TestStale(t *testing.T) {
	change := func(f *flow.Flow, by func(*flow.Flow)) *flow.Flow { by(f); return f }
	in := func(f *flow.Flow) { f.Direction = flow.In }
	tcp := func(f *flow.Flow) { f.Direction, f.Protocol = flow.In, flow.TCP }
	for _, c := range []struct {
		name  string
		flows []*flow.Flow
		then  func(*Table)
		after time.Duration
		stale int
	}{
		{"a connection that never came about", []*flow.Flow{change(flowTo(1, "192.0.2.1:1"), tcp)}, nil, arrival + time.Second, 1},
		{"one that may come yet", []*flow.Flow{change(flowTo(1, "192.0.2.1:1"), tcp)}, nil, arrival - time.Second, 0},
		{"one that was accepted", []*flow.Flow{change(flowTo(1, "192.0.2.1:1"), tcp)},
			func(t *Table) { t.Accept(KeyOf(change(flowTo(1, "192.0.2.1:1"), tcp)), 2) }, time.Hour, 0},
		{"a connection out", []*flow.Flow{change(flowTo(1, "192.0.2.1:1"), func(f *flow.Flow) { f.Protocol = flow.TCP })}, nil, time.Hour, 0},
		{"blocked on its way in", []*flow.Flow{change(flowTo(1, "192.0.2.1:1"), func(f *flow.Flow) { in(f); f.State = flow.Closed })}, nil, arrival + time.Second, 1},
		{"the only peer", []*flow.Flow{flowTo(1, "192.0.2.1:1")}, nil, time.Hour, 0},
		{"peers of a server", []*flow.Flow{change(flowTo(1, "192.0.2.1:1"), in), change(flowTo(1, "192.0.2.2:1"), in)}, nil, idle + time.Second, 2},
		{"a peer that is heard of", []*flow.Flow{flowTo(1, "192.0.2.1:1"), flowTo(1, "192.0.2.2:1")},
			func(t *Table) { t.Get(KeyOf(flowTo(1, "192.0.2.1:1"))).Set(traffic(1), noon.Add(idle)) }, idle + time.Second, 1},
	} {
		table := New(10)
		for _, f := range c.flows {
			table.Put(f)
		}
		if c.then != nil {
			c.then(table)
		}
		if got := table.Stale(noon.Add(c.after)); len(got) != c.stale {
			t.Errorf("%s: %d are stale, want %d", c.name, len(got), c.stale)
		}
	}
}

func BenchmarkPutAndClose(b *testing.B) {
	table := New(1 << 20)
	for i := range 100_000 {
		table.Put(flowTo(uint64(i)+1, "192.0.2.1:1"))
	}
	f := flowTo(1<<40, "192.0.2.1:1")
	b.ReportAllocs()
	for b.Loop() {
		table.Put(f)
		table.Close(f.Cookie)
	}
}
