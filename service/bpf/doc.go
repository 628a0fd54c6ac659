// Package bpf loads the eBPF programs in c/, attaches and pins them, and gives typed
// access to their maps and events. It holds no policy: what a verdict means is the
// engine's, when to write one is enforce's.
//
// Programs, links and maps are pinned in one folder of bpffs per service state, so the
// kernel goes on enforcing what was decided when the service dies, and the next start
// takes over without a gap. A Kernel's methods may be called from any goroutine, but
// Drain's callers take turns.
package bpf
