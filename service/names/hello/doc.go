// Package hello reads what a program says first on a connection, for the name of the host
// that it means to reach: the server name of a TLS hello and of a QUIC initial packet, and
// the Host of plain HTTP/1.
//
// It is a claim of the program, never a fact: who says "example.com" to an address need
// not speak to example.com. A list or a rule that blocks may go by it; what allows must
// know from elsewhere that the name has that address (names.Witness). The package sends
// nothing, decides nothing and keeps nothing but the connections that are being read.
//
// Goroutines: the package starts none. A First belongs to one goroutine at a time.
package hello
