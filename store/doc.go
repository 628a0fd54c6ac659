// Package store is what the firewall remembers: rules, settings, missed prompts and
// the history of decisions, in two bbolt files that the service alone opens.
//
// It keeps values and gives them back. It does not decide, does not check that a
// rule makes sense, and does not notify: whoever changes a rule tells the rest.
//
// # The files
//
// DIR/sekisho.db holds a bucket for each kind of thing but the history, which may be long
// and has DIR/sekisho.db.history: the service is ready before that is opened. A value is
// a record: the number of the format, a checksum over key and value, and the JSON of a
// struct that belongs to this package, so that the file does not change when the API
// does. Formats change by numbered migrations. bbolt maps its file and trusts what it
// finds there, so every file is read and checked page by page before bbolt sees it.
//
// DIR/sekisho.db.good is the last copy of the first that passed this check; one that does
// not pass is kept as DIR/sekisho.db.broken-TIME and the copy takes its place. Of a damaged
// history what can be read is written into a new one, and it is kept as
// DIR/sekisho.db.history.broken-TIME.
//
// # Goroutines
//
// All methods of a Store may be called from any goroutine at any time; a callback
// that History calls may call the Store too. What a method wrote is on disk when it
// returns. Open starts nothing; Run, which refreshes the good copy, is the caller's
// to start and stop. OpenHistory takes its time; what needs the history waits for it.
package store
