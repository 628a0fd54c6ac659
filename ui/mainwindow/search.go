package mainwindow

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/layout"
	fynewidget "fyne.io/fyne/v2/widget"

	"sekisho/ui/theme"
	"sekisho/ui/view"
	"sekisho/ui/widget"
)

// searchField is an entry with a looking glass; Escape empties it.
type searchField struct {
	fynewidget.Entry
}

func newSearchField(hint string, found func(view.Filter)) *searchField {
	s := &searchField{}
	s.ExtendBaseWidget(s)
	s.Wrapping = fyne.TextWrap(fyne.TextTruncateClip)
	s.PlaceHolder = hint
	s.OnChanged = func(typed string) { found(view.ParseFilter(typed)) }
	s.paint()
	return s
}

func (s *searchField) paint() { s.Icon = widget.Glyph("search", theme.Of(theme.Muted), 1.6) }

// Refresh keeps the glass in the theme's colour.
func (s *searchField) Refresh() {
	s.paint()
	s.Entry.Refresh()
}

// TypedKey empties the field at Escape.
func (s *searchField) TypedKey(k *fyne.KeyEvent) {
	if k.Name == fyne.KeyEscape {
		s.SetText("")
		return
	}
	s.Entry.TypedKey(k)
}

func (s *searchField) focus() {
	if c := fyne.CurrentApp().Driver().CanvasForObject(s); c != nil {
		c.Focus(s)
	}
}

// newHeading is the top of a page: its name, how much there is, and the search field.
func newHeading(name string, count *widget.Text, search fyne.CanvasObject) fyne.CanvasObject {
	title := widget.HBox(12, widget.Middle(widget.NewText(name, theme.Huge, true, theme.Foreground)),
		widget.Inset(6, 0, 0, 0, widget.Middle(count)))
	field := container.New(fixedWidth{380}, search)
	return widget.Inset(0, 14, 2, 0, container.New(layout.NewBorderLayout(nil, nil, title, field), title, field))
}

// fixedWidth gives its content a width.
type fixedWidth struct{ width float32 }

func (f fixedWidth) MinSize(o []fyne.CanvasObject) fyne.Size {
	return fyne.NewSize(f.width, o[0].MinSize().Height)
}

func (f fixedWidth) Layout(o []fyne.CanvasObject, s fyne.Size) { o[0].Resize(s) }

// emptyState is what a list shows when it has no rows: why, and what would change that.
type emptyState struct {
	root         *fyne.Container
	glyph        string
	title, words string
}

func newEmptyState() *emptyState {
	e := &emptyState{root: container.NewStack()}
	e.root.Hide()
	return e
}

// show says why there is nothing; an empty title hides it.
func (e *emptyState) show(glyph, title, words string) {
	if title == "" {
		e.root.Hide()
		e.title = ""
		return
	}
	if glyph != e.glyph || title != e.title || words != e.words {
		e.glyph, e.title, e.words = glyph, title, words
		disc := widget.NewCard(widget.NewGlyph(glyph, theme.Muted, 30), 15)
		disc.Radius, disc.Fill, disc.Line = 30, theme.Neutral, ""
		head := widget.NewText(title, theme.Large, true, theme.Foreground)
		head.Align = fyne.TextAlignCenter
		column := widget.VBox(container.NewCenter(disc), widget.Gap(14), head, widget.Gap(6))
		for _, l := range widget.Wrap(words, theme.Normal, fyne.TextStyle{}, 420) {
			t := widget.NewText(l, theme.Normal, false, theme.Muted)
			t.Align = fyne.TextAlignCenter
			column.Add(t)
		}
		e.root.Objects = []fyne.CanvasObject{container.NewCenter(column)}
		e.root.Refresh()
	}
	e.root.Show()
}
