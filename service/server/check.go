package server

import (
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"sekisho/app/api"
	"sekisho/app/prompt"
	"sekisho/app/rule"
)

// The bounds on what a message may hold, in bytes but for the last.
const (
	maxID      = 64
	maxPath    = 4096
	maxName    = 253 // a host name
	maxScope   = 256
	maxUser    = 256
	maxPreset  = 64
	maxPresets = 256
)

// bad makes an error the caller's fault.
func bad(err error) error { return api.Errorf(api.BadRequest, "%v", err) }

func checkID(what, id string) error {
	if id == "" {
		return api.Errorf(api.BadRequest, "the id of the %s is missing", what)
	}
	if len(id) > maxID || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return api.Errorf(api.BadRequest, "that is no id of a %s", what)
	}
	return nil
}

func checkMode(m api.Mode) error {
	if slices.Contains(api.Modes, m) {
		return nil
	}
	names := make([]string, len(api.Modes))
	for i, m := range api.Modes {
		names[i] = string(m)
	}
	return api.Errorf(api.BadRequest, "there is no mode %.40q; the modes are %s", m, strings.Join(names, ", "))
}

// checkSpan lets zero through: no span.
func checkSpan(d time.Duration) error {
	if d < 0 || d > rule.MaxSpan {
		return api.Errorf(api.BadRequest, "%s is no span of time for this; want up to ten years", d)
	}
	return nil
}

func checkLifetime(k rule.LifetimeKind, span time.Duration) error {
	switch {
	case !slices.Contains(rule.LifetimeKinds, k):
		return api.Errorf(api.BadRequest, "there is no lifetime %.40q; want always, once, quit, boot or until", k)
	case k == rule.Until && (span < rule.MinSpan || span > rule.MaxSpan):
		return api.Errorf(api.BadRequest, "how long? %s is no span for a rule; want between a second and ten years", span)
	case k != rule.Until && span != 0:
		return api.Errorf(api.BadRequest, "the lifetime %s has no span; leave one of the two out", k)
	}
	return nil
}

func checkRule(r rule.Rule) error {
	if err := rule.ValidateOperands(r); err != nil {
		return bad(err)
	}
	return nil
}

func checkAnswer(a prompt.Answer) error {
	if a.Like != "" {
		if len(a.Like) > maxPath {
			return api.Errorf(api.BadRequest, "the program's path is too long: at most %d bytes", maxPath)
		}
		return nil
	}
	if err := checkLifetime(a.Lifetime, a.For); err != nil {
		return err
	}
	return checkScope(a.Scope)
}

// checkScope judges the form alone; whether it fits the question is the backend's.
func checkScope(s prompt.Scope) error {
	to := s.Kind == prompt.Host || s.Kind == prompt.HostAndPort
	port := s.Kind == prompt.Port || s.Kind == prompt.HostAndPort
	switch {
	case !to && !port && s.Kind != prompt.Anything:
		return api.Errorf(api.BadRequest, "there is no scope %.40q; want host-port, host, port or any", s.Kind)
	case to != (s.To != "") || port != (s.Port != 0):
		return api.Errorf(api.BadRequest, "the scope %s has not the host and port that it needs", s.Kind)
	case len(s.To) > maxScope:
		return api.Errorf(api.BadRequest, "the destination is too long: at most %d bytes", maxScope)
	case !to:
		return nil
	}
	if _, err := rule.ParseRemote(s.To); err != nil {
		return bad(err)
	}
	return nil
}

func checkHost(s string) error {
	if s == "" {
		return nil
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return nil
	}
	if err := rule.CheckName(rule.NormalName(s)); err != nil || len(s) > maxName+1 {
		return api.Errorf(api.BadRequest, "%.80q is neither a host name nor an address", s)
	}
	return nil
}

func checkQuestion(q api.Question) error {
	for _, path := range []string{q.Program, q.Script} {
		if len(path) > maxPath || strings.ContainsRune(path, 0) {
			return api.Errorf(api.BadRequest, "that is no path of a program: at most %d bytes, none of them zero", maxPath)
		}
	}
	if len(q.User) > maxUser || !utf8.ValidString(q.User) {
		return api.Errorf(api.BadRequest, "that is no name of an account")
	}
	if q.Flow != "" {
		return checkID("connection", q.Flow)
	}
	return checkHost(q.To)
}

func checkFilter(a api.ActivityFilter) error {
	if len(a.Program) > maxPath {
		return api.Errorf(api.BadRequest, "that is no path of a program: at most %d bytes", maxPath)
	}
	if a.Limit < 0 {
		return api.Errorf(api.BadRequest, "the limit is %d; want a number above zero, or none", a.Limit)
	}
	return nil
}

func checkSettings(s api.Settings) error {
	switch {
	case s.Deadline < time.Second || s.Deadline > 100*time.Second:
		return api.Errorf(api.BadRequest, "the deadline is %s; want between 1s and 100s", s.Deadline)
	case s.Unattended != "block" && s.Unattended != "allow-packaged":
		return api.Errorf(api.BadRequest, "unattended is %.40q; want block or allow-packaged", s.Unattended)
	case s.WhenStopped != "open" && s.WhenStopped != "closed":
		return api.Errorf(api.BadRequest, "when-stopped is %.40q; want open or closed", s.WhenStopped)
	case len(s.DisabledPresets) > maxPresets:
		return api.Errorf(api.BadRequest, "%d presets are switched off; there are not that many", len(s.DisabledPresets))
	}
	for _, name := range s.DisabledPresets {
		if name == "" || len(name) > maxPreset {
			return api.Errorf(api.BadRequest, "%.80q is no preset", name)
		}
	}
	return nil
}
