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
	// Package that installed File; of a script another one than the program's.
	Package string
	// Gone: there is no such file any more.
	Gone bool
	// Appeared is when the file came to be, or was last written to.
	Appeared time.Time
	// Writable is the nearest of the file and the folders above it that the program's user
	// can write to: who can may put another file in its place. Empty for root.
	Writable string
	// Writer wrote the file, as far as that was seen.
	Writer *Writer
	// Origin is the host that the file was fetched from, by the word of what fetched it: any
	// program of the user may have written that.
	Origin string
}

// Writer is the program that wrote a file.
type Writer struct {
	Path  string // its executable
	Name  string // as Program.DisplayName
	At    time.Time
	Fresh bool // the writer was itself a fresh program when it wrote
}

// Day is how long a program is fresh.
const Day = 24 * time.Hour

// Fresh reports whether the file appeared within the last day, from no package, where the
// program's user can write: nobody but that user's programs has to do with it.
func (p *Provenance) Fresh(now time.Time) bool {
	return p.File != "" && p.Package == "" && p.Writable != "" && !p.Appeared.IsZero() && now.Sub(p.Appeared) < Day
}
