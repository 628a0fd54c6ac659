package flow

import "time"

// Integrity says whether a file still is what its package installed.
type Integrity string

const (
	UnknownIntegrity Integrity = ""
	Intact           Integrity = "intact"
	Modified         Integrity = "modified"
)

// Provenance is where a program's file came from, beside what Program has: facts for a
// person to see. Empty is unknown.
type Provenance struct {
	// File is the one that all else is about: the script that the program runs, else its
	// executable. Empty if the program is code that is in no file.
	File string
	// Appeared is when the file came to be at its place, or was last written to.
	Appeared time.Time
	// Writable is the nearest file or folder, the file itself first and then upwards, that
	// the program's user could write to: who can may put another file in its place.
	Writable string
	// Writer wrote the file, as far as that was seen.
	Writer *Writer
	// Origin is where a program that fetched the file says that it came from: a web page's
	// host. Any program of the user may have set it.
	Origin string
}

// Writer is the program that wrote a file.
type Writer struct {
	Path  string // its executable
	Name  string // as Program.DisplayName
	At    time.Time
	Fresh bool // the writer's own file was new, and from no package
}
