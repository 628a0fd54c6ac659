package widget

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"

	"sekisho/ui/theme"
)

// Fold is a small header that shows and hides a body; both are placed by whoever made
// the fold.
type Fold struct {
	Header   *FoldHeader
	Body     *fyne.Container
	OnToggle func()
	OnKey    func(*fyne.KeyEvent) // keys that the header does not use
}

// NewFold returns a closed fold.
func NewFold(title string, body fyne.CanvasObject) *Fold {
	f := &Fold{Body: container.NewStack(body)}
	f.Body.Hide()
	f.Header = &FoldHeader{fold: f, glyph: NewGlyph("right", theme.Muted, 14), title: NewText(title, 12.5, true, theme.Muted)}
	f.Header.glyph.Stroke = 2.2
	f.Header.ExtendBaseWidget(f.Header)
	return f
}

// Open reports whether the body is in sight.
func (f *Fold) Open() bool { return f.Body.Visible() }

// Toggle opens or closes the fold.
func (f *Fold) Toggle() {
	f.Header.glyph.Name = "right"
	if f.Open() {
		f.Body.Hide()
	} else {
		f.Body.Show()
		f.Header.glyph.Name = "down"
	}
	f.Header.glyph.Refresh()
	if f.OnToggle != nil {
		f.OnToggle()
	}
}

// FoldHeader is what is clicked to open a Fold.
type FoldHeader struct {
	widget.BaseWidget
	fold  *Fold
	glyph *GlyphIcon
	title *Text
}

// Tapped implements fyne.Tappable.
func (h *FoldHeader) Tapped(*fyne.PointEvent) { h.fold.Toggle() }

// Cursor implements desktop.Cursorable.
func (h *FoldHeader) Cursor() desktop.Cursor { return desktop.PointerCursor }

// FocusGained implements fyne.Focusable.
func (h *FoldHeader) FocusGained() { h.paint(theme.Accent) }

// FocusLost implements fyne.Focusable.
func (h *FoldHeader) FocusLost() { h.paint(theme.Muted) }

// TypedRune implements fyne.Focusable; nothing is typed into it.
func (h *FoldHeader) TypedRune(rune) {}

// TypedKey opens and closes with Enter and Space.
func (h *FoldHeader) TypedKey(k *fyne.KeyEvent) {
	switch k.Name {
	case fyne.KeySpace, fyne.KeyReturn, fyne.KeyEnter:
		h.fold.Toggle()
	default:
		if h.fold.OnKey != nil {
			h.fold.OnKey(k)
		}
	}
}

func (h *FoldHeader) paint(c fyne.ThemeColorName) {
	h.title.Color, h.glyph.Color = c, c
	h.title.Refresh()
	h.glyph.Refresh()
}

// CreateRenderer implements fyne.Widget.
func (h *FoldHeader) CreateRenderer() fyne.WidgetRenderer {
	return widget.NewSimpleRenderer(Inset(2, 2, 0, 6, HBox(4, Middle(h.glyph), Middle(h.title))))
}
