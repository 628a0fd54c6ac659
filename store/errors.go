package store

import "errors"

var (
	// ErrNotSaved is in every error of a write that did not reach the disk (full, read
	// only, broken). What was there before is unharmed, and the next write may succeed.
	ErrNotSaved = errors.New("not saved")
	// ErrNotFound is returned for a rule that is not there.
	ErrNotFound = errors.New("no such rule")
	// ErrInUse is returned by Open when another process uses the same folder.
	ErrInUse = errors.New("in use by another service")
	// ErrNewer is returned for a file that a newer version of the program wrote. It is
	// left as it is.
	ErrNewer = errors.New("written by a newer version of Sekisho")
	// ErrBadBackup is in every error of Restore that is the fault of what was given.
	ErrBadBackup = errors.New("not a usable backup")
	// ErrClosed is returned by every method after Close.
	ErrClosed = errors.New("store is closed")

	// errDamaged is in every error that says that a file is not what was once written.
	errDamaged = errors.New("damaged")
)
