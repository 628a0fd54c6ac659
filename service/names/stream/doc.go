// Package stream puts what TCP carries back together, from packets as they pass: one
// direction of a connection, as its receiver will read it.
//
// It believes nothing about a packet but its form: that a connection is there, and whose,
// its callers know. It keeps a bounded amount, and says so when that is not enough.
//
// Goroutines: none is started. An Order belongs to one goroutine at a time.
package stream
