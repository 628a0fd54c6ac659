// Package ruleset reads every packet filter of this machine, whoever wrote it, and works
// out what those rules do to one packet: the tables of nftables, the rules that
// iptables-nft keeps there, and those of the older ip_tables.
//
// It changes nothing, and it says nothing of Sekisho's own rules. What it cannot tell
// (a limit's state, an expression that it does not know) it takes both ways: an outcome is
// certain only if it is the same however those turn out.
//
// A Ruleset belongs to one goroutine; it reads the elements of sets when they are
// needed, so Close it only after the last Walk.
package ruleset
