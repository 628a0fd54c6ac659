// Package daemon is the one place that knows every part of the service and wires them
// together: the kernel's programs and events, the queues, processes, names, the engine,
// the store and the server. It holds no policy.
package daemon
