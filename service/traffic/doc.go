// Package traffic keeps the flows that live: which there are, what went through each, and
// when it is over. It decides nothing and tells nobody; the engine does, with what is here.
//
// A Table belongs to its owner, who guards it: nothing in it may be used by two goroutines
// at once. Measuring takes a system call for each flow and touches no Table, so that it
// needs no guard.
package traffic
