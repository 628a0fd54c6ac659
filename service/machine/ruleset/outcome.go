package ruleset

// Outcome is what becomes of a packet.
type Outcome string

const (
	Passes   Outcome = "passes"
	Dropped  Outcome = "dropped"
	Rejected Outcome = "rejected" // dropped, and its sender is told
	Perhaps  Outcome = "may be dropped"
)

// Place is where in the packet filter something is.
type Place struct {
	Hook     Hook
	Priority int32
	Family   Family
	Table    string
	Chain    string
	Handle   uint64 // of the rule; 0 for the chain's policy
	Number   int    // the rule's place in its chain, from 1; 0 for the policy
	Rule     string // as nft would write it; empty for the policy
	Comment  string
	Author   Author
	Legacy   bool // of the older ip_tables
}

// Effect is what a step did.
type Effect string

const (
	Accepted   Effect = "accept" // leaves this base chain: the next one sees it yet
	Drop       Effect = "drop"
	Reject     Effect = "reject"
	Queue      Effect = "queue" // another program decides; To is the queue's number
	Jump       Effect = "jump"  // To is the chain
	Goto       Effect = "goto"
	Return     Effect = "return"
	Translate  Effect = "translate" // To is the new address
	Mark       Effect = "mark"      // To is the new mark
	Untrack    Effect = "notrack"
	NoDecision Effect = "" // it matches, and does nothing that matters here
)

// Step is a rule that matched, or a chain's policy.
type Step struct {
	Place
	Effect Effect
	To     string
	// Unsure is why it can't be told whether it matches; it was taken to. Empty: it does.
	Unsure string
}

// Result is what the rules do to a packet.
type Result struct {
	Outcome Outcome
	// Steps are those of the way that was taken: of one that ends with a drop, if any.
	Steps []Step
	// Culprit is the step that drops or rejects, nil if none does.
	Culprit *Step
	// Doubts are the rules of which it can't be told whether they match, and which
	// make the difference.
	Doubts []Step
}

// Fib answers what rules ask of routes. Its answers may be nil for not known.
type Fib interface {
	// Type is the kind of an address, as RTN_ numbers it: unicast, local, broadcast, …
	Type(addr Addr) (uint32, bool)
	// Out is the index of the interface that packets to an address leave by, 0 if none.
	Out(addr Addr) (int, bool)
}
