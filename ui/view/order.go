package view

import (
	"cmp"
	"slices"
	"strings"
)

// Column is a column of the list of connections.
type Column uint8

const (
	ColumnProgram Column = iota
	ColumnDestination
	ColumnService
	ColumnDirection
	ColumnSent
	ColumnReceived
	ColumnSince
	ColumnBy
)

// Columns lists the columns in the order in which they are shown.
var Columns = []Column{
	ColumnDirection, ColumnProgram, ColumnDestination, ColumnService,
	ColumnSent, ColumnReceived, ColumnSince, ColumnBy,
}

// Order says how connections are sorted. Rows that are equal by Column follow the
// order of their ids, and Descending is the exact reverse.
type Order struct {
	Column     Column
	Descending bool
}

// Natural is the order that a person expects at the first click on a column's head:
// most traffic and newest first, names from A.
func (c Column) Natural() Order {
	switch c {
	case ColumnSent, ColumnReceived, ColumnSince:
		return Order{c, true}
	}
	return Order{c, false}
}

// keyed is a row with the first part of its sort key and what breaks a tie, so that
// most comparisons touch no other memory.
type keyed struct {
	key, tie uint64
	row      *Connection
}

func (o Order) keyed(r *Connection) keyed { return keyed{o.Column.key(r), prefix(r.flow.ID), r} }

// key is a number that never contradicts compare: a smaller key means an earlier row.
func (c Column) key(r *Connection) uint64 {
	switch c {
	case ColumnProgram:
		return prefix(r.program)
	case ColumnDestination:
		return prefix(r.host)
	case ColumnService:
		return uint64(r.ports[0].from)<<8 | uint64(r.flow.Protocol)
	case ColumnDirection:
		return uint64(r.flow.Direction)
	case ColumnSent:
		return r.flow.Bytes.Sent
	case ColumnReceived:
		return r.flow.Bytes.Received
	case ColumnSince:
		return uint64(r.flow.Time.UnixMicro()) ^ 1<<63
	default: // the kinds differ in their first three letters
		return prefix(string(r.flow.Decision.By.Kind))>>40<<40 | prefix(r.by)>>24
	}
}

// prefix is the first eight bytes of s as a number that sorts as s does.
func prefix(s string) uint64 {
	var b [8]byte
	copy(b[:], s)
	var n uint64
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}

func (o Order) compare(a, b keyed) int {
	n := cmp.Compare(a.key, b.key)
	if n == 0 {
		n = o.Column.compare(a.row, b.row)
	}
	if n == 0 {
		n = cmp.Compare(a.tie, b.tie)
	}
	if n == 0 {
		n = strings.Compare(a.row.flow.ID, b.row.flow.ID)
	}
	if o.Descending {
		return -n
	}
	return n
}

// compare orders rows whose keys are equal.
func (c Column) compare(a, b *Connection) int {
	switch c {
	case ColumnProgram:
		return strings.Compare(a.program, b.program)
	case ColumnDestination:
		return strings.Compare(a.host, b.host)
	case ColumnSince:
		return a.flow.Time.Compare(b.flow.Time)
	case ColumnBy:
		return cmp.Or(strings.Compare(a.by, b.by), strings.Compare(string(a.flow.Decision.By.Kind), string(b.flow.Decision.By.Kind)))
	}
	return 0
}

func (o Order) sort(rows []keyed) { slices.SortFunc(rows, o.compare) }

// splice takes gone out of rows and puts added in; all three are sorted by o, and
// those of gone that aren't in rows are passed over. The cost is a few searches and one
// copy, whatever the length of rows. It reuses into's memory, which must not be rows' own.
func (o Order) splice(into, rows, gone, added []keyed) []keyed {
	into = into[:0]
	for len(gone) > 0 || len(added) > 0 {
		if len(added) == 0 || len(gone) > 0 && o.compare(gone[0], added[0]) <= 0 {
			i, found := slices.BinarySearchFunc(rows, gone[0], o.compare)
			into, gone = append(into, rows[:i]...), gone[1:]
			if found {
				i++
			}
			rows = rows[i:]
			continue
		}
		i, _ := slices.BinarySearchFunc(rows, added[0], o.compare)
		into = append(append(into, rows[:i]...), added[0])
		rows, added = rows[i:], added[1:]
	}
	return append(into, rows...)
}
