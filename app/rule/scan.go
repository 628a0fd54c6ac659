package rule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"
)

// maxDepth is how many objects and arrays may stand within one another in a rule.
const maxDepth = 4

// known is every name that a rule may have, at its place.
var known = func() map[string]bool {
	m := make(map[string]bool)
	for within, names := range map[string][]string{
		"": {
			"id", "enabled", "action", "direction", "program", "user", "remote", "ports", "protocol",
			"network_profile", "lifetime", "note", "created", "by", "origin", "hits", "last_used",
		},
		"program.":          {"path", "script", "package", "app", "folder", "unit", "parent", "sha256"},
		"remote.":           {"name", "domain", "address", "network", "range", "lan", "list"},
		"lifetime.":         {"kind", "until", "left", "boot", "deadline_ns", "process"},
		"lifetime.process.": {"pid", "start"},
	} {
		for _, n := range names {
			m[within+n] = true
		}
	}
	return m
}()

// placedError is an error at a byte of what was read.
type placedError struct {
	at  int64
	err error
}

func (e *placedError) Error() string { return e.err.Error() }
func (e *placedError) Unwrap() error { return e.err }

// scanner goes through one rule before it is decoded, for what encoding/json lets
// pass: names in another case, repeated names, depth, and control characters.
type scanner struct {
	dec *json.Decoder
	at  map[string]int64 // where each name stands
}

// readRule decodes one rule strictly and says at which byte each of its fields stands.
// Its errors are *placedError; with one about an operand the rule has its id.
func readRule(b []byte) (Rule, map[string]int64, error) {
	if i := invalidUTF8(b); i >= 0 {
		return Rule{}, nil, &placedError{int64(i), errors.New("not UTF-8 text")}
	}
	s := scanner{dec: json.NewDecoder(bytes.NewReader(b)), at: make(map[string]int64)}
	s.dec.UseNumber()
	if err := s.rule(); err != nil {
		return Rule{}, nil, err
	}
	var d document
	if err := json.Unmarshal(b, &d); err != nil {
		return Rule{}, nil, s.place(err)
	}
	r, err := d.rule()
	if err != nil {
		return r, nil, &placedError{s.at[operandOf(err)], err}
	}
	return r, s.at, nil
}

// operandOf names the operand that err is about; "" if it is about none.
func operandOf(err error) string {
	var o *OperandError
	if errors.As(err, &o) {
		return o.Operand
	}
	return ""
}

func invalidUTF8(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

func (s *scanner) rule() error {
	t, err := s.dec.Token()
	if err != nil {
		return s.place(err)
	}
	if t != json.Delim('{') {
		return &placedError{0, errors.New("a rule must be an object: {…}")}
	}
	if err := s.object("", 1); err != nil {
		return err
	}
	if _, err := s.dec.Token(); !errors.Is(err, io.EOF) {
		return &placedError{s.dec.InputOffset(), errors.New("something follows the rule")}
	}
	return nil
}

// object goes through what follows "{".
func (s *scanner) object(within string, depth int) error {
	for s.dec.More() {
		t, err := s.dec.Token()
		if err != nil {
			return s.place(err)
		}
		name, _ := t.(string)
		end := s.dec.InputOffset()
		full := within + name
		if !known[full] {
			return &placedError{end, fmt.Errorf("%.60q is not a field of a rule", full)}
		}
		if _, twice := s.at[full]; twice {
			return &placedError{end, fmt.Errorf("%q is there twice", full)}
		}
		s.at[full] = end
		if err := s.value(full, depth); err != nil {
			return err
		}
	}
	return s.close()
}

func (s *scanner) close() error {
	_, err := s.dec.Token()
	return s.place(err)
}

func (s *scanner) value(name string, depth int) error {
	t, err := s.dec.Token()
	if err != nil {
		return s.place(err)
	}
	switch t := t.(type) {
	case string:
		return s.text(name, t)
	case nil:
		return &placedError{s.dec.InputOffset(), fmt.Errorf("%q is null: leave it out", name)}
	case json.Delim:
		if depth++; depth > maxDepth {
			return &placedError{s.dec.InputOffset(), fmt.Errorf("%q is nested too deep", name)}
		}
		if t == '{' {
			return s.object(name+".", depth)
		}
		if !s.dec.More() {
			return &placedError{s.dec.InputOffset(), fmt.Errorf("%q is empty: leave it out", name)}
		}
		for s.dec.More() {
			if err := s.value(name, depth); err != nil {
				return err
			}
		}
		return s.close()
	}
	return nil
}

// mayBeEmpty is the text that says nothing when it is empty. An empty operand would
// say "any", which nobody should write by mistake.
var mayBeEmpty = map[string]bool{"id": true, "note": true, "by": true, "origin": true}

func (s *scanner) text(name, t string) error {
	if t == "" && !mayBeEmpty[name] {
		return &placedError{s.dec.InputOffset(), fmt.Errorf("%q is empty: leave it out", name)}
	}
	for _, r := range t {
		if unicode.IsControl(r) {
			return &placedError{s.dec.InputOffset(), fmt.Errorf("%q has the control character %U", name, r)}
		}
	}
	return nil
}

// place gives err the place at which it arose and takes Go's names out of it.
func (s *scanner) place(err error) error {
	if err == nil {
		return nil
	}
	at := s.dec.InputOffset()
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return &placedError{syntax.Offset, fmt.Errorf("not JSON: %w", err)}
	case errors.As(err, &kind):
		return &placedError{kind.Offset, fmt.Errorf("%s: a %s does not belong there", kind.Field, kind.Value)}
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return &placedError{at, errors.New("not JSON: it ends too early")}
	}
	return &placedError{at, err}
}
