// Package dnsbl asks DNS-based lists about the senders of incoming mail, before their
// session is set up: the reversed address as a name in a list's zone, through the
// system's resolver.
//
// It is for a few ports of a machine that takes in mail, not for every flow: each new
// sender is told to whoever runs the zone. A sender waits for at most the deadline; an
// answer that comes later is kept for the next attempt, and a zone that doesn't answer
// lists nobody and is left alone for a while. Only answers in 127.0.0.0/8 count, and of
// those not the ones that say the list itself refuses to answer, nor any of a zone that
// lists 127.0.0.1, which a dead one with a wildcard does.
//
// It can only say "listed". Goroutines: New starts none; Run asks, with a few workers,
// until its context ends. Check may be called from any goroutine; without a running
// Run it finds only what is cached.
package dnsbl
