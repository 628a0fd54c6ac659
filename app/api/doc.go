// Package api is the contract between the service and its clients: the Service
// interface in the vocabulary of flow, rule and prompt, the protobuf messages that
// carry it over gRPC on a unix socket, the conversions between the two, the JSON
// that scripts read, and the Client.
//
// The service never dials a client. Who calls is established by the server from the
// socket's peer credentials, never from a message.
package api
