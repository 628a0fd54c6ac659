// Package learn turns what was noted while the mode was to learn into rules for a person
// to look at: a Collector notes flows within bounds, Propose makes few rules of many
// notes, program by program, and a Review keeps what the person says to each.
//
// It decides nothing and saves nothing: what a Review hands over are ordinary rules. What
// a list or a warning speaks against is never noted, so no rule comes of it by itself.
//
// How notes become rules, for one program and what goes out:
//
//  1. one rule for a host: its ports together, TCP and UDP (QUIC) together;
//  2. several names below one registrable domain (by the public suffix list): the domain;
//  3. several hosts of the local network: the local network;
//  4. several nameless addresses side by side: their network;
//  5. more than maxHosts destinations left: any destination, at these ports;
//  6. more rules in all than there may be: the program with the most of them gets wider
//     ones, step by step, down to a single one.
//
// What comes in is told apart by port, and by whether it was all from the local network.
// Rules about machines of the local network hold in the networks where these were seen.
// The same notes always give the same rules.
//
// Goroutines: the package starts none. A Collector may be used from any; the rest are
// values for one goroutine at a time.
package learn
