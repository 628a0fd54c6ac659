package engine

import (
	"testing"

	"sekisho/app/flow"
)

// A preset that is for a program as one account runs it says nothing of the others who run
// the same file, not even where it has just been.
func TestPresetOfAccount(t *testing.T) {
	w := newWorld(t)
	system := w.program("http")
	exe := system.Executable
	system.Path, system.UID, system.User = "/usr/lib/apt/methods/http", 0, "root"
	w.kernel.files[system.Path] = exe
	person := *system
	person.PID, person.UID, person.User = system.PID+1000, 1000, "ann"
	w.processes.all[person.ProcessID] = &person
	w.is(w.send(to(w.socket(system), flow.TCP, "192.0.2.1:80")), "accepted")
	w.is(w.send(to(w.socket(&person), flow.TCP, "192.0.2.1:80")), "held")
}
