package blocklist

import (
	"errors"
	"syscall"

	"sekisho/service/blocklist/format"
)

// Problem is why a list isn't fresh, and what to do about it.
type Problem struct {
	List string
	Op   string // "fetch", "read", "keep", "compile"
	Why  string
	Do   string
	Err  error // its cause, if that is another error
}

func (p *Problem) Error() string {
	s := p.Why
	switch {
	case p.List != "":
		s = p.Op + " list " + p.List + ": " + s
	case p.Op != "":
		s = p.Op + " lists: " + s
	}
	if p.Do != "" {
		s += "; " + p.Do
	}
	return s
}

func (p *Problem) Unwrap() error { return p.Err }

// problem makes any error one of a list. The last good copy stays in all cases, so that
// isn't said each time.
func problem(id, op string, err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		q := *p
		q.List, q.Op = id, op
		return &q
	}
	var r *format.Refusal
	if errors.As(err, &r) {
		bare := *r
		bare.Do = ""
		return &Problem{List: id, Op: op, Why: bare.Error(), Do: r.Do, Err: err}
	}
	do := "it is tried again later"
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		do = "make room on the disk; the last good copy stays in use"
	}
	return &Problem{List: id, Op: op, Why: err.Error(), Do: do, Err: err}
}
