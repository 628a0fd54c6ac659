// Package names says to whom: which host name an address has for the program that
// looked it up. It decodes DNS packets and keeps the
// answers.
//
// It is not a resolver and sends nothing, and it knows no name of its own: an address
// that the program did not look up has none. What one program learns is never told of
// another. Multicast DNS and LLMNR are not handled, nor is DNS over TCP.
//
// Goroutines: the package starts none. A Cache may be used from any; Decode
// and DecodeQuery keep nothing between calls.
package names
