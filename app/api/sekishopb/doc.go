// Package sekishopb is generated from sekisho.proto: the messages and the gRPC stubs
// of the contract, and nothing else. Only app/api and service/server read it.
package sekishopb
