package view

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sekisho/app/flow"
)

// naive is what Connections must always equal: everything filtered and sorted anew,
// with plain comparisons of the flows themselves.
type naive struct {
	flows  map[string]flow.Flow
	filter Filter
	order  Order
}

func (n *naive) ids() []string {
	var fs []flow.Flow
	for _, f := range n.flows {
		if n.filter.match(&newConnection(f).subject) {
			fs = append(fs, f)
		}
	}
	slices.SortFunc(fs, func(a, b flow.Flow) int {
		c := cmp.Or(n.compare(a, b), strings.Compare(a.ID, b.ID))
		if n.order.Descending {
			return -c
		}
		return c
	})
	ids := []string{}
	for _, f := range fs {
		ids = append(ids, f.ID)
	}
	return ids
}

func (n *naive) compare(a, b flow.Flow) int {
	switch n.order.Column {
	case ColumnProgram:
		return strings.Compare(strings.ToLower(a.Process.DisplayName()), strings.ToLower(b.Process.DisplayName()))
	case ColumnDestination:
		return strings.Compare(strings.ToLower(a.Remote.Host()), strings.ToLower(b.Remote.Host()))
	case ColumnService:
		return cmp.Or(cmp.Compare(ServicePort(a), ServicePort(b)), cmp.Compare(a.Protocol, b.Protocol))
	case ColumnDirection:
		return cmp.Compare(a.Direction, b.Direction)
	case ColumnSent:
		return cmp.Compare(a.Bytes.Sent, b.Bytes.Sent)
	case ColumnReceived:
		return cmp.Compare(a.Bytes.Received, b.Bytes.Received)
	case ColumnSince:
		return a.Time.Compare(b.Time)
	default:
		if a.Decision.By.Kind == flow.ByRule && b.Decision.By.Kind == flow.ByRule {
			return 0
		}
		return cmp.Or(strings.Compare(string(a.Decision.By.Kind), string(b.Decision.By.Kind)), strings.Compare(a.Decision.By.Name, b.Decision.By.Name))
	}
}

func drawFlow(t *rapid.T) flow.Flow {
	f := flow.Flow{
		ID:        fmt.Sprint("f", rapid.IntRange(0, 30).Draw(t, "id")),
		Time:      noon.Add(rapid.SampledFrom([]time.Duration{-time.Hour, 0, 1, 2, time.Second}).Draw(t, "time")),
		Direction: flow.Direction(rapid.IntRange(0, 1).Draw(t, "direction")),
		Protocol:  rapid.SampledFrom([]flow.Protocol{flow.TCP, flow.UDP, flow.ICMP}).Draw(t, "protocol"),
		State:     rapid.SampledFrom([]flow.State{flow.Open, flow.Open, flow.Closed}).Draw(t, "state"),
		Process: &flow.Process{Program: flow.Program{
			Path: rapid.SampledFrom([]string{"", "/usr/bin/curl", "/usr/bin/curl-long-name-a", "/usr/bin/curl-long-name-b", "/opt/Ünïcode"}).Draw(t, "path")}},
		Remote: flow.Endpoint{Addr: netip.MustParseAddr("10.0.0.1"),
			Port: uint16(rapid.SampledFrom([]int{0, 80, 443, 65535}).Draw(t, "port")),
			Name: rapid.SampledFrom([]string{"", "a.example", "B.example", "b.example"}).Draw(t, "name")},
		Local: flow.Endpoint{Port: 8000},
		Bytes: flow.Bytes{Sent: rapid.Uint64Range(0, 3).Draw(t, "sent")},
	}
	f.Decision.By = rapid.SampledFrom([]flow.By{
		{Kind: flow.ByRule, ID: "1", Name: "z"}, {Kind: flow.ByRule, Name: "a"}, {Kind: flow.ByMode, Name: "learn"},
		{Kind: flow.ByMode, Name: "allow"}, {Kind: flow.ByLimit, Name: "deadline"}, {Kind: flow.ByList, Name: "deadline of another sort"}}).Draw(t, "by")
	return f
}

// TestConnectionsEqualNaive holds the incremental list to filter-and-sort-everything
// through random updates, filters and orders.
func TestConnectionsEqualNaive(t *testing.T) {
	filters := []string{"", "curl", "port:443", "-program:curl", "direction:in", "name:b.example", "ünï"}
	rapid.Check(t, func(t *rapid.T) {
		c := NewConnections()
		n := &naive{flows: map[string]flow.Flow{}, order: c.Order()}
		t.Repeat(map[string]func(*rapid.T){
			"apply": func(t *rapid.T) {
				batch := rapid.SliceOfN(rapid.Custom(drawFlow), 0, 8).Draw(t, "batch")
				before, total := n.ids(), len(n.flows)
				states := shownStates(c)
				for _, f := range batch {
					delete(n.flows, f.ID)
					if f.State == flow.Open {
						n.flows[f.ID] = f
					}
				}
				changed := c.Apply(batch)
				really := !slices.Equal(before, n.ids()) || total != len(n.flows) || !slices.Equal(states, shownStates(c))
				if really && !changed {
					t.Fatal("a change went unreported")
				}
			},
			"sync": func(t *rapid.T) {
				batch := rapid.SliceOfN(rapid.Custom(drawFlow), 0, 8).Draw(t, "batch")
				clear(n.flows)
				for _, f := range batch {
					n.flows[f.ID] = f
				}
				for id, f := range n.flows {
					if f.State == flow.Closed {
						delete(n.flows, id)
					}
				}
				c.Sync(batch)
			},
			"filter": func(t *rapid.T) {
				n.filter = ParseFilter(rapid.SampledFrom(filters).Draw(t, "filter"))
				c.SetFilter(n.filter)
			},
			"order": func(t *rapid.T) {
				n.order = Order{rapid.SampledFrom(Columns).Draw(t, "column"), rapid.Bool().Draw(t, "descending")}
				c.SetOrder(n.order)
			},
			"": func(t *rapid.T) { checkSame(t, c, n) },
		})
	})
}

func shownStates(c *Connections) []string {
	s := []string{}
	for i := range c.Len() {
		f := c.At(i).Flow()
		s = append(s, fmt.Sprint(f.Bytes, f.Remote, f.Decision, f.Time, *f.Process))
	}
	return s
}

func checkSame(t *rapid.T, c *Connections, n *naive) {
	got := []string{}
	for i := range c.Len() {
		id := c.At(i).Flow().ID
		got = append(got, id)
		if c.Index(id) != i {
			t.Fatalf("row %d has index %d", i, c.Index(id))
		}
	}
	if want := n.ids(); !slices.Equal(got, want) {
		t.Fatalf("by %+v, filter %q:\n got %v\nwant %v", n.order, n.filter, got, want)
	}
	if c.Total() != len(n.flows) {
		t.Fatalf("%d connections, want %d", c.Total(), len(n.flows))
	}
}

func TestUnchangedUpdateChangesNothing(t *testing.T) {
	c := NewConnections()
	c.Apply([]flow.Flow{sample("a")})
	same := sample("a")
	p := *same.Process
	same.Process = &p
	if c.Apply([]flow.Flow{same}) {
		t.Error("the same flow again was reported as a change")
	}
	same.Bytes.Sent = 1
	if !c.Apply([]flow.Flow{same}) {
		t.Error("a grown count was not reported")
	}
}

func TestHiddenUpdateIsNotShown(t *testing.T) {
	c := NewConnections()
	c.Apply([]flow.Flow{sample("a")})
	c.SetFilter(ParseFilter("firefox"))
	f := sample("a")
	f.Bytes.Sent = 1
	if c.Apply([]flow.Flow{f}) {
		t.Error("an update to a row that the filter hides was reported as a change")
	}
}

// many are n open flows of a few programs to many hosts.
func many(n int) []flow.Flow {
	programs := make([]*flow.Process, 40)
	for i := range programs {
		programs[i] = &flow.Process{Program: flow.Program{Path: fmt.Sprintf("/usr/bin/program-%02d", i)}}
	}
	flows := make([]flow.Flow, n)
	for i := range flows {
		f := sample(fmt.Sprintf("%08x", i*7919%n))
		f.Process = programs[i%len(programs)]
		f.Remote.Name = fmt.Sprintf("host%05d.example.com", i*31%n)
		f.Remote.Addr = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		f.Time = noon.Add(time.Duration(i*6151%n) * time.Millisecond)
		f.Bytes = flow.Bytes{Sent: uint64(i * 977 % 100000), Received: uint64(i * 131 % 1000000)}
		flows[i] = f
	}
	return flows
}

const rows = 100_000

func full() (*Connections, []flow.Flow) {
	c, flows := NewConnections(), many(rows)
	c.Sync(flows)
	return c, flows
}

// BenchmarkFilter types one more letter with 100,000 connections; the aim is 100 ms.
func BenchmarkFilter(b *testing.B) {
	c, _ := full()
	words := []Filter{ParseFilter("program-1 host0"), ParseFilter("program:program-2 port:443 name:example"), ParseFilter("")}
	for i := 0; b.Loop(); i++ {
		c.SetFilter(words[i%len(words)])
	}
}

// BenchmarkSort clicks a column's head with 100,000 connections; the aim is 100 ms.
func BenchmarkSort(b *testing.B) {
	for _, column := range Columns {
		b.Run(fmt.Sprint(column), func(b *testing.B) {
			c, _ := full()
			for b.Loop() {
				c.SetOrder(Order{Column: (column + 1) % Column(len(Columns))})
				c.SetOrder(Order{Column: column})
			}
			b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(2*b.N), "ms/sort")
		})
	}
}

// BenchmarkApply is one tick of a busy machine: 1,000 of 100,000 connections changed.
func BenchmarkApply(b *testing.B) {
	c, flows := full()
	c.SetOrder(ColumnReceived.Natural())
	for i := 0; b.Loop(); i++ {
		batch := flows[i*1000%rows:][:1000]
		for j := range batch {
			batch[j].Bytes.Received += uint64(j * 1009)
		}
		c.Apply(batch)
	}
}
