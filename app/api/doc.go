// Package api is the contract between the service and its clients: the Service
// interface in the vocabulary of flow, rule and prompt, the protobuf messages that
// carry it over gRPC on a unix socket, the conversions between the two, the JSON
// that scripts read, and the Client.
//
// It decides nothing: who may do what is the server's, what happens is the engine's.
// The service never dials a client. Who calls is established by the server from the
// socket's peer credentials, never from a message. Everything here may be used from
// any goroutine.
package api

//go:generate ./generate.sh
