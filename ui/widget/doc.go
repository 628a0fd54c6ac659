// Package widget holds the building blocks that Sekisho's windows are made of, drawn
// over Fyne's canvas because Fyne's own look plainer or weigh more: text that elides,
// segmented controls, buttons that can be inert, pills, cards, folds. They know nothing
// of firewalls and contain no wording.
//
// Everything here belongs to Fyne's goroutine.
package widget
