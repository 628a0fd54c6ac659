package view

import (
	"slices"
	"strings"

	"sekisho/app/flow"
)

// Connection is one row of the list of live connections. Its fields never change: an
// update puts a new Connection in its place.
type Connection struct {
	flow    flow.Flow
	program string // lower case, what the row sorts by
	host    string // lower case
	by      string // what the column of what decided sorts by, beside the kind
	ports   [1]portSpan
	subject subject
}

// Flow is the connection itself.
func (c *Connection) Flow() flow.Flow { return c.flow }

func newConnection(f flow.Flow) *Connection {
	if f.Process == nil {
		f.Process = &flow.Process{}
	}
	p := f.Process
	c := &Connection{flow: f}
	port := ServicePort(f)
	c.ports[0] = portSpan{port, port}

	// One string, cut into what the single terms look at.
	program := strings.ToLower(p.DisplayName())
	programs := joined(program, strings.ToLower(p.Path), strings.ToLower(p.Script))
	host := strings.ToLower(f.Remote.Host())
	names := host
	if f.Remote.Name != "" {
		names = joined(host, f.Remote.Addr.String())
	}
	service := strings.ToLower(joined(f.Protocol.String(), ServiceName(f.Protocol, port)))
	by := strings.ToLower(joined(string(f.Decision.By.Kind), f.Decision.By.Name))
	words := joined(programs, names, service, by)
	s := &c.subject
	s.words = words
	s.program, words = words[:len(programs)], words[min(len(programs)+1, len(words)):]
	s.name, words = words[:len(names)], words[min(len(names)+1, len(words)):]
	s.service = words[:len(service)]
	if f.Decision.By.Kind != flow.ByRule { // all of these read "Your rule"
		c.by = f.Decision.By.Name
	}
	c.program, c.host = s.program[:len(program)], s.name[:len(host)]
	s.direction, s.verdict = f.Direction.String(), f.Decision.Verdict.String()
	s.ports = c.ports[:]
	return c
}

// joined parts texts by newlines, which no typed word contains.
func joined(s ...string) string { return strings.Join(s, "\n") }

// ServicePort is the port that says what a flow is for: the remote one of an outgoing
// flow, the local one of an incoming flow.
func ServicePort(f flow.Flow) uint16 {
	if f.Direction == flow.In {
		return f.Local.Port
	}
	return f.Remote.Port
}

// Connections is the list of live connections as it is shown: filtered, sorted, and
// brought up to date by the changes that the service reports. It belongs to one
// goroutine.
type Connections struct {
	filter Filter
	order  Order
	byID   map[string]*Connection
	all    []keyed // every connection, sorted
	shown  []keyed // those that the filter lets through, sorted
	spare  [2][]keyed
}

// NewConnections is an empty list, newest first.
func NewConnections() *Connections {
	return &Connections{order: ColumnSince.Natural(), byID: map[string]*Connection{}}
}

// Len counts the rows that are shown, Total every live connection.
func (c *Connections) Len() int { return len(c.shown) }

// Total counts every live connection.
func (c *Connections) Total() int { return len(c.all) }

// At is the i-th row that is shown.
func (c *Connections) At(i int) *Connection { return c.shown[i].row }

// Get is the connection with this id, shown or not; nil if it is not live.
func (c *Connections) Get(id string) *Connection { return c.byID[id] }

// Index is where the connection with this id is shown, or -1.
func (c *Connections) Index(id string) int {
	r := c.byID[id]
	if r == nil {
		return -1
	}
	i, ok := slices.BinarySearchFunc(c.shown, c.order.keyed(r), c.order.compare)
	if !ok {
		return -1
	}
	return i
}

// Order is how the list is sorted.
func (c *Connections) Order() Order { return c.order }

// SetOrder sorts the list anew.
func (c *Connections) SetOrder(o Order) {
	old := c.order
	c.order = o
	switch {
	case o == old:
		return
	case o.Column == old.Column:
		slices.Reverse(c.all)
	default:
		for i, k := range c.all {
			c.all[i] = o.keyed(k.row)
		}
		o.sort(c.all)
	}
	c.choose()
}

// Filter is what is let through.
func (c *Connections) Filter() Filter { return c.filter }

// SetFilter shows what f lets through and reports whether that differs from before.
func (c *Connections) SetFilter(f Filter) bool {
	if f.Equal(c.filter) {
		return false
	}
	c.filter = f
	c.choose()
	return true
}

func (c *Connections) choose() {
	c.shown = c.shown[:0]
	for _, k := range c.all {
		if c.filter.match(&k.row.subject) {
			c.shown = append(c.shown, k)
		}
	}
}

// Sync takes flows as all that there are: what isn't among them goes. It reports
// whether anything that is shown, or the total, is now different.
func (c *Connections) Sync(flows []flow.Flow) bool {
	live := make(map[string]bool, len(flows))
	for _, f := range flows {
		live[f.ID] = true
	}
	changes := slices.Clone(flows)
	for id := range c.byID {
		if !live[id] {
			changes = append(changes, flow.Flow{ID: id, State: flow.Closed})
		}
	}
	return c.Apply(changes)
}

// Apply brings the list up to date: a flow that is open takes the place of the one
// with its id or is added, one that is closed goes. It reports whether anything that
// is shown, or the total, is now different.
func (c *Connections) Apply(changes []flow.Flow) bool {
	last := make(map[string]flow.Flow, len(changes))
	for _, f := range changes {
		last[f.ID] = f
	}
	var gone, added []keyed
	for id, f := range last {
		old := c.byID[id]
		if old != nil && sameOnScreen(old.flow, f) {
			continue
		}
		if old != nil {
			gone = append(gone, c.order.keyed(old))
			delete(c.byID, id)
		}
		if f.State != flow.Closed {
			r := newConnection(f)
			c.byID[id] = r
			added = append(added, c.order.keyed(r))
		}
	}
	if len(gone)+len(added) == 0 {
		return false
	}
	total := len(c.all)
	c.order.sort(gone)
	c.order.sort(added)
	c.all, c.spare[0] = c.order.splice(c.spare[0], c.all, gone, added), c.all
	gone, added = c.visible(gone), c.visible(added)
	if len(gone)+len(added) > 0 {
		c.shown, c.spare[1] = c.order.splice(c.spare[1], c.shown, gone, added), c.shown
	}
	return len(gone)+len(added) > 0 || len(c.all) != total
}

func (c *Connections) visible(rows []keyed) []keyed {
	return slices.DeleteFunc(rows, func(k keyed) bool { return !c.filter.match(&k.row.subject) })
}

// sameOnScreen reports whether b would be shown as a is.
func sameOnScreen(a, b flow.Flow) bool {
	p, q := a.Process, b.Process
	return a.ID == b.ID && a.Time.Equal(b.Time) && a.Direction == b.Direction && a.Protocol == b.Protocol &&
		a.Local == b.Local && a.Remote == b.Remote && a.Cookie == b.Cookie && a.Decision == b.Decision &&
		slices.Equal(a.Warnings, b.Warnings) && a.Bytes == b.Bytes && a.Packets == b.Packets &&
		a.State == b.State && a.Ended.Equal(b.Ended) &&
		q != nil && p.ProcessID == q.ProcessID && p.Program == q.Program
}
