// Package resolved hears from systemd-resolved what it found for the programs that ask it,
// also those that ask over its socket or the message bus, where no packet passes that
// could be read.
//
// It tells which names lead where, and not who asked: nothing in the interface says so. So
// what it hears is the machine's knowledge (names.Machine) and never a program's: it may be
// shown, warn and block, and bears witness to what a program claims; it allows nothing by
// itself.
//
// Goroutines: the package starts none but within Run, and Run ends them.
package resolved
