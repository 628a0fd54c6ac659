package server

import (
	"context"
	"io"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
)

// Backend is the service behind the door: api.Service without callers. It trusts what
// it is told. It must be usable from any goroutine, and every call ends with its
// context.
//
// The functions that Attend, Watch and FollowConnections are given never block, so
// they may be called with locks held; that of Activity and the writer of Backup wait
// for a slow reader, ten seconds at most, so they may not. All of them do nothing once
// the context is done.
type Backend interface {
	Status(ctx context.Context) (api.Status, error)
	SetMode(ctx context.Context, m api.Mode, span time.Duration) error
	Settings(ctx context.Context) (api.Settings, error)
	SetSettings(ctx context.Context, s api.Settings) error

	Rules(ctx context.Context) ([]rule.Rule, error)
	// AddRule and EditRule get rules whose By and User the server has settled.
	AddRule(ctx context.Context, r rule.Rule, span time.Duration) (rule.Rule, error)
	EditRule(ctx context.Context, r rule.Rule, span time.Duration) (rule.Rule, error)
	EnableRule(ctx context.Context, id string, on bool) error
	RemoveRule(ctx context.Context, id string) error
	ImportRules(ctx context.Context, file []byte, replace bool) (added int, err error)

	Networks(ctx context.Context) ([]api.Network, error)
	NameNetwork(ctx context.Context, id, profile string) error

	Learned(ctx context.Context) (api.Learned, error)
	// AcceptLearned is told who accepts.
	AcceptLearned(ctx context.Context, ids []string, changed map[string]rule.Rule, by string) ([]rule.Rule, error)
	DropLearned(ctx context.Context, ids []string) error

	Prompts(ctx context.Context) ([]prompt.Prompt, error)
	Answer(ctx context.Context, id string, a prompt.Answer) (*rule.Rule, error)
	// Attend is told for whom the client can answer: for uid, and with admin for
	// everybody.
	Attend(ctx context.Context, uid uint32, admin bool, f func(api.Event)) error
	Watch(ctx context.Context, f func(api.Event)) error

	Connections(ctx context.Context) ([]flow.Flow, error)
	FollowConnections(ctx context.Context, f func(flow.Flow)) error
	Activity(ctx context.Context, a api.ActivityFilter, f func(flow.Flow)) error
	// Programs is told which flows, and which users' rules, the caller may see.
	Programs(ctx context.Context, sees func(flow.Flow) bool, owns func(user string) bool) ([]api.SeenProgram, error)
	Explain(ctx context.Context, q api.Question) (api.Explanation, error)

	Backup(ctx context.Context, w io.Writer) error
	Restore(ctx context.Context, r io.Reader) error
}
