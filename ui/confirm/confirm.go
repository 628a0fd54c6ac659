// Package confirm is a small window that asks whether something that weakens the
// firewall is really meant. Everything here belongs to Fyne's goroutine.
package confirm

import (
	"fyne.io/fyne/v2"

	"sekisho/ui/text"
	"sekisho/ui/theme"
	"sekisho/ui/widget"
)

const width float32 = 420

// Question is what is asked.
type Question struct {
	Title string
	Text  string
	Yes   string // what the button that does it says
	Do    func()
}

// Content is the inside of the window; done is called after either button.
func Content(q Question, done func()) fyne.CanvasObject {
	yes := widget.NewBtn(q.Yes, "", theme.OnAccent, theme.AllowFill, theme.AllowHover, func() {
		done()
		q.Do()
	})
	yes.NoKeys = true // a key that was meant for something else must not weaken anything
	no := widget.NewBtn(text.T("confirm.cancel"), "Esc", theme.Foreground, theme.Neutral, theme.NeutralHov, done)
	escape := func(k *fyne.KeyEvent) {
		if k.Name == fyne.KeyEscape {
			done()
		}
	}
	yes.OnKey, no.OnKey = escape, escape
	inner := width - 40
	column := widget.VBox(
		widget.NewParagraph(q.Title, theme.Large, true, theme.Foreground, inner, 3), widget.Gap(8),
		widget.NewParagraph(q.Text, theme.Normal, false, theme.Foreground, inner, 8), widget.Gap(18),
		widget.Halves(10, no, yes),
	)
	return widget.NewWindowContent(width, widget.Inset(18, 18, 20, 20, column))
}

// Show opens the window.
func Show(app fyne.App, q Question) {
	w := app.NewWindow(q.Title)
	w.SetPadded(false)
	w.SetFixedSize(true)
	w.CenterOnScreen()
	w.SetContent(Content(q, w.Close))
	w.Canvas().SetOnTypedKey(func(k *fyne.KeyEvent) {
		if k.Name == fyne.KeyEscape {
			w.Close()
		}
	})
	w.Show()
}
