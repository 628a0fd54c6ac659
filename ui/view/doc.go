// Package view is what the windows say and in which order, without drawing it: the
// wording of rules, decisions and prompts, the search language, sorting and filtering
// of long lists, and the writing of amounts and times. It imports no Fyne, so all of it
// is tested without a window; sentences come from package text.
//
// Functions here may be called from any goroutine; a list (Connections, Rules) belongs
// to the one that made it, which in the app is Fyne's.
package view
