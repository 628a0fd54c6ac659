// Package flow is the vocabulary of the firewall: a Flow is one conversation
// between a Process on this machine and a remote Endpoint, and a Decision says
// what was done with it and what decided.
//
// It holds values only: nothing here reads the kernel or the disk, and it imports
// the standard library alone, so that every other package can speak it. Values
// may be shared between goroutines as long as nobody writes to them.
package flow
