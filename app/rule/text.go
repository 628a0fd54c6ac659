package rule

import (
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// OperandError is what Validate returns: which operand is wrong, by its name in the
// export format ("program.path", "ports"), and in one line why and what to do.
type OperandError struct {
	Operand string
	Err     error
}

func (e *OperandError) Error() string { return e.Operand + ": " + e.Err.Error() }

// Unwrap gives the reason.
func (e *OperandError) Unwrap() error { return e.Err }

func badf(format string, args ...any) error { return fmt.Errorf(format, args...) }

// checkText refuses what has no place in any operand: text that is too long, is no
// UTF-8, or has control characters. JSON could not carry the second, and the third
// could make a rule look like another one.
func checkText(s string, most int) error {
	if len(s) > most {
		return badf("%d bytes are too long, at most %d", len(s), most)
	}
	if !utf8.ValidString(s) {
		return errors.New("not UTF-8 text: rules can't name it")
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return badf("has the control character %U: leave it out", r)
		}
	}
	return nil
}
