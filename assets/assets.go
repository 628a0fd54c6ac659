// Package assets holds what the tray app shows and says but does not compute: glyphs,
// tray icons and translations, embedded into the program. It draws nothing and chooses
// no language.
package assets

import (
	"embed"
	"strings"
)

//go:embed glyphs/*.svg tray/*.png translations/*.json
var files embed.FS

// Languages lists the codes that there is a translation for.
func Languages() []string { return []string{"en", "ja"} }

// Translation is the JSON file of a language; nil if there is none.
func Translation(language string) []byte { return read("translations/" + language + ".json") }

// Glyph is the inside of a drawing of 24 by 24, strokes only: what is between <svg …>
// and </svg>. Empty if there is no such glyph.
func Glyph(name string) string {
	svg := string(read("glyphs/" + name + ".svg"))
	start := strings.Index(svg, ">")
	end := strings.LastIndex(svg, "</svg>")
	if start < 0 || end < start {
		return ""
	}
	return svg[start+1 : end]
}

// Tray is the PNG of a tray icon: "asking", "quiet", "paused", "lockdown", "off" or
// "waiting"; nil if there is no such icon.
func Tray(state string) []byte { return read("tray/" + state + ".png") }

func read(name string) []byte {
	b, err := files.ReadFile(name)
	if err != nil {
		return nil
	}
	return b
}
