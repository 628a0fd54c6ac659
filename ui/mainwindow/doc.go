// Package mainwindow is the window that is not a prompt: a side bar, a page at a time
// (live connections, rules), and a strip that says whether the firewall protects. It
// draws; what it says and in which order comes from package view, and it holds nothing
// that the service doesn't know.
//
// Pages are rows of the table in pages.go: another page is another file and another row.
//
// Everything that is drawn belongs to Fyne's goroutine. Run owns two goroutines, one
// that makes calls of the service in the order in which they were asked for and one
// that follows the connections; both hand their results over with fyne.Do. While the
// window is hidden nothing is followed and nothing is drawn.
package mainwindow
