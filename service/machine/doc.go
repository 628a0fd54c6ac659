// Package machine says what the rest of this machine does to a connection, beside
// Sekisho: whether the name is found, whether there is a way, whether another packet
// filter stops the packet or its answer, and who wrote the rule that does.
//
// It changes nothing but for Try, which makes one attempt under the kernel's own trace and
// takes away what it put there. It decides nothing either; Sekisho's own rules are
// explained by the engine.
//
// A Machine is for any goroutine. Everything is asked in the network namespace of the
// calling thread: who means another one locks the thread into it first.
package machine
