// Package names says to whom: which host name an address has for the program that
// looked it up. It decodes DNS packets, over UDP and TCP, and keeps the answers; below it
// are the reader of what programs say first (hello), the listener to systemd-resolved
// (resolved), and what puts TCP together for both (stream).
//
// It is not a resolver and sends nothing, and it knows no name of its own: an address
// that the program did not look up has none. What one program learns is never told of
// another. Multicast DNS and LLMNR are not handled.
//
// What a name is worth depends on who says it:
//   - Looked up: a name server in use (Resolvers) told this program (Cache.Lookup). It
//     names the address, and rules that allow or block go by it.
//   - Claimed: the program itself says it, in its first words (hello). Anybody may say
//     anything to any address. So it is shown as a claim, lists and rules that block go by
//     it, and a rule that allows only if a Witness confirms that the name leads there:
//     a program with a rule for one name could else go everywhere by that name. A claim
//     beside an encrypted hello (Hello.Encrypted) or to a proxy (Hello.Proxied) names
//     somebody else than the other end and allows nothing at all. Of several names that
//     the program looked up and that share an address, the claim says which is meant
//     (Cache.Knew); otherwise a name that was looked up is not replaced by a claim, and
//     what blocks goes by either.
//   - Of the machine: systemd-resolved told somebody, not known whom (Machine). It may be
//     shown as a guess, and block; it allows nothing.
//   - An alias (Cache.Aliases): lists look at it too, so that a listed tracker behind an
//     honest name is found; rules that allow do not.
//
// The service asks neither hello nor a Witness yet: where a rule names a host, reading what is
// said first would let a connection begin before anybody was asked about it.
//
// Goroutines: the package starts none. A Cache, Resolvers and a Witness may be used from
// any; Streams belong to one at a time; Decode and DecodeQuery keep nothing between calls.
package names
