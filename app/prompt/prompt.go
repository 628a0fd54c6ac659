// Package prompt is the vocabulary of asking: a Prompt joins the flows of one
// program to one destination that wait for an answer, and an Answer settles them
// and may become a lasting rule.
//
// It holds values and the translation of an Answer into a rule; who waits, and until
// when, is kept by the engine.
package prompt

import (
	"time"

	"sekisho/app/flow"
	"sekisho/app/rule"
)

// State says what became of a prompt.
type State string

const (
	Waiting State = "waiting" // flows are held
	Missed  State = "missed"  // the deadline passed and the program still tries
	GaveUp  State = "gave-up" // the deadline passed, or the program closed its socket
	Ended   State = "ended"   // the program ended
)

// Warning is a fact that should make a person look twice.
type Warning = flow.Warning

// ScopeKind says what an answer is about.
type ScopeKind string

const (
	HostAndPort ScopeKind = "host-port" // only this host on this port
	Host        ScopeKind = "host"      // all of this host
	Port        ScopeKind = "port"      // any host on this port
	Anything    ScopeKind = "any"       // whatever this program does
)

// Scope is one offer on a prompt, with the remote operand and the port that the rule
// would get.
type Scope struct {
	Kind ScopeKind `json:"kind"`
	To   string    `json:"to,omitempty"`   // host name or address
	Port uint16    `json:"port,omitempty"` // 0: any
}

// Prompt is one question. Flow is the first of the flows that it joins; Flows counts
// those that wait now.
type Prompt struct {
	ID string
	// Generation grows whenever what the prompt shows changes; an Answer names the one
	// that the person saw.
	Generation uint64
	Flow       flow.Flow
	Flows      int
	Deadline   time.Time
	State      State
	Warnings   []Warning
	Scopes     []Scope
	// Predecessors are the programs whose rules a person may have for this one, by their
	// files, the likeliest first: it seems to be another version of them, or they were moved.
	Predecessors []string
}

// Answer is what a person said to a prompt.
type Answer struct {
	Action   rule.Action
	Lifetime rule.LifetimeKind
	For      time.Duration // with rule.Until
	Scope    Scope
	// Like, if set, answers with the rules of a predecessor: they hold for the prompt's
	// program too, and Action, Lifetime, For and Scope are empty.
	Like string
	// Generation is that of the prompt that was on screen; 0 answers whatever it is now.
	Generation uint64
	// By is the account that answered; the rule's By. The server sets it, never the client.
	By string
	// User, if set, is who the rule is to be about: somebody who is no administrator
	// answers for themselves alone. The server sets it, never the client.
	User string
}
