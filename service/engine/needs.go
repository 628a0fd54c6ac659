package engine

import (
	"io"
	"net/netip"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/bpf"
	"sekisho/service/traffic"
)

// Kernel holds the answers that the engine makes. bpf.Kernel is one.
type Kernel interface {
	Control() (bpf.Control, error)
	SetControl(bpf.Control) error
	SetProgram(flow.Executable, bpf.ProgramVerdict) error
	SetPrograms(map[flow.Executable]bpf.ProgramVerdict) error
	ForgetProgram(flow.Executable) error
	Programs(func(flow.Executable, bpf.ProgramVerdict)) error
	SetExact(bpf.Subject, bpf.Peer, bpf.Verdict, uint64) error
	ForgetExact(bpf.Subject, bpf.Peer) error
	// LetThrough tells of a connection that passes through: the service let it begin, once
	// or, unless once, as the rules say now.
	LetThrough(from, to netip.AddrPort, once bool) error
	Identify(path string) (flow.Executable, error)
	IdentifyAll(paths []string) (map[string]flow.Executable, error)
	Counters() (bpf.Counters, error)
	// OwnerOfSocket is whose a socket is; false if it is not filtered.
	OwnerOfSocket(cookie uint64) (bpf.Owner, bool)
	traffic.Meter
}

// Socket is an open TCP or UDP socket.
type Socket struct {
	Netns    uint64 // names another network namespace; 0: the service's own
	Cookie   uint64
	Protocol flow.Protocol
	Local    netip.AddrPort
	Remote   netip.AddrPort // without a port if it is not connected
}

// Sockets are the open sockets of the machine, in whichever network namespace.
type Sockets interface {
	// End closes those that which names; their programs see an error at once. It shows
	// which every socket, of each namespace those first that are connected to nobody, and
	// returns how many were closed.
	End(which func(Socket) bool) (int, error)
	// Locals tells the local ends of those open sockets, by cookie.
	Locals(of map[uint64]bool) (map[uint64]netip.AddrPort, error)
}

// Processes says who. process.Tracker is one.
type Processes interface {
	Find(flow.ProcessID) (*flow.Process, bool)
	Running(path string) []flow.ProcessID
	Sum(path string, exe flow.Executable) (string, error)
	Prune(now time.Time)
	// Provenance is where p's file came from; disks may be slow.
	Provenance(p *flow.Process) flow.Provenance
}

// Packages tells which package installed a program. process.Packages is one.
type Packages interface {
	Of(path string) string
	// Check tells whether the file that runs is what its package installed; it may read
	// the whole file.
	Check(path string, exe flow.Executable) flow.Integrity
	// Any reports whether this system has packages that are known.
	Any() bool
}

// Names says to whom. names.Cache is one.
type Names interface {
	Lookup(program string, addr netip.Addr, now time.Time) (string, bool)
	// Chain is the aliases by which name led program to addr.
	Chain(program string, addr netip.Addr, name string) []string
	// Addrs are the addresses that program calls name now.
	Addrs(program, name string, now time.Time) []netip.Addr
}

// Networks says by which network a flow goes. Its methods may be called from any goroutine
// and return at once.
type Networks interface {
	// Of is the profile of the network that a flow goes by; empty if it stays on the machine.
	Of(link int, local, remote netip.Addr) string
	// Profile is that of the network by which what has no other route goes.
	Profile() string
	// Mixed reports whether the ends of a flow alone may not say which profile it has.
	Mixed() bool
	// Here is the networks that the machine is on, the primary first.
	Here() []api.Network
	// SetKnown says which profiles people gave, by network id.
	SetKnown(map[string]string)
}

// Store keeps what is to be remembered. store.Store is one.
type Store interface {
	Rules() ([]rule.Rule, error)
	PutRule(rule.Rule) (rule.Rule, error)
	PutRules([]rule.Rule) ([]rule.Rule, error)
	ReplaceRules([]rule.Rule) ([]rule.Rule, error)
	DeleteRules(ids []string) error
	AddHits(map[string]Use) error
	Load(name string, v any) (bool, error)
	Save(name string, v any) error
	Missed() ([]prompt.Prompt, error)
	PutMissed(...prompt.Prompt) error
	DeleteMissed(ids ...string) error
	AppendFlows([]flow.Flow) error
	// OpenFlows is the flows that were open when they were written last, by an earlier run.
	OpenFlows() ([]flow.Flow, error)
	History(since time.Time, program string, verdict flow.Verdict, limit int, f func(flow.Flow) bool) error
	// Flow finds one in the history by its id.
	Flow(id string) (flow.Flow, bool, error)
	Backup(io.Writer) error
	Restore(io.Reader) error
}

// Use is how often a rule decided, and when last.
type Use struct {
	Hits uint64
	Last time.Time
}

// Held is a packet that the kernel holds; exactly one of its methods is called, once.
type Held interface {
	Accept() error
	Refuse() error
	Drop() error
}

// Packet is a packet of a flow that the kernel could not decide. Of one that comes in the
// owner's cookie is that of the socket that it is for: the listener's.
type Packet struct {
	Owner     bpf.Owner
	Direction flow.Direction
	Protocol  flow.Protocol
	Local     flow.Endpoint
	Remote    flow.Endpoint
	Link      int  // index of the network link by which it came or goes; 0 if that isn't known
	GoesOn    bool // a segment of TCP that begins nothing
	Held      Held // nil: it was refused, since nothing could hold it
}
