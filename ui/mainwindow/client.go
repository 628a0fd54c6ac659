package mainwindow

import (
	"context"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/rule"
)

// Client is what the window needs of the service; api.Service has it.
type Client interface {
	Status(ctx context.Context) (api.Status, error)
	Rules(ctx context.Context) ([]rule.Rule, error)
	AddRule(ctx context.Context, r rule.Rule, span time.Duration) (rule.Rule, error)
	EnableRule(ctx context.Context, id string, on bool) error
	RemoveRule(ctx context.Context, id string) error
	Connections(ctx context.Context) ([]flow.Flow, error)
	FollowConnections(ctx context.Context, f func(flow.Flow)) error
}

// Clock is the time that the window goes by.
type Clock interface {
	Now() time.Time
	// AfterFunc calls f after d, from a goroutine of its own, unless stop is called
	// before.
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

// SystemClock is the real time.
type SystemClock struct{}

// Now implements Clock.
func (SystemClock) Now() time.Time { return time.Now() }

// AfterFunc implements Clock.
func (SystemClock) AfterFunc(d time.Duration, f func()) func() bool {
	return time.AfterFunc(d, f).Stop
}

// sleep waits for d or the end of ctx.
func sleep(ctx context.Context, c Clock, d time.Duration) {
	over := make(chan struct{})
	stop := c.AfterFunc(d, func() { close(over) })
	select {
	case <-over:
	case <-ctx.Done():
		stop()
	}
}
