// Package server is the door of the service: gRPC on a unix socket, the caller known
// by the socket's peer credentials, one table that says who may call what, and bounds
// on everything that comes in.
//
// It knows nothing of filtering: a Backend holds the truth, and the server hands it
// only calls that their caller may make, and hands callers only what is theirs.
//
// Goroutines: Run owns the listener; gRPC runs each call in a goroutine of its own; a
// stream has two more (one in which the Backend calls back, one that sends), both of
// which end with the stream.
package server
