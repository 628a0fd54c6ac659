package tray

import (
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/ui/session"
	"sekisho/ui/text"
	"sekisho/ui/view"
)

// Icon is the name of the tray icon for a state.
func Icon(s session.State) string {
	switch {
	case !s.Connected:
		return "off"
	case s.Status.Mode == api.ModeOff:
		return "paused"
	case !s.Status.Enforcing:
		return "off"
	case len(s.Prompts) > 0:
		return "waiting"
	case s.Status.Mode == api.ModeLockdown:
		return "lockdown"
	case s.Status.Mode == api.ModeAsk:
		return "asking"
	}
	return "quiet"
}

// Summary says how the firewall is in one short sentence.
func Summary(s session.State) string {
	switch {
	case !s.Connected:
		return text.T("tray.state.gone")
	case s.Status.Mode == api.ModeOff && s.Status.ModeUntil.IsZero():
		return text.T("tray.state.paused")
	case s.Status.Mode == api.ModeOff && time.Until(s.Status.ModeUntil) > 30*24*time.Hour:
		return text.T("tray.state.paused-boot")
	case s.Status.Mode == api.ModeOff:
		return text.T("tray.state.paused-until", "Time", s.Status.ModeUntil.Local().Format(text.T("time.layout.clock")))
	case !s.Status.Enforcing:
		return text.T("tray.state.off")
	}
	return text.T("tray.state." + string(s.Status.Mode))
}

// BlockedLabel is a blocked flow as a line of the menu: "curl → example.com".
func BlockedLabel(f flow.Flow) string {
	host := text.Host(f.Remote.Host())
	if r := []rune(host); len(r) > 60 {
		host = "…" + string(r[len(r)-59:]) // the registrable end must stay
	}
	key := "tray.blocked.out"
	if f.Direction == flow.In {
		key = "tray.blocked.in"
	}
	name := view.ProgramName(f.Process)
	if r := []rune(name); len(r) > 40 {
		name = string(r[:39]) + "…"
	}
	return text.T(key, "Program", name, "Host", host)
}
