// Package compiled turns blocklists into one file that is mapped and looked up in
// without reading the lists again: names, networks and pages of up to MaxLists lists.
//
// It knows nothing of where lists come from or what is done with a match; that a list
// is off, or that a person excepted something, is for package blocklist. A file that
// is damaged, or was made by another version, is refused by Open; it can be made again
// from the lists' copies.
//
// The file, all numbers little-endian, addresses in network order:
//
//	header   magic, version, seed, digest of the sources, sections, checksum
//	lists    the lists' ids
//	names    records in the order of their hash, so that neighbours share a page
//	         a directory: where the records of each 2^k-th of the hashes begin
//	         a Bloom filter, one cache line a probe: a miss ends there
//	pages    the same for the addresses of pages
//	four     networks in order of address, then from wide to narrow; each knows the
//	         next wider one around it; and the address of every 64th
//	six      the same for IPv6
//
// Goroutines: a Builder belongs to one. A File is read by any number; it is unmapped
// when the last of its holders has released it.
package compiled
