package api

import (
	"time"

	"sekisho/app/rule"
)

// Network is one that this machine is on, or that somebody named.
type Network struct {
	ID      string `json:"id"`             // empty: it can't be known again, so it can't be named
	Name    string `json:"name"`           // for people: the connection's, the Wi-Fi's, or the link's
	Kind    string `json:"kind,omitempty"` // "wired", "wifi", "mobile", "vpn" or "virtual"
	Link    string `json:"link,omitempty"`
	Profile string `json:"network_profile,omitempty"` // empty: no profile is about it
	Known   bool   `json:"known"`                     // a person gave the profile
	Weak    bool   `json:"weak,omitempty"`            // others could make a network that looks the same
	Here    bool   `json:"here"`
	Primary bool   `json:"primary,omitempty"` // what has no other route goes this way
}

// Learned is what came of mode learn so far.
type Learned struct {
	Proposals []Proposal
	Left      int               // notes of which no rule can be made
	Skipped   map[string]uint64 // flows that were not noted since the service started, by why
}

// Proposal is a rule for a person to accept, change or drop.
type Proposal struct {
	ID          string    `json:"id"`
	Rule        rule.Rule `json:"rule"`                  // allows; without id, time and account
	Breadth     string    `json:"breadth"`               // how wide it is: "host", "owner", "lan", "anywhere" or "anything"
	Interpreter bool      `json:"interpreter,omitempty"` // it is for whatever the interpreter runs
	Overrides   []string  `json:"overrides,omitempty"`   // rules that block, and that it would win over somewhere
	Examples    []string  `json:"examples,omitempty"`    // some of the remote ends that it is made of
	Flows       uint64    `json:"flows"`
	Hosts       int       `json:"hosts"` // different remote ends
	First       time.Time `json:"first,omitzero"`
	Last        time.Time `json:"last,omitzero"`
}
