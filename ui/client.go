package ui

import (
	"context"
	"time"

	"sekisho/app/api"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/ui/mainwindow"
	"sekisho/ui/session"
)

// Client is what the tray app needs of the service; api.Client has it.
type Client interface {
	session.Client
	mainwindow.Client
	Answer(ctx context.Context, id string, a prompt.Answer) (*rule.Rule, error)
	SetMode(ctx context.Context, m api.Mode, span time.Duration) error
}

// patience is how long a call may take.
const patience = 10 * time.Second
