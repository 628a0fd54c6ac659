package rule

import (
	"net/netip"
	"time"

	"sekisho/app/flow"
)

// Action is what a rule does with the flows that it matches.
type Action uint8

const (
	Allow Action = iota + 1
	Block
)

// Direction says which flows a rule looks at.
type Direction uint8

const (
	Out Direction = iota
	In
	Both
)

// Origin says how a rule came to be.
type Origin string

const (
	FromAnswer  Origin = "answer"
	FromEditor  Origin = "editor"
	FromCommand Origin = "command"
	FromImport  Origin = "import"
	FromPreset  Origin = "preset"
	FromLearn   Origin = "learn"
)

// Program names the programs that a rule is about; every field that is set must
// match. All empty means any program.
type Program struct {
	Path    string // executable file, absolute
	Script  string // script that the executable runs, absolute
	Package string // that installed the executable
	App     string // as flow.Program.App
	Folder  string // absolute: of the script that the program runs or, if it runs none, of the executable; or one above
	Unit    string // systemd unit
	Parent  string // executable of any ancestor, absolute
	SHA256  string // lower-case hex of the executable file
}

// Remote names the other end; at most one field is set. All empty means any.
type Remote struct {
	Name    string       // exactly this host name
	Domain  string       // this domain and everything below it, without "*."
	Address netip.Addr   // exactly this address
	Network netip.Prefix // masked
	Range   AddrRange
	LAN     bool // the networks that this machine is directly on, private and link-local ones
	List    string
}

// AddrRange is an inclusive range of addresses of one family.
type AddrRange struct{ From, To netip.Addr }

// PortRange is an inclusive range of ports.
type PortRange struct{ From, To uint16 }

// LifetimeKind says when a rule ends.
type LifetimeKind string

const (
	Always LifetimeKind = "always"
	Boot   LifetimeKind = "boot"  // until the machine restarts
	Quit   LifetimeKind = "quit"  // until the program quits
	Until  LifetimeKind = "until" // a span of time
	Once   LifetimeKind = "once"  // for one flow
)

// Lifetime says how long a rule holds.
//
// A span is measured on CLOCK_BOOTTIME, which runs on while the machine sleeps and
// which nobody can set; Until is the same moment on the wall clock, for showing and
// for the case that the machine was restarted in between (Boot then differs).
type Lifetime struct {
	Kind     LifetimeKind
	Boot     string         // boot id (/proc/sys/kernel/random/boot_id) at creation; for Boot, Until and Quit
	Deadline time.Duration  // Until: CLOCK_BOOTTIME of the end
	Until    time.Time      // Until: the end on the wall clock
	Process  flow.ProcessID // Quit: holds for this process and its descendants; zero: for all of the program's
}

// Rule is one decision that a person made, or shipped with the product. A zero
// operand means any.
type Rule struct {
	ID        string
	Enabled   bool
	Action    Action
	Direction Direction
	Program   Program
	User      string // account name or number of the process's user
	Remote    Remote
	Ports     []PortRange // remote ports of outgoing flows, local ports of incoming ones
	Protocol  flow.Protocol
	Network   string // network profile
	Lifetime  Lifetime
	Note      string
	Created   time.Time
	By        string // account that made it
	Origin    Origin
	Hits      uint64
	LastUsed  time.Time
}
