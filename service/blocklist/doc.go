// Package blocklist is reputation: lists of names, addresses and pages that others or
// the person publish, kept fresh and looked up in for each flow.
//
// A Book holds the subscriptions. For each list it keeps the last good copy in its
// folder: fetched by URL (Run, on a schedule) or handed in (Import, for files: the
// service never opens a path that a client names). A new text replaces the copy only
// when it was read to its end, is a list (package format), blocks nothing that would
// cut the machine off, and hasn't lost more than nine tenths of its entries. All
// copies are compiled to one file (package compiled), which is mapped and swapped while
// look-ups go on: each sees the old file or the new one, never none. Package dnsbl asks
// DNS-based lists, which can't be kept.
//
// A list can only ever block or warn: there is nothing in a Finding that allows, an
// exception in a list takes back only what the same list says, and what a person
// excepted only makes a list silent. Names and addresses of this machine and its local
// network are on no list, whatever its text says.
//
// It decides nothing: which rule goes before a list is the engine's to say.
//
// Goroutines: constructors start none. Run fetches and compiles, in its own goroutine,
// and is the only one that writes to the folder but for Import's unfinished copy. All
// other methods may be called from any goroutine; Look takes no lock.
package blocklist
