package mainwindow

import "fyne.io/fyne/v2"

// page is one entry of the side bar. All methods are called on Fyne's goroutine.
type page interface {
	object() fyne.CanvasObject
	// seen says whether the page is on screen now; one that isn't draws nothing.
	seen(on bool)
	// search puts the cursor into the page's search field.
	search()
	// rulesChanged says that the rules have to be fetched again.
	rulesChanged()
	// tick comes about every half minute while the page is on screen: spans of time that
	// are told in words have changed.
	tick()
}

// A kind of page: key names it in Show and in the translations ("page."+key).
type pageKind struct {
	key, glyph string
	make       func(*Window) page
}

// Names for Show.
const (
	Connections = "connections"
	Rules       = "rules"
)

// pages are the entries of the side bar from top to bottom.
var pages = []pageKind{
	{Connections, "link", func(w *Window) page { return w.connections }},
	{Rules, "list", func(w *Window) page { return newRulesPage(w) }},
}
