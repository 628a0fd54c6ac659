package rule

import "fmt"

var actionNames = [...]string{Allow: "allow", Block: "block"}

func (a Action) String() string {
	if a == Allow || a == Block {
		return actionNames[a]
	}
	return fmt.Sprintf("action(%d)", uint8(a))
}

// ParseAction reads "allow" or "block".
func ParseAction(s string) (Action, error) {
	switch s {
	case "allow":
		return Allow, nil
	case "block":
		return Block, nil
	}
	return 0, fmt.Errorf("%q is no action: want allow or block", s)
}

// MarshalText writes "allow" or "block"; an action that is neither is an error.
func (a Action) MarshalText() ([]byte, error) {
	if a != Allow && a != Block {
		return nil, fmt.Errorf("action %d: want allow or block", uint8(a))
	}
	return []byte(actionNames[a]), nil
}

// UnmarshalText reads "allow" or "block".
func (a *Action) UnmarshalText(b []byte) error {
	v, err := ParseAction(string(b))
	if err == nil {
		*a = v
	}
	return err
}
