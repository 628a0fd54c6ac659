package flow

import "fmt"

// Direction says who began a flow.
type Direction uint8

const (
	// Out is a flow that a program on this machine began.
	Out Direction = iota
	// In is a flow that somebody else began.
	In
)

func (d Direction) String() string {
	if d == In {
		return "in"
	}
	return "out"
}

// MarshalText writes "out" or "in".
func (d Direction) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads "out" or "in".
func (d *Direction) UnmarshalText(b []byte) error {
	switch string(b) {
	case "out":
		*d = Out
	case "in":
		*d = In
	default:
		return fmt.Errorf("direction %q: want out or in", b)
	}
	return nil
}
