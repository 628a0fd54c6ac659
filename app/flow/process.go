package flow

import "path/filepath"

// Executable is the identity of a program file as the kernel saw it when it was
// executed. A path is never identity: bind mounts, overlays and renames lie.
type Executable struct {
	Inode      uint64 // struct inode i_ino
	Ctime      int64  // seconds of the inode's change time
	CtimeNano  uint32 // nanoseconds, masked with 0x3fffffff (6.13+ keeps a flag in bit 31)
	Device     uint32 // kernel dev_t: major<<20 | minor
	Generation uint32 // struct inode i_generation
}

// IsZero reports whether the identity is unknown.
func (e Executable) IsZero() bool { return e == Executable{} }

// Program is what a person calls a program: the file that was executed, or the
// script behind an interpreter, with what is known of where it came from. Empty
// fields are unknown, never guessed.
type Program struct {
	Executable Executable
	Path       string    // absolute path of the executable file, for showing and for rules
	Name       string    // friendly name from a root-owned desktop entry, else the file's name
	Icon       string    // icon name or absolute file name from that desktop entry
	Script     string    // absolute path of the script that an interpreter runs
	Inline     bool      // an interpreter runs code from -c, -m, -e or standard input: no script's rule is its rule
	Replaced   bool      // another file than the one that rules for Path were made for: they allow it nothing
	Package    string    // that installed the executable
	Integrity  Integrity // of the executable; unknown until somebody needs it
	// App is the application that the program is part of: a Flatpak's id, which has dots, a
	// Snap's name, which has none, or the absolute path of an AppImage's file.
	App       string
	OwnApp    bool   // the user can make any program be part of it
	Container string // runtime:name of the container that it runs in, such as docker:2f1a…
	Unit      string // systemd unit
	OwnUnit   bool   // the unit is of the user's own manager: the user names units and puts into them whatever they like
	SHA256    string
}

// Key names the program as rules and learnt names tell programs apart: the path of
// its executable and, for an interpreter, the script.
func (p Program) Key() string {
	if p.Script != "" {
		return p.Path + "\x00" + p.Script
	}
	return p.Path
}

// DisplayName is what the program is called on screen: the script's file name if it
// runs one, else the friendly name, else the file's name.
func (p Program) DisplayName() string {
	switch {
	case p.Script != "":
		return filepath.Base(p.Script)
	case p.Name != "":
		return p.Name
	case p.Path != "":
		return filepath.Base(p.Path)
	}
	return ""
}

// Paths of what sends packets without being a program of a file: rules name it by them.
const (
	KernelPath    = "kernel"    // what the kernel itself sends and answers
	ForwardedPath = "forwarded" // what this machine passes on for others
)

// IsFile reports whether the program is one that was executed from a file.
func (p Program) IsFile() bool {
	return p.Path != "" && p.Path != KernelPath && p.Path != ForwardedPath
}

// ProcessID names one process for the time that the machine runs: numbers are
// reused, a number together with its start is not. Start is in nanoseconds since
// boot on CLOCK_BOOTTIME (task_struct.start_boottime).
type ProcessID struct {
	PID   uint32
	Start uint64
}

// Ancestor is a process that a process descends from, the nearest first.
type Ancestor struct {
	ProcessID
	Path string
	Name string // as Program.DisplayName
}

// Process is one running, or already gone, instance of a Program.
type Process struct {
	ProcessID
	Program
	UID     uint32
	User    string // the account's name; empty if it has none
	Args    []string
	Dir     string // working folder
	Cgroup  string // path of its cgroup, from the root of cgroup v2
	Parents []Ancestor
	Kernel  bool // traffic that the kernel itself makes
	// ExecID tells the executions of one process apart (task_struct.self_exec_id): it may
	// run one file twice, with other scripts. Zero is unknown.
	ExecID uint32
}
