package api

import "sekisho/app/flow"

// Question is what explain is asked: about a flow that there was, or one that there might be.
type Question struct {
	Flow string // id of a flow that there was or is; then nothing else but Live counts

	Program   string // path of the executable
	Script    string
	To        string // host name or address
	Port      uint16
	Protocol  flow.Protocol
	Direction flow.Direction
	User      string

	// Live has one attempt made under the kernel's trace.
	Live bool
	// Asker is who asks. The server fills it in; it does not travel.
	Asker Asker
}

// Asker is who wants an explanation; the zero Asker is told what any user of that number is.
type Asker struct {
	UID   uint32
	Admin bool
}

// Sees reports whether f is the asker's to see.
func (a Asker) Sees(f flow.Flow) bool {
	return a.Admin || f.Process != nil && !f.Process.Kernel && f.Process.UID == a.UID
}

// Part is whose step something is.
type Part string

const (
	PartThen    Part = "then"    // what decided a flow that there was
	PartSekisho Part = "sekisho" // rules, presets, the mode
	PartNames   Part = "names"   // finding the address of a name
	PartMachine Part = "machine" // routes and other packet filters
	PartAttempt Part = "attempt" // what the kernel's trace showed
)

// Outcome is what becomes of a connection, all in all.
type Outcome string

const (
	OutcomePasses   Outcome = "passes"
	OutcomeAsks     Outcome = "waits"   // Sekisho asks
	OutcomeBlocked  Outcome = "blocked" // by Sekisho
	OutcomeDropped  Outcome = "dropped" // by something else
	OutcomeRejected Outcome = "rejected"
	OutcomePerhaps  Outcome = "may be dropped"
)

// Step is one line of an explanation. Code and Values say the same as What and Why, which
// are English, and have what translations are made of.
type Step struct {
	What    string // what looked: "mode", "preset loopback", "rule 12", …
	Matched bool
	Decided bool
	Why     string // one plain sentence
	Part    Part
	Code    string
	Values  map[string]string
	Checks  []Check // of a rule of Sekisho's: what each operand found
	Outcome Outcome // of what is not Sekisho's: what the step alone does; empty if it stops nothing
	// Of a rule of another packet filter: the program that wrote it, its text, and the
	// number that the kernel gave it.
	Author string
	Rule   string
	Handle uint64
	// To is the address that the step is about, where a name has several.
	To string
}

// Check is what one operand of a rule found. Has is what the flow has, Want what the rule
// wants; both are empty where it is no matter of one being the other.
type Check struct {
	Operand   string
	Matched   bool
	Has, Want string
	Why       string
}

// Culprit is the step that stops a connection, and what would change that.
type Culprit struct {
	Step
	Remedies []Remedy // the least first
}

// Remedy is one thing that would let a connection through. What is an English sentence.
type Remedy struct {
	Code   string
	Values map[string]string
	What   string
}

// Explanation says what would be done with a flow, by whom, and why, step by step.
type Explanation struct {
	// Flow is the one that was asked about by its id; nil: none was. What decided it then is
	// its Decision.
	Flow     *flow.Flow
	Decision flow.Decision // Sekisho's, now
	Outcome  Outcome       // the whole machine's; empty: only Sekisho was looked at
	Steps    []Step
	Culprit  *Culprit // nil: nothing stops it
}
