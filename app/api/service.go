package api

import (
	"context"
	"io"
	"time"

	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
)

// Mode says what happens to flows that no rule decides.
type Mode string

const (
	ModeAsk      Mode = "ask"
	ModeLearn    Mode = "learn"
	ModeAllow    Mode = "allow"
	ModeBlock    Mode = "block"
	ModeLockdown Mode = "lockdown"
	ModeOff      Mode = "off"
)

// Modes lists every mode in the order in which they are shown.
var Modes = []Mode{ModeAsk, ModeLearn, ModeAllow, ModeBlock, ModeLockdown, ModeOff}

// Status is how the firewall is.
type Status struct {
	Version   string
	Mode      Mode
	ModeUntil time.Time // zero: for good
	Enforcing bool
	Since     time.Time
	Rules     int
	Waiting   int
	Kernel    Kernel
	Counters  Counters
	Problems  []Problem
	// Network is where the machine is, as people call it, and NetworkProfile what that is to
	// rules; empty if nothing is known.
	Network        string
	NetworkProfile string
}

// Kernel says which of the kernel's means are in use.
type Kernel struct {
	Release   string `json:"release"`
	Decisions string `json:"decisions"` // "kernel" or "queue"
	Queue     string `json:"queue"`     // "native" or "xtables"
}

// Counters count since the service started.
type Counters struct {
	Flows        uint64 `json:"flows"`
	Queued       uint64 `json:"queued"`
	QueueDropped uint64 `json:"queue_dropped"`
	Unattributed uint64 `json:"unattributed"`
	Prompts      uint64 `json:"prompts"`
	Answered     uint64 `json:"answered"`
	Missed       uint64 `json:"missed"`
	OverLimit    uint64 `json:"over_limit"`
	EventsLost   uint64 `json:"events_lost"`
	NotSaved     uint64 `json:"not_saved"`
	// Refused is packets and calls that nothing decided, where none can be held.
	Refused uint64 `json:"refused"`
	// Unidentified is calls by programs of which the kernel could not say for sure what they run.
	Unidentified uint64 `json:"unidentified"`
	// NotShown is refused flows that came too fast to be told of.
	NotShown uint64 `json:"not_shown"`
}

// Problem is something that keeps the firewall from being whole.
type Problem struct {
	Code  string    `json:"code,omitempty"`  // translations are keyed by it
	Value string    `json:"value,omitempty"` // what it is about: an error, or programs
	What  string    `json:"what"`            // the same in English
	Since time.Time `json:"since"`
	Do    string    `json:"do"`
}

// Settings are the choices that are not rules.
type Settings struct {
	Deadline    time.Duration // how long a flow waits for an answer; 1 s to 100 s
	Unattended  string        // "block" or "allow-packaged": what happens when nobody can answer
	WhenStopped string        // "open" or "closed": what happens to undecided traffic after a tidy stop
	// Presets that are switched off, by name.
	DisabledPresets []string
	// Trust lets programs from this system's packages connect, except those that do what
	// anybody tells them.
	Trust bool
}

// ActivityFilter narrows what Activity returns; zero fields let everything through.
type ActivityFilter struct {
	Since   time.Time
	Program string
	Verdict flow.Verdict // Waiting: any
	Follow  bool
	Limit   int // the newest n; 0: the service's bound
}

// SeenProgram is a program that used the network, with what is known of its file now.
type SeenProgram struct {
	Process     flow.Process // of its latest flow
	Provenance  flow.Provenance
	Warnings    []flow.Warning // about its file
	Rules       []string       // ids of those that are about it, however narrow
	Allowed     uint64         // flows in the history
	Blocked     uint64
	Bytes       flow.Bytes
	First, Last time.Time
}

// Event is one change that Watch reports. Exactly one field is set, but for the
// first event of a stream, which carries Status.
type Event struct {
	Prompt  *prompt.Prompt // a prompt appeared or changed
	Gone    string         // id of a prompt that needs no answer any more
	Status  *Status        // mode, health or counts changed
	Rules   bool           // the rules changed: list them again
	Blocked *flow.Flow     // blocked without a question: by deadline, limit or nobody there
}

// Service is everything that a client can ask of the service. The gRPC client
// implements it; the tray app and the command line see nothing else. Every call is
// answered within its context. Errors are *Error.
type Service interface {
	Status(ctx context.Context) (Status, error)
	// SetMode changes the mode; a span above zero brings the old one back by itself.
	SetMode(ctx context.Context, m Mode, span time.Duration) error
	Settings(ctx context.Context) (Settings, error)
	SetSettings(ctx context.Context, s Settings) error

	Rules(ctx context.Context) ([]rule.Rule, error)
	// AddRule saves r and returns it with its id; the service fills in ID, Created, By,
	// and the lifetime's clock fields from span.
	AddRule(ctx context.Context, r rule.Rule, span time.Duration) (rule.Rule, error)
	// EditRule replaces the rule that has r's id.
	EditRule(ctx context.Context, r rule.Rule, span time.Duration) (rule.Rule, error)
	EnableRule(ctx context.Context, id string, on bool) error
	RemoveRule(ctx context.Context, id string) error
	// ImportRules adds the rules of a file that rule.ReadFile accepts, or with replace
	// puts them in place of all; nothing changes if one of them is bad.
	ImportRules(ctx context.Context, file []byte, replace bool) (added int, err error)

	// Networks lists those that the machine is on and those that somebody named.
	Networks(ctx context.Context) ([]Network, error)
	// NameNetwork says which profile a network has; an empty one forgets it.
	NameNetwork(ctx context.Context, id, profile string) error

	// Learned is the rules that are proposed for what mode learn let through.
	Learned(ctx context.Context) (Learned, error)
	// AcceptLearned makes rules of proposals, all or none; changed has other rules in their
	// place, by the proposal's id.
	AcceptLearned(ctx context.Context, ids []string, changed map[string]rule.Rule) ([]rule.Rule, error)
	// DropLearned forgets what proposals were made of.
	DropLearned(ctx context.Context, ids []string) error

	Prompts(ctx context.Context) ([]prompt.Prompt, error)
	// Answer settles a prompt, by its id or that of one of its flows. The returned
	// rule is nil when the answer leaves none.
	Answer(ctx context.Context, id string, a prompt.Answer) (*rule.Rule, error)
	// Attend marks this client as one that can show prompts for as long as the stream
	// lives, and calls f for each event, in order, from one goroutine.
	Attend(ctx context.Context, f func(Event)) error
	// Watch is Attend for those that only look.
	Watch(ctx context.Context, f func(Event)) error

	Connections(ctx context.Context) ([]flow.Flow, error)
	// FollowConnections calls f with every flow that opens, changes or closes.
	FollowConnections(ctx context.Context, f func(flow.Flow)) error
	Activity(ctx context.Context, a ActivityFilter, f func(flow.Flow)) error
	// Programs lists the programs that the history tells of, those of the latest flows first.
	Programs(ctx context.Context) ([]SeenProgram, error)
	Explain(ctx context.Context, q Question) (Explanation, error)

	Blocklists

	Backup(ctx context.Context, w io.Writer) error
	Restore(ctx context.Context, r io.Reader) error
}
