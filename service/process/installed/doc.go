// Package installed knows which files the system's package managers put on the disk,
// and what was in them: from the databases of dpkg, rpm, pacman and apk, read as files.
// None of their tools is ever started, nothing of theirs is locked or written.
//
// It is not for judging: a database says what was installed at a path, not whether the
// file that runs is the one at that path, nor who may have replaced it. Package process
// asks that.
//
// Of rpm's databases the two that it writes today are read: sqlite and ndb. BerkeleyDB
// is not; distributions that still use it have kernels older than the firewall needs.
//
// Goroutines: the package starts none. Every method may be called from any.
package installed
