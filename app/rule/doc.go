// Package rule holds what people decided: a Rule with its operands, an immutable
// indexed Set of rules, the order in which rules win over one another, and the
// explanation of why one did.
//
// The most specific rule wins, so nobody has to order rules: first by program, then
// by destination, then by port, protocol and user; of equals, block wins, then the
// newer. A Set never changes after NewSet and may be read from any goroutine; the
// engine swaps a whole Set at once. Nothing here reads the kernel, a clock or the disk:
// what a decision needs comes in through its arguments.
package rule
