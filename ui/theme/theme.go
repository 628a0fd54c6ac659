// Package theme is how Sekisho looks: its colours in light and dark, its text sizes and
// its fonts. It knows no widget and no page.
//
// A Theme is a value without state that Fyne reads from its own goroutine.
package theme

import (
	"image/color"

	"fyne.io/fyne/v2"
	fynetheme "fyne.io/fyne/v2/theme"
)

// Colour names: Fyne's two that we use most, and our own beside them.
const (
	Background = fynetheme.ColorNameBackground
	Foreground = fynetheme.ColorNameForeground

	Muted       fyne.ThemeColorName = "sekisho.muted"      // text that may be overlooked
	CardFill    fyne.ThemeColorName = "sekisho.card"       // raised surfaces
	CardLine    fyne.ThemeColorName = "sekisho.cardLine"   // their edge, and thin rules
	Track       fyne.ThemeColorName = "sekisho.track"      // sunken surfaces: the groove of a Seg
	Thumb       fyne.ThemeColorName = "sekisho.thumb"      // what moves in a groove
	Selected    fyne.ThemeColorName = "sekisho.selected"   // behind the chosen row of a list
	Hovered     fyne.ThemeColorName = "sekisho.hovered"    // behind the row under the pointer
	GoodMark    fyne.ThemeColorName = "sekisho.goodMark"   // a solid mark that says allowed
	Groove      fyne.ThemeColorName = "sekisho.groove"     // a switch that is off
	Accent      fyne.ThemeColorName = "sekisho.accent"     // the one colour that says "this"
	AccentHover fyne.ThemeColorName = "sekisho.accentHov"  // Accent under the pointer
	OnAccent    fyne.ThemeColorName = "sekisho.onAccent"   // text on Accent, AllowFill and BlockFill
	Neutral     fyne.ThemeColorName = "sekisho.neutral"    // fill of quiet buttons and pills
	NeutralHov  fyne.ThemeColorName = "sekisho.neutralHov" // Neutral under the pointer
	Good        fyne.ThemeColorName = "sekisho.good"
	GoodFill    fyne.ThemeColorName = "sekisho.goodFill"
	Warn        fyne.ThemeColorName = "sekisho.warn"
	WarnFill    fyne.ThemeColorName = "sekisho.warnFill"
	Bad         fyne.ThemeColorName = "sekisho.bad"
	BadFill     fyne.ThemeColorName = "sekisho.badFill"
	BadHover    fyne.ThemeColorName = "sekisho.badHover"
	AllowFill   fyne.ThemeColorName = "sekisho.allow" // the Allow button
	AllowHover  fyne.ThemeColorName = "sekisho.allowHov"
	BlockFill   fyne.ThemeColorName = "sekisho.block" // the Block button, of equal weight
	BlockHover  fyne.ThemeColorName = "sekisho.blockHov"
	IconTile    fyne.ThemeColorName = "sekisho.iconTile" // behind program icons, so that dark ones show
)

// Text sizes in points.
const (
	Huge   float32 = 21
	Large  float32 = 18
	Normal float32 = 14
	Medium float32 = 13
	Small  float32 = 12.5
	Tiny   float32 = 11
)

// shades is a colour in light and in dark, as 0xRRGGBB.
type shades struct{ light, dark uint32 }

var palette = map[fyne.ThemeColorName]shades{
	Background:  {0xF5F6F8, 0x1E2025},
	Foreground:  {0x1A1D23, 0xF0F2F5},
	Muted:       {0x5D6471, 0x9AA1AE},
	CardFill:    {0xFFFFFF, 0x292C33},
	CardLine:    {0xE3E6EB, 0x363A43},
	Track:       {0xE6E9EE, 0x15171B},
	Thumb:       {0xFFFFFF, 0x3B404B},
	Selected:    {0xDCE8FD, 0x2A3A58},
	Hovered:     {0xF3F5F8, 0x30343C},
	GoodMark:    {0x1F9254, 0x2E9E62},
	Groove:      {0xB4BBC7, 0x4A505C},
	Accent:      {0x2563EB, 0x3B82F6},
	AccentHover: {0x1D4FD7, 0x5594F8},
	OnAccent:    {0xFFFFFF, 0xFFFFFF},
	Neutral:     {0xE9ECF1, 0x343842},
	NeutralHov:  {0xDDE1E8, 0x3F444F},
	Good:        {0x187A41, 0x6FD796},
	GoodFill:    {0xE2F5E9, 0x1F3A2B},
	Warn:        {0x8A5300, 0xF6C15C},
	WarnFill:    {0xFDF0D5, 0x40331A},
	Bad:         {0xC2242B, 0xFF8A8A},
	BadFill:     {0xFCE8E8, 0x47262A},
	BadHover:    {0xF9D8D8, 0x572C31},
	AllowFill:   {0x2563EB, 0x2F6FE4},
	AllowHover:  {0x1D4FD7, 0x4A86EE},
	BlockFill:   {0xD12F36, 0xC4373D},
	BlockHover:  {0xB9262D, 0xD64C52},
	IconTile:    {0xFFFFFF, 0xE4E7EC},

	fynetheme.ColorNamePrimary:             {0x2563EB, 0x3B82F6},
	fynetheme.ColorNameHyperlink:           {0x2563EB, 0x6BA3FF},
	fynetheme.ColorNamePlaceHolder:         {0x646B78, 0x9AA1AE},
	fynetheme.ColorNameSeparator:           {0xE3E6EB, 0x363A43},
	fynetheme.ColorNameInputBackground:     {0xFFFFFF, 0x292C33},
	fynetheme.ColorNameInputBorder:         {0xD5DAE2, 0x41464F},
	fynetheme.ColorNameButton:              {0xE9ECF1, 0x343842},
	fynetheme.ColorNameMenuBackground:      {0xFFFFFF, 0x292C33},
	fynetheme.ColorNameOverlayBackground:   {0xFFFFFF, 0x26292F},
	fynetheme.ColorNameHeaderBackground:    {0xF5F6F8, 0x1E2025},
	fynetheme.ColorNameError:               {0xC2242B, 0xFF8A8A},
	fynetheme.ColorNameForegroundOnPrimary: {0xFFFFFF, 0xFFFFFF},
}

// Theme answers Fyne's questions about colours, sizes and fonts.
type Theme struct {
	force *fyne.ThemeVariant
}

// New returns the theme that follows the desktop, or with "light" or "dark" always
// that one.
func New(name string) *Theme {
	light, dark := fynetheme.VariantLight, fynetheme.VariantDark
	switch name {
	case "light":
		return &Theme{force: &light}
	case "dark":
		return &Theme{force: &dark}
	}
	return &Theme{}
}

// Color implements fyne.Theme.
func (t *Theme) Color(n fyne.ThemeColorName, v fyne.ThemeVariant) color.Color {
	if t.force != nil {
		v = *t.force
	}
	dark := v == fynetheme.VariantDark
	if s, ok := palette[n]; ok {
		if dark {
			return RGB(s.dark)
		}
		return RGB(s.light)
	}
	switch n {
	case fynetheme.ColorNameFocus:
		return color.NRGBA{R: 0x3B, G: 0x82, B: 0xF6, A: 110}
	case fynetheme.ColorNameSelection:
		return color.NRGBA{R: 0x3B, G: 0x82, B: 0xF6, A: 70}
	case fynetheme.ColorNameShadow: // also at the end of what can be scrolled
		if dark {
			return color.NRGBA{A: 70}
		}
		return color.NRGBA{A: 22}
	case fynetheme.ColorNameHover:
		if dark {
			return color.NRGBA{R: 0xFF, G: 0xFF, B: 0xFF, A: 14}
		}
		return color.NRGBA{A: 10}
	}
	return fynetheme.DefaultTheme().Color(n, v)
}

// Font implements fyne.Theme. Fyne's own font is kept: Japanese falls back to the
// system's fonts, which costs 85 MB less memory than a Japanese theme font.
func (t *Theme) Font(s fyne.TextStyle) fyne.Resource { return fynetheme.DefaultTheme().Font(s) }

// Icon implements fyne.Theme.
func (t *Theme) Icon(n fyne.ThemeIconName) fyne.Resource { return fynetheme.DefaultTheme().Icon(n) }

// Size implements fyne.Theme.
func (t *Theme) Size(n fyne.ThemeSizeName) float32 {
	switch n {
	case fynetheme.SizeNameText:
		return Normal
	case fynetheme.SizeNameInputRadius, fynetheme.SizeNameSelectionRadius:
		return 8
	}
	return fynetheme.DefaultTheme().Size(n)
}

// RGB is an opaque colour from 0xRRGGBB.
func RGB(v uint32) color.NRGBA {
	return color.NRGBA{R: uint8(v >> 16), G: uint8(v >> 8), B: uint8(v), A: 255}
}

// Of is the colour that name has now, in the running app's theme.
func Of(name fyne.ThemeColorName) color.Color {
	s := fyne.CurrentApp().Settings()
	return s.Theme().Color(name, s.ThemeVariant())
}
