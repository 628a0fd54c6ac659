// Package notify tells the person, through the desktop's notifications, what happened
// while they looked elsewhere: connections that were blocked because nobody could
// answer, and protection that stopped. It groups and limits them, and asks nothing: a
// notification never carries an answer.
//
// Run owns the state; Blocked and Protection may be called from any goroutine.
package notify

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"sekisho/app/flow"
	"sekisho/ui/text"
	"sekisho/ui/view"
)

const (
	// Gather is how long blocked connections are collected before they are told.
	Gather = 2 * time.Second
	// Pause is the least time between two notifications of blocked connections.
	Pause = 30 * time.Second
	// Grace is how long protection may be away before that is told: a service that
	// restarts is back sooner.
	Grace = 3 * time.Second
)

// Notifier collects what happens and tells it.
type Notifier struct {
	send       func(title, message string) error
	after      func(time.Duration) <-chan time.Time
	blocked    chan flow.Flow
	protection chan bool
}

// New returns a notifier that says what it has to say with send.
func New(send func(title, message string) error) *Notifier {
	return &Notifier{send: send, after: time.After, blocked: make(chan flow.Flow, 256), protection: make(chan bool, 16)}
}

// Blocked notes a connection that was blocked because nobody could answer. What comes
// faster than it can be taken is left out: the app shows it all the same.
func (n *Notifier) Blocked(f flow.Flow) {
	select {
	case n.blocked <- f:
	default:
	}
}

// Protection notes whether connections are filtered.
func (n *Notifier) Protection(ctx context.Context, on bool) {
	select {
	case n.protection <- on:
	case <-ctx.Done():
	}
}

// Run tells things until ctx ends.
func (n *Notifier) Run(ctx context.Context) error {
	var (
		pending  []flow.Flow
		due      <-chan time.Time // when pending is told
		resting  <-chan time.Time // until then nothing more is told
		lost     <-chan time.Time // when lost protection is told
		on, told = true, false
	)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case f := <-n.blocked:
			pending = append(pending, f)
			if due == nil && resting == nil {
				due = n.after(Gather)
			}
		case <-due:
			n.tellBlocked(pending)
			pending, due, resting = nil, nil, n.after(Pause)
		case <-resting:
			resting = nil
			if len(pending) > 0 {
				due = n.after(0)
			}
		case now := <-n.protection:
			if now == on {
				continue
			}
			on = now
			switch {
			case !on:
				lost = n.after(Grace)
			case told:
				told = false
				n.tell(text.T("notify.back.title"), text.T("notify.back.text"))
				lost = nil
			default:
				lost = nil
			}
		case <-lost:
			lost, told = nil, true
			n.tell(text.T("notify.lost.title"), text.T("notify.lost.text"))
		}
	}
}

// tellBlocked says in one notification what was blocked.
func (n *Notifier) tellBlocked(fs []flow.Flow) {
	if len(fs) == 0 {
		return
	}
	if len(fs) == 1 {
		f := fs[0]
		key := "notify.blocked.out"
		if f.Direction == flow.In {
			key = "notify.blocked.in"
		}
		n.tell(text.T("notify.blocked.title", "N", 1),
			text.T(key, "Program", view.ProgramName(f.Process), "Host", text.Host(f.Remote.Host())))
		return
	}
	var names []string
	for _, f := range fs {
		if name := view.ProgramName(f.Process); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	list := names[0]
	for i, name := range names[1:] {
		if i == 3 {
			list += "…"
			break
		}
		list += text.T("prompt.list-comma") + name
	}
	n.tell(text.T("notify.blocked.title", "N", len(fs)), text.T("notify.blocked.some", "Programs", list))
}

func (n *Notifier) tell(title, message string) {
	if err := n.send(title, message); err != nil {
		slog.Info("no notification", "err", err) // a desktop without notifications is no failure
	}
}
