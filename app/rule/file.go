package rule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Bounds of the export format.
const (
	// Version is the one that WriteFile writes and ReadFile reads.
	Version = 1
	// MaxRules is how many rules a file may have.
	MaxRules = 50_000
	// MaxFile is how long a file may be, in bytes.
	MaxFile = 32 << 20
)

// FileError is what ReadFile returns: the line that is wrong and, inside a rule,
// which one by its place (from 1) and its id.
type FileError struct {
	Line int
	Rule int // 0: not inside a rule
	ID   string
	Err  error
}

func (e *FileError) Error() string {
	switch {
	case e.Rule == 0:
		return fmt.Sprintf("line %d: %v", e.Line, e.Err)
	case e.ID == "":
		return fmt.Sprintf("line %d: rule %d: %v", e.Line, e.Rule, e.Err)
	}
	return fmt.Sprintf("line %d: rule %d (%s): %v", e.Line, e.Rule, e.ID, e.Err)
}

// Unwrap gives the reason.
func (e *FileError) Unwrap() error { return e.Err }

// WriteFile writes the export format: {"version": 1, "rules": […]}, a field a line.
func WriteFile(rules []Rule) ([]byte, error) {
	if rules == nil {
		rules = []Rule{}
	}
	b, err := json.MarshalIndent(struct {
		Version int    `json:"version"`
		Rules   []Rule `json:"rules"`
	}{Version, rules}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write rules: %w", err)
	}
	return append(b, '\n'), nil
}

// ReadFile reads the export format. Every rule that it returns is valid and in the
// form that Normal gives; one that is not makes the whole file bad, with a *FileError
// that names the first.
func ReadFile(b []byte) ([]Rule, error) {
	if len(b) > MaxFile {
		return nil, &FileError{Line: 1, Err: fmt.Errorf("%d bytes are too many, at most %d", len(b), MaxFile)}
	}
	f := file{b: b, dec: json.NewDecoder(bytes.NewReader(b)), ids: make(map[string]int)}
	f.dec.UseNumber()
	if err := f.read(); err != nil {
		return nil, err
	}
	return f.rules, nil
}

// file is an export that is being read.
type file struct {
	b     []byte
	dec   *json.Decoder
	ids   map[string]int // id -> its rule's place
	rules []Rule
}

var errShape = errors.New(`want {"version": 1, "rules": […]}`)

func (f *file) fail(at int64, err error) error {
	return &FileError{Line: f.line(at), Err: err}
}

// line is the one that has the last character before at, from 1.
func (f *file) line(at int64) int {
	before := f.b[:min(max(at, 0), int64(len(f.b)))]
	return 1 + bytes.Count(bytes.TrimRight(before, " \t\r\n"), []byte("\n"))
}

func (f *file) read() error {
	if err := f.want(json.Delim('{')); err != nil {
		return err
	}
	seen := make(map[string]bool)
	for f.dec.More() {
		t, err := f.token()
		if err != nil {
			return err
		}
		name, _ := t.(string)
		at := f.dec.InputOffset()
		if seen[name] {
			return f.fail(at, fmt.Errorf("%.60q is there twice", name))
		}
		seen[name] = true
		switch name {
		case "version":
			err = f.version()
		case "rules":
			err = f.list()
		default:
			err = f.fail(at, fmt.Errorf("%.60q is unknown: %w", name, errShape))
		}
		if err != nil {
			return err
		}
	}
	if err := f.want(json.Delim('}')); err != nil {
		return err
	}
	if !seen["version"] || !seen["rules"] {
		return f.fail(f.dec.InputOffset(), errShape)
	}
	if _, err := f.dec.Token(); !errors.Is(err, io.EOF) {
		return f.fail(f.dec.InputOffset(), errors.New("something follows the rules"))
	}
	return nil
}

func (f *file) token() (json.Token, error) {
	t, err := f.dec.Token()
	if err == nil {
		return t, nil
	}
	s := scanner{dec: f.dec}
	return nil, f.inFile(s.place(err))
}

// inFile is err, whose place counts from the beginning of the file, as a FileError.
func (f *file) inFile(err error) error {
	var p *placedError
	if errors.As(err, &p) {
		return f.fail(p.at, p.err)
	}
	return f.fail(f.dec.InputOffset(), err)
}

func (f *file) want(d json.Delim) error {
	t, err := f.token()
	if err != nil {
		return err
	}
	if t != d {
		return f.fail(f.dec.InputOffset(), errShape)
	}
	return nil
}

func (f *file) version() error {
	t, err := f.token()
	if err != nil {
		return err
	}
	if n, ok := t.(json.Number); !ok || n.String() != "1" {
		return f.fail(f.dec.InputOffset(), fmt.Errorf("version %.20v: this program reads version %d", t, Version))
	}
	return nil
}

func (f *file) list() error {
	if err := f.want(json.Delim('[')); err != nil {
		return err
	}
	for f.dec.More() {
		if len(f.rules) == MaxRules {
			return f.fail(f.dec.InputOffset(), fmt.Errorf("more than %d rules", MaxRules))
		}
		if err := f.rule(); err != nil {
			return err
		}
	}
	return f.want(json.Delim(']'))
}

// rule reads the next element of the list.
func (f *file) rule() error {
	var raw json.RawMessage
	before := f.dec.InputOffset()
	if err := f.dec.Decode(&raw); err != nil {
		return f.broken(before, err)
	}
	start := f.dec.InputOffset() - int64(len(raw))
	place := len(f.rules) + 1
	r, at, err := readRule(raw)
	if err != nil {
		var p *placedError
		errors.As(err, &p)
		return &FileError{f.line(start + max(p.at, 1)), place, printableID(r.ID), p.err}
	}
	// A field that is absent has no place of its own: its rule's first line stands for it.
	fail := func(name string, err error) error {
		return &FileError{f.line(start + max(at[name], 1)), place, printableID(r.ID), err}
	}
	if err := Validate(r); err != nil {
		return fail(operandOf(err), err)
	}
	if other, twice := f.ids[r.ID]; twice && r.ID != "" {
		return fail("id", fmt.Errorf("id: rule %d has the same", other))
	}
	f.ids[r.ID] = place
	f.rules = append(f.rules, Normal(r))
	return nil
}

// broken says where the element of the list that follows the byte at is no JSON: a
// Decoder's err doesn't tell.
func (f *file) broken(at int64, err error) error {
	const space = " \t\r\n"
	rest := bytes.TrimLeft(f.b[at:], space)
	rest = bytes.TrimLeft(bytes.TrimPrefix(rest, []byte(",")), space)
	at = int64(len(f.b) - len(rest))
	var raw json.RawMessage
	var syntax *json.SyntaxError
	if errors.As(json.Unmarshal(rest, &raw), &syntax) {
		at, err = at+syntax.Offset, syntax
	}
	return f.fail(at, fmt.Errorf("not JSON: %w", err))
}

// printableID is an id short enough for an error's one line.
func printableID(id string) string {
	if len(id) > maxID {
		return ""
	}
	return id
}
