package widget

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"

	"sekisho/ui/theme"
)

// Tile is a program's icon, or the tinted glyph that stands in for it, made to be set
// again and again by the rows of a long list: what doesn't change costs nothing. Its
// Objects are for the renderer of the row.
type Tile struct {
	back  *canvas.Rectangle
	image *canvas.Image
	px    float32
	shown tileFace
}

// tileFace is all that a tile's looks depend on.
type tileFace struct {
	name, glyph string
	known       bool
	icon        fyne.Resource
	plate       color.Color
	scale       float32 // pixels to a unit: a row is first set before it is on a canvas
}

// MakeTile returns an empty tile of px by px.
func MakeTile(px float32) *Tile {
	t := &Tile{back: canvas.NewRectangle(color.Transparent), image: &canvas.Image{FillMode: canvas.ImageFillContain}, px: px}
	t.back.CornerRadius = px * .24
	t.back.Resize(fyne.NewSquareSize(px))
	return t
}

// Set shows icon, or if that is nil the glyph on the tint of name.
func (t *Tile) Set(name, glyph string, known bool, icon fyne.Resource) {
	face := tileFace{name, glyph, known, icon, theme.Of(theme.IconTile), strokePx(t.back, 24, 1)}
	if face == t.shown {
		return
	}
	t.shown = face
	inner := t.px * .62
	if icon != nil {
		inner = t.px * .76
		t.back.FillColor = face.plate
		t.image.Resource = icon
	} else {
		t.back.FillColor = Tint(name, known)
		t.image.Resource = Glyph(glyph, theme.Of(theme.OnAccent), strokePx(t.back, 2, inner))
	}
	t.image.Resize(fyne.NewSquareSize(inner))
	t.Move(t.back.Position())
	t.back.Refresh()
	t.image.Refresh()
}

// Move puts the tile's corner at p.
func (t *Tile) Move(p fyne.Position) {
	t.back.Move(p)
	t.image.Move(p.AddXY((t.px-t.image.Size().Width)/2, (t.px-t.image.Size().Height)/2))
}

// Fade makes the tile as pale as what it stands for is inactive.
func (t *Tile) Fade(off bool) {
	pale := 0.0
	if off {
		pale = .55
	}
	c := color.NRGBAModel.Convert(t.back.FillColor).(color.NRGBA)
	if c.A = uint8(255 * (1 - pale)); t.image.Translucency != pale || c != t.back.FillColor {
		t.back.FillColor, t.image.Translucency = c, pale
		t.back.Refresh()
		t.image.Refresh()
	}
}

// Objects are what the tile is drawn with, the lowest first.
func (t *Tile) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{t.back, t.image} }

// Mark is a glyph in a colour for the rows of a long list, as Tile is.
type Mark struct {
	*canvas.Image
	name  string
	color color.Color
	scale float32
}

// MakeMark returns an empty mark of px by px.
func MakeMark(px float32) *Mark {
	m := &Mark{Image: &canvas.Image{FillMode: canvas.ImageFillContain}}
	m.Image.Resize(fyne.NewSquareSize(px))
	return m
}

// Set shows a glyph.
func (m *Mark) Set(name string, c fyne.ThemeColorName) {
	shade, scale := theme.Of(c), strokePx(m.Image, 24, 1)
	if m.name == name && m.color == shade && m.scale == scale {
		return
	}
	m.name, m.color, m.scale = name, shade, scale
	m.Resource = Glyph(name, shade, strokePx(m.Image, 2, m.Size().Width))
	m.Refresh()
}
