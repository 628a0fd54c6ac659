package rule

import (
	"fmt"

	"sekisho/app/flow"
)

var directionNames = [...]string{Out: "out", In: "in", Both: "both"}

func (d Direction) String() string {
	if int(d) < len(directionNames) {
		return directionNames[d]
	}
	return fmt.Sprintf("direction(%d)", uint8(d))
}

// ParseDirection reads "out", "in" or "both".
func ParseDirection(s string) (Direction, error) {
	for i, n := range directionNames {
		if n == s {
			return Direction(i), nil
		}
	}
	return 0, fmt.Errorf("%q is no direction: want out, in or both", s)
}

// MarshalText writes "out", "in" or "both"; any other value is an error.
func (d Direction) MarshalText() ([]byte, error) {
	if int(d) >= len(directionNames) {
		return nil, fmt.Errorf("direction %d: want out, in or both", uint8(d))
	}
	return []byte(directionNames[d]), nil
}

// UnmarshalText reads "out", "in" or "both".
func (d *Direction) UnmarshalText(b []byte) error {
	v, err := ParseDirection(string(b))
	if err == nil {
		*d = v
	}
	return err
}

// matches reports whether flows of direction f are looked at.
func (d Direction) matches(f flow.Direction) bool {
	switch d {
	case Both:
		return true
	case In:
		return f == flow.In
	default:
		return f == flow.Out
	}
}
