package mainwindow

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	fynewidget "fyne.io/fyne/v2/widget"

	"sekisho/ui/text"
	"sekisho/ui/theme"
	"sekisho/ui/widget"
)

// entry is what one page is called in the side bar.
type entry struct{ glyph, label string }

// sideBar is the list of pages.
type sideBar struct {
	root  fyne.CanvasObject
	items []*sideItem
}

func newSideBar(entries []entry, turn func(int)) *sideBar {
	b := &sideBar{}
	list := widget.VBox()
	for i, e := range entries {
		item := newSideItem(e, func() { turn(i) })
		b.items = append(b.items, item)
		list.Add(item)
		list.Add(widget.Gap(4))
	}
	logo := widget.NewCard(widget.NewGlyph("shield", theme.OnAccent, 20), 7)
	logo.Fill, logo.Line, logo.Radius = theme.Accent, "", 9
	brand := widget.Inset(0, 0, 6, 0, widget.HBox(10, widget.Middle(logo),
		widget.Middle(widget.NewText(text.T("main.title"), 17, true, theme.Foreground))))
	column := widget.Inset(20, 14, 12, 12, widget.VBox(brand, widget.Gap(20), list))
	b.root = container.NewBorder(nil, nil, nil, widget.NewLine(), column)
	return b
}

func (b *sideBar) object() fyne.CanvasObject { return b.root }

// choose marks the page that is on screen.
func (b *sideBar) choose(n int) {
	for i, item := range b.items {
		item.set(i == n)
	}
}

// sideItem is one page's entry; it can be reached with Tab and pressed with Space.
type sideItem struct {
	fynewidget.BaseWidget
	entry            entry
	tap              func()
	chosen           bool
	hovered, focused bool
}

func newSideItem(e entry, tap func()) *sideItem {
	s := &sideItem{entry: e, tap: tap}
	s.ExtendBaseWidget(s)
	return s
}

func (s *sideItem) set(chosen bool) {
	if s.chosen != chosen {
		s.chosen = chosen
		s.Refresh()
	}
}

func (s *sideItem) Tapped(*fyne.PointEvent)        { s.tap() }
func (s *sideItem) MouseIn(*desktop.MouseEvent)    { s.hovered = true; s.Refresh() }
func (s *sideItem) MouseMoved(*desktop.MouseEvent) {}
func (s *sideItem) MouseOut()                      { s.hovered = false; s.Refresh() }
func (s *sideItem) Cursor() desktop.Cursor         { return desktop.PointerCursor }
func (s *sideItem) FocusGained()                   { s.focused = true; s.Refresh() }
func (s *sideItem) FocusLost()                     { s.focused = false; s.Refresh() }
func (s *sideItem) TypedRune(rune)                 {}

func (s *sideItem) TypedKey(k *fyne.KeyEvent) {
	if k.Name == fyne.KeySpace || k.Name == fyne.KeyReturn || k.Name == fyne.KeyEnter {
		s.tap()
	}
}

func (s *sideItem) CreateRenderer() fyne.WidgetRenderer {
	r := &sideRenderer{s: s, fill: canvas.NewRectangle(color.Transparent), mark: widget.MakeMark(18), label: canvas.NewText(s.entry.label, nil)}
	r.fill.CornerRadius = 9
	r.label.TextSize = theme.Normal
	r.Refresh()
	return r
}

type sideRenderer struct {
	s     *sideItem
	fill  *canvas.Rectangle
	mark  *widget.Mark
	label *canvas.Text
}

func (r *sideRenderer) Destroy()           {}
func (r *sideRenderer) MinSize() fyne.Size { return fyne.NewSize(r.label.MinSize().Width+52, 38) }

func (r *sideRenderer) Layout(s fyne.Size) {
	r.fill.Resize(s)
	r.mark.Move(fyne.NewPos(12, (s.Height-18)/2))
	r.label.Move(fyne.NewPos(40, 0))
	r.label.Resize(fyne.NewSize(s.Width-44, s.Height))
}

func (r *sideRenderer) Refresh() {
	r.fill.FillColor = color.Transparent
	switch {
	case r.s.chosen:
		r.fill.FillColor = theme.Of(theme.Neutral)
	case r.s.hovered:
		r.fill.FillColor = theme.Of(theme.Track)
	}
	r.fill.StrokeWidth = 0
	if r.s.focused {
		r.fill.StrokeColor, r.fill.StrokeWidth = theme.Of(theme.Accent), 1.5
	}
	glyph, label := theme.Muted, theme.Muted
	if r.s.chosen {
		glyph, label = theme.Accent, theme.Foreground
	}
	r.mark.Set(r.s.entry.glyph, glyph)
	r.label.Color, r.label.TextStyle.Bold = theme.Of(label), r.s.chosen
	canvas.Refresh(r.s)
}

func (r *sideRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.fill, r.mark.Image, r.label}
}
