package flow

import "time"

// State says whether a flow's socket still exists.
type State string

const (
	Open   State = "open"
	Closed State = "closed"
)

// Bytes counts a flow's traffic.
type Bytes struct {
	Sent     uint64 `json:"sent"`
	Received uint64 `json:"received"`
}

// Packets counts a flow's packets.
type Packets struct {
	Sent     uint64 `json:"sent"`
	Received uint64 `json:"received"`
}

// Traffic is all that is counted of a flow.
type Traffic struct {
	Bytes   Bytes
	Packets Packets
}

// Flow is one conversation. ID is unique while the service's state lives.
type Flow struct {
	ID        string
	Time      time.Time
	Direction Direction
	Protocol  Protocol
	Process   *Process // never nil; a Process without a Path is one that could not be found
	Local     Endpoint
	Remote    Endpoint
	Link      int    // index of the network link that its first packet was seen on, in the service's network namespace; 0 if that isn't known
	Cookie    uint64 // the socket's cookie (SO_COOKIE); 0 if it has none
	Decision  Decision
	Warnings  []Warning // that a person who was asked about it saw
	Bytes     Bytes
	Packets   Packets
	State     State
	Ended     time.Time // zero while open
}
