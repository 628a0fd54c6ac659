// Package enforce keeps what the kernel does as a declaration: the nftables table that
// leads packets through the classifier and holds undecided ones, and the end of sockets
// that a changed rule forbids. Apply is idempotent and leaves held packets where they are.
//
// It decides nothing. Its functions may be called from any goroutine, and are about the
// network namespace of the thread that calls.
package enforce
