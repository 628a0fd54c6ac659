// Package capture takes packets that the kernel holds and tells who sent them, where to:
// the first step of the path. It decides nothing; each packet waits until one of Accept,
// Refuse or Drop is called on it.
package capture
