// Package rule holds what people decided: a Rule with its operands, an immutable
// indexed Set of rules, the order in which rules win over one another, and the
// explanation of why one did.
//
// The most specific rule wins, so nobody has to order rules. Two that match a flow are
// compared by
//
//  1. program: a rule with the narrower operand wins, the narrowest being script, then
//     path, checksum, application, package, folder, unit, parent, one process (until it
//     quits); of two that share their narrowest, the next decides, so more operands win
//     over fewer; of two that name folders, the deeper wins;
//  2. destination: exact name or address, domain (more labels first), network or range
//     (fewer addresses first), list, local network, any;
//  3. ports: set over any, fewer first; then protocol, user, network profile and one
//     direction: set over not set;
//  4. block over allow; then the newer.
//
// What a user can make any program say of itself (an application's name that is not
// proven, a unit of their own manager) allows nothing by itself, though it may block.
//
// A Set never changes after NewSet and may be read from any goroutine; the engine
// swaps a whole Set at once. Nothing here reads the kernel, a clock or the disk: what
// a decision needs comes in through its arguments.
//
// A new operand needs: its field in Rule; how it is read, checked and matched, in a
// file of its own; its place in order (precedence.go); its name in document and known,
// for the export; its line in checks, for the explanation; and, if it looks at the
// process, a say in compiled.traits, or Wide would let the kernel share an answer
// between processes that differ in it.
package rule
