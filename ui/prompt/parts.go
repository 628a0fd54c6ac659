package prompt

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"

	"sekisho/ui/text"
	"sekisho/ui/theme"
	"sekisho/ui/view"
	"sekisho/ui/widget"
)

// buildHead says who wants something: icon, name and the beginning of the sentence.
func (v *View) buildHead() fyne.CanvasObject {
	q := v.q
	glyph, direction := "out", text.T("prompt.outgoing")
	icon := v.programIcon(60)
	cut := widget.CutMiddle
	if q.Incoming {
		glyph, direction = "in", text.T("prompt.incoming")
		icon = widget.NewTile(q.Subject, "globe", true, 60)
		cut = widget.CutStart
	}
	subject := widget.NewElided(q.Subject, theme.Huge, true, theme.Foreground, cut)
	width := inner - 78
	pill := widget.NewPill(glyph, direction, theme.Muted, theme.Neutral)
	return widget.Inset(0, 0, 2, 0, container.NewBorder(nil, nil,
		container.NewHBox(widget.Middle(icon), widget.HGap(6)), nil,
		widget.Middle(widget.VBox(
			container.NewBorder(nil, nil, nil, pill, subject),
			widget.NewParagraph(q.Lead, theme.Normal, false, theme.Muted, width, 2)))))
}

func (v *View) programIcon(px float32) fyne.CanvasObject {
	if v.do.Icon != nil && v.q.Icon != "" {
		if r := v.do.Icon(v.q.Icon); r != nil {
			return widget.NewIcon(r, px)
		}
	}
	name := v.q.Subject
	if v.q.Incoming {
		name = v.q.Object
	}
	return widget.NewTile(name, v.q.Glyph, v.q.Known && v.q.Glyph != "file", px)
}

// buildObject is the card with whom the subject wants something of: the name first.
func (v *View) buildObject() fyne.CanvasObject {
	cut := widget.CutStart // the registrable end of a host name must stay
	var icon fyne.CanvasObject
	if v.q.Incoming {
		cut = widget.CutMiddle
		icon = v.programIcon(40)
	} else {
		circle := widget.NewCard(widget.NewGlyph("globe", theme.Accent, 22), 9)
		circle.Radius, circle.Fill, circle.Line = 20, theme.Neutral, ""
		icon = circle
	}
	object := widget.NewElided(v.q.Object, theme.Large, true, theme.Foreground, cut)
	detail := widget.NewElided(v.q.ObjectDetail, theme.Small, false, theme.Muted, widget.CutMiddle)
	return widget.NewCard(container.NewBorder(nil, nil,
		container.NewHBox(widget.Middle(icon), widget.HGap(4)), nil,
		widget.Middle(widget.VBox(object, widget.Gap(2), detail))), 13)
}

// buildWarnings is a banner that stands out; nothing where there are none.
func (v *View) buildWarnings() fyne.CanvasObject {
	if len(v.q.Warnings) == 0 {
		return widget.VBox()
	}
	width := inner - 24 - 26 - 16
	lines := []fyne.CanvasObject{widget.NewText(text.T("prompt.careful"), theme.Normal, true, theme.Bad)}
	for _, w := range v.q.Warnings {
		lines = append(lines, widget.Gap(2), widget.NewParagraph(w, theme.Medium, false, theme.Foreground, width, 3))
	}
	banner := widget.NewCard(container.NewBorder(nil, nil,
		container.NewHBox(widget.Middle(widget.NewGlyph("warn", theme.Bad, 26)), widget.HGap(4)), nil,
		widget.Middle(widget.VBox(lines...))), 12)
	banner.Fill, banner.Line = theme.BadFill, ""
	return widget.VBox(widget.Gap(8), banner)
}

// buildFacts are plain lines, each with its glyph.
func (v *View) buildFacts() fyne.CanvasObject {
	box := widget.VBox()
	for _, f := range v.q.Facts {
		c := theme.Muted
		if f.Level == view.GoodFact {
			c = theme.Good
		}
		line := widget.NewElided(f.Text, theme.Medium, false, theme.Foreground, widget.CutEnd)
		box.Add(container.NewBorder(nil, nil,
			container.NewHBox(widget.Middle(widget.NewGlyph(f.Glyph, c, 17)), widget.HGap(2)), nil,
			widget.Middle(line)))
		box.Add(widget.Gap(5))
	}
	return widget.Inset(0, 0, 3, 0, box)
}

// buildChoices is how long and what for, and the sentence that both make.
func (v *View) buildChoices() fyne.CanvasObject {
	label := func(key string) fyne.CanvasObject {
		return widget.Inset(0, 4, 2, 0, widget.NewText(key, 12, false, theme.Muted))
	}
	var lifetimes, scopes []string
	for _, c := range v.q.Lifetimes {
		lifetimes = append(lifetimes, c.Label)
	}
	for _, c := range v.q.Scopes {
		scopes = append(scopes, c.Label)
	}
	v.preview = widget.NewElided("", theme.Medium, false, theme.Foreground, widget.CutMiddle)
	v.lifetime = widget.NewSeg(lifetimes, v.q.FirstLifetime, v.sayPreview)
	v.scope = widget.NewSeg(scopes, 0, v.sayPreview)
	v.lifetime.OnKey, v.scope.OnKey = v.key, v.key
	v.sayPreview(0)
	return widget.VBox(
		label(text.T("prompt.remember")), v.lifetime, widget.Gap(8),
		label(text.T("prompt.scope")), v.scope, widget.Gap(9),
		widget.Inset(0, 0, 3, 3, v.preview),
	)
}
