package mainwindow

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"

	"sekisho/app/api"
	"sekisho/ui/text"
	"sekisho/ui/theme"
	"sekisho/ui/view"
	"sekisho/ui/widget"
)

// strip is the line along the bottom: whether the firewall protects, in which mode,
// how many connections there are and how many wait. It turns red, with what to do, when
// nothing is filtered, and amber when something is amiss.
type strip struct {
	clock   Clock
	root    fyne.CanvasObject
	card    *widget.Card
	glyph   *widget.GlyphIcon
	state   *widget.Text
	mode    *widget.Text
	total   *widget.Text
	waiting *widget.Btn

	status  api.Status
	known   bool // status was heard
	away    bool // the service can't be reached
	flows   int
	counted bool
}

func newStrip(c Clock, waiting func()) *strip {
	s := &strip{clock: c}
	s.glyph = widget.NewGlyph("shield", theme.Muted, 16)
	s.state = widget.NewText("", theme.Medium, true, theme.Foreground)
	s.mode = widget.NewElided("", theme.Medium, false, theme.Muted, widget.CutEnd)
	s.total = widget.NewText("", theme.Medium, false, theme.Muted)
	s.waiting = widget.NewBtn("", "", theme.Warn, theme.WarnFill, theme.WarnFill, func() {
		if waiting != nil {
			waiting()
		}
	})
	s.waiting.Points, s.waiting.Height = 12, 24
	s.waiting.Hide()
	line := container.NewBorder(nil, nil, widget.HBox(8, widget.Middle(s.glyph), widget.Middle(s.state)),
		widget.HBox(12, widget.Middle(s.waiting), widget.Middle(s.total)), widget.Inset(0, 0, 6, 6, widget.Middle(s.mode)))
	s.card = widget.NewCard(widget.Inset(0, 0, 18, 18, line), 0)
	s.card.Radius, s.card.Line = 0, ""
	s.root = widget.VBox(widget.NewLine(), container.NewStack(widget.Gap(40), s.card))
	s.draw()
	return s
}

func (s *strip) object() fyne.CanvasObject { return s.root }

func (s *strip) set(status api.Status) {
	s.status, s.known, s.away = status, true, false
	s.draw()
}

func (s *strip) lost() {
	s.away = true
	s.draw()
}

// count brings the number of live connections.
func (s *strip) count(n int) {
	if n != s.flows || !s.counted {
		s.flows, s.counted = n, true
		s.draw()
	}
}

// draw works everything out anew; what is the same on screen stays as it is.
func (s *strip) draw() {
	state, mode, tone, fill := s.wording()
	s.glyph.Color, s.state.Color = tone, tone
	s.mode.Color = theme.Muted
	if fill != theme.Background {
		s.mode.Color = theme.Foreground
	}
	s.card.Fill = fill
	s.state.S, s.mode.S = state, mode
	s.total.S = ""
	if s.counted && !s.away {
		s.total.S = text.T("connections.total", "N", view.Number(uint64(s.flows)))
	}
	s.waiting.Hide()
	if s.known && !s.away && s.status.Waiting > 0 {
		s.waiting.Label = text.T("strip.waiting", "N", s.status.Waiting)
		s.waiting.Show()
	}
	s.root.Refresh()
}

// problemText is a problem and what to do; in English if a newer service sends it.
func problemText(p api.Problem) string {
	if key := "problem." + p.Code; p.Code != "" && text.Has(key) && text.Has(key+".do") {
		return text.T(key, "Value", p.Value) + " " + text.T(key+".do")
	}
	return text.Safe(p.What) + " " + text.Safe(p.Do)
}

// wording is what the strip says, and in which colours.
func (s *strip) wording() (state, mode string, tone, fill fyne.ThemeColorName) {
	switch {
	case s.away:
		return text.T("strip.unreachable"), text.T("strip.unreachable.do"), theme.Bad, theme.BadFill
	case !s.known:
		return text.T("strip.connecting"), "", theme.Muted, theme.Background
	}
	if key := "strip.mode." + string(s.status.Mode); text.Has(key) {
		mode = text.T(key)
	}
	if !s.status.ModeUntil.IsZero() {
		mode = text.T("strip.until", "Mode", mode, "Time", view.Moment(s.status.ModeUntil, s.clock.Now()))
	}
	problem := ""
	if len(s.status.Problems) > 0 {
		problem = problemText(s.status.Problems[0])
	}
	switch {
	case !s.status.Enforcing && s.status.Mode == api.ModeOff:
		return text.T("strip.not-protecting"), mode + " — " + text.T("strip.off.do"), theme.Bad, theme.BadFill
	case !s.status.Enforcing:
		return text.T("strip.not-protecting"), problem, theme.Bad, theme.BadFill
	case problem != "":
		return text.T("strip.protecting"), problem, theme.Warn, theme.WarnFill
	}
	return text.T("strip.protecting"), mode, theme.Good, theme.Background
}
