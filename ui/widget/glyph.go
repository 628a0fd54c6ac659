package widget

import (
	"fmt"
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"

	"sekisho/assets"
	"sekisho/ui/theme"
)

// Glyph is one of the drawings in assets/glyphs in a colour. Fyne caches rendered SVGs
// by name, so the name carries the colour; it does not scale stroke widths, so stroke is
// in device pixels.
func Glyph(name string, c color.Color, stroke float32) fyne.Resource {
	n := color.NRGBAModel.Convert(c).(color.NRGBA)
	hex := fmt.Sprintf("#%02x%02x%02x", n.R, n.G, n.B)
	opacity := float32(n.A) / 255
	svg := fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24" viewBox="0 0 24 24" fill="none" stroke="%s" stroke-opacity="%.2f" stroke-width="%.1f" stroke-linecap="round" stroke-linejoin="round">%s</svg>`,
		hex, opacity, stroke, assets.Glyph(name))
	return fyne.NewStaticResource(fmt.Sprintf("sekisho-%s-%s-%02x-%.1f.svg", name, hex[1:], n.A, stroke), []byte(svg))
}

// GlyphIcon is a glyph in a theme colour.
type GlyphIcon struct {
	widget.BaseWidget
	Name   string
	Color  fyne.ThemeColorName
	Px     float32 // width and height
	Stroke float32 // of the 24 by 24 drawing
}

// NewGlyph returns a glyph of px by px.
func NewGlyph(name string, c fyne.ThemeColorName, px float32) *GlyphIcon {
	g := &GlyphIcon{Name: name, Color: c, Px: px, Stroke: 1.8}
	g.ExtendBaseWidget(g)
	return g
}

// CreateRenderer implements fyne.Widget.
func (g *GlyphIcon) CreateRenderer() fyne.WidgetRenderer {
	r := &glyphRenderer{g: g, i: &canvas.Image{FillMode: canvas.ImageFillContain}}
	r.Refresh()
	return r
}

type glyphRenderer struct {
	g *GlyphIcon
	i *canvas.Image
}

func (r *glyphRenderer) Destroy()                     {}
func (r *glyphRenderer) MinSize() fyne.Size           { return fyne.NewSquareSize(r.g.Px) }
func (r *glyphRenderer) Layout(s fyne.Size)           { r.Refresh(); r.i.Resize(s) }
func (r *glyphRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.i} }
func (r *glyphRenderer) Refresh() {
	r.i.Resource = Glyph(r.g.Name, theme.Of(r.g.Color), strokePx(r.g, r.g.Stroke, r.g.Px))
	r.i.Refresh()
}

// strokePx is the stroke of a 24 by 24 drawing, in device pixels at a size.
func strokePx(o fyne.CanvasObject, stroke, px float32) float32 {
	scale := float32(1)
	if c := fyne.CurrentApp().Driver().CanvasForObject(o); c != nil {
		scale = c.Scale()
	}
	return max(1, stroke*px*scale/24)
}

// Tint is the colour of the tile of a program without an icon: it follows from the name,
// and is grey if known is false.
func Tint(name string, known bool) color.Color {
	tints := []uint32{0x5B6CF0, 0x0E9F8E, 0xC2571A, 0x9B51C9, 0x3A7D44, 0xB83280}
	n := 0
	for _, r := range name {
		n += int(r)
	}
	if !known {
		return theme.RGB(0x8A919E)
	}
	return theme.RGB(tints[n%len(tints)])
}

// NewTile stands in for a program without an icon: a rounded square in its Tint.
func NewTile(name, glyph string, known bool, px float32) fyne.CanvasObject {
	bg := canvas.NewRectangle(Tint(name, known))
	bg.CornerRadius = px * .24
	bg.SetMinSize(fyne.NewSquareSize(px))
	return container.NewStack(bg, container.NewCenter(NewGlyph(glyph, theme.OnAccent, px*.54)))
}

// NewIcon shows a program's own icon on a light tile, so that dark icons show on dark
// windows.
func NewIcon(icon fyne.Resource, px float32) fyne.CanvasObject {
	im := canvas.NewImageFromResource(icon)
	im.FillMode = canvas.ImageFillContain
	im.SetMinSize(fyne.NewSquareSize(px * .76))
	k := NewCard(im, px*.12)
	k.Fill, k.Radius = theme.IconTile, px*.24
	return k
}
