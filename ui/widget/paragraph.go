package widget

import (
	"strings"
	"unicode"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
)

// NewParagraph returns a text wrapped to lines of at most width, in as many lines as it
// takes up to most (0: as many as it needs); the last one is cut if more would be needed.
// Japanese breaks between any two characters, other scripts between words.
func NewParagraph(s string, points float32, bold bool, c fyne.ThemeColorName, width float32, most int) *fyne.Container {
	lines := Wrap(s, points, fyne.TextStyle{Bold: bold}, width)
	if most > 0 && len(lines) > most {
		lines[most-1] = strings.Join(lines[most-1:], " ")
		lines = lines[:most]
	}
	box := container.New(column{})
	for _, l := range lines {
		box.Add(NewElided(l, points, bold, c, CutEnd))
	}
	return box
}

// Wrap breaks s into lines that are no wider than width.
func Wrap(s string, points float32, style fyne.TextStyle, width float32) []string {
	var lines []string
	line := ""
	for _, piece := range pieces(s) {
		if line != "" && fyne.MeasureText(line+strings.TrimRight(piece, " "), points, style).Width > width {
			lines = append(lines, strings.TrimRight(line, " "))
			line = strings.TrimLeft(piece, " ")
			continue
		}
		line += piece
	}
	return append(lines, strings.TrimRight(line, " "))
}

// pieces splits s where a line may break: after spaces, and around wide characters but
// not before closing punctuation.
func pieces(s string) []string {
	var out []string
	start := 0
	r := []rune(s)
	for i := 1; i < len(r); i++ {
		if strings.ContainsRune("、。）」』・ーっゃゅょ,.!?)", r[i]) || strings.ContainsRune("（「『", r[i-1]) {
			continue
		}
		if r[i-1] == ' ' || wide(r[i-1]) || wide(r[i]) {
			out = append(out, string(r[start:i]))
			start = i
		}
	}
	return append(out, string(r[start:]))
}

func wide(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana) || strings.ContainsRune("、。「」『』（）・ー", r)
}
