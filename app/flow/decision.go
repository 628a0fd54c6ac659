package flow

import "fmt"

// Verdict is what is done with a flow.
type Verdict uint8

const (
	// Waiting flows are held until somebody answers or their deadline passes.
	Waiting Verdict = iota
	Allow
	Block
)

var verdictNames = [...]string{"waiting", "allow", "block"}

func (v Verdict) String() string {
	if int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return fmt.Sprintf("verdict(%d)", v)
}

// MarshalText writes "waiting", "allow" or "block".
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads "waiting", "allow" or "block".
func (v *Verdict) UnmarshalText(b []byte) error {
	for i, n := range verdictNames {
		if n == string(b) {
			*v = Verdict(i)
			return nil
		}
	}
	return fmt.Errorf("verdict %q: want allow or block", b)
}

// Kind says what sort of thing decided a flow.
type Kind string

const (
	ByRule   Kind = "rule"   // a lasting or temporary rule; ID is the rule's
	ByList   Kind = "list"   // a blocklist
	ByPreset Kind = "preset" // a shipped rule for what every machine needs
	ByTrust  Kind = "trust"  // "programs from packages may connect"
	ByMode   Kind = "mode"   // the mode: learn, allow, block, lockdown or off
	ByAnswer Kind = "answer" // a person, for this flow alone
	ByLimit  Kind = "limit"  // a bound or a deadline; Name says which
)

// By is what decided a flow. Name is a short machine name: the rule's program, the
// preset ("loopback", "resolver"), the mode ("lockdown"), or the limit ("deadline",
// "unattended", "waiting-flows", "unattributed", "stopped").
type By struct {
	Kind Kind   `json:"kind"`
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

// Decision is the end of the path: the verdict and what decided it.
type Decision struct {
	Verdict Verdict
	By      By
}
