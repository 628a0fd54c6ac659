// Package process says who: it knows every process of the machine from the kernel's
// exec, fork and exit events, and stays complete for processes that are gone by the
// time anybody looks.
//
// It is not for deciding anything, and it asks the kernel nothing: the events come
// from package bpf by way of the caller, and /proc is read only for what ran before
// the first event, for facts that no event carries, and for checksums. What is read
// there is tied to the process by its start time, before and after.
//
// What a process says of itself is not proof. The path and the Executable come from
// the kernel at exec; a Process whose Executable is zero was found in /proc alone,
// where an ordinary user can name any file as its own, and must not be given what a
// rule gives to that path. Arguments are those of the execve call; see Script for
// what they cannot promise.
//
// Where a program came from is proven by its executable alone: Packages, and App without
// OwnApp, are about a file that only root could have put where it is, found by its identity
// and by its file system. A sandbox's word, a unit of the user's manager, the mark of a
// download and who wrote a file can all be made by the user's programs: they are for
// showing, for warnings, and for rules that block.
//
// Goroutines: the package starts none. Exec, Fork, Exit and Seed are called one at a
// time, in the order of the events; everything else may be called from any goroutine at
// any moment.
package process
