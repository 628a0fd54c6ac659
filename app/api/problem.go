package api

import "strings"

// Codes of problems. The service finds them; translations are keyed by them.
const (
	ProblemOff            = "off"
	ProblemLinksDamaged   = "links-damaged"   // the error
	ProblemLinksDetached  = "links-detached"  //
	ProblemPinsDeleted    = "pins-deleted"    //
	ProblemTable          = "table"           // the error
	ProblemTableChanged   = "table-changed"   //
	ProblemTableRemoved   = "table-removed"   //
	ProblemTableContested = "table-contested" //
	ProblemDevices        = "devices"         //
	ProblemFramesUnknown  = "frames-unknown"  // the error
	ProblemFrames         = "frames"          // the programs
	ProblemStoreRestored  = "store-restored"  // of when the copy is
	ProblemStoreEmpty     = "store-empty"     //
	ProblemStoreDamaged   = "store-damaged"   // how many entries
	ProblemHistoryDamaged = "history-damaged" // how many entries could be read
	ProblemFilesNotSaved  = "files-not-saved" // the error
	ProblemMissedNotSaved = "missed-not-saved"
	ProblemNotSaved       = "not-saved"
	ProblemEndedNotSaved  = "ended-not-saved"
	ProblemKernel         = "kernel"
	ProblemWriters        = "writers"  // the error
	ProblemPackages       = "packages" // the error
	ProblemNetworks       = "networks" // the error
	ProblemList           = "list"     // its id and why
	// By what program, where that is known: the value.
	ProblemTableChangedBy   = "table-changed-by"
	ProblemTableRemovedBy   = "table-removed-by"
	ProblemTableContestedBy = "table-contested-by"
)

const (
	restart  = "Restart the service; sekishoctl doctor says more."
	makeRoom = "Make room on the disk; filtering goes on meanwhile."
	lookWho  = "Look which one does that: it runs as root."
	lookNFT  = "Look which one changes nftables; sekishoctl doctor says more."
	complete = "Look whether your rules are complete."
)

// problems say it in English, with $ for the value.
var problems = map[string]struct{ what, do string }{
	ProblemOff:              {"The firewall is switched off: every program may connect.", "sekishoctl mode ask"},
	ProblemLinksDamaged:     {"The firewall's hooks in the kernel are damaged: $", restart},
	ProblemLinksDetached:    {"Another program detached the firewall's hooks from the kernel; they were put back.", lookWho},
	ProblemPinsDeleted:      {"Another program deleted the firewall's files in /sys/fs/bpf; they were put back.", lookWho},
	ProblemTable:            {"Undecided traffic is refused instead of held: $", restart},
	ProblemTableChanged:     {"Another program changed the firewall's nftables rules; they were put back.", lookNFT},
	ProblemTableRemoved:     {"Another program removed the firewall's nftables rules; they were put back.", lookNFT},
	ProblemTableContested:   {"Another program keeps changing the firewall's nftables rules; they are put back each time.", lookNFT},
	ProblemTableChangedBy:   {"Another program ($) changed the firewall's nftables rules; they were put back.", lookNFT},
	ProblemTableRemovedBy:   {"Another program ($) removed the firewall's nftables rules; they were put back.", lookNFT},
	ProblemTableContestedBy: {"Another program ($) keeps changing the firewall's nftables rules; they are put back each time.", lookNFT},
	ProblemDevices:          {"Another program took the firewall's hook from a network device; it was put back.", lookWho},
	ProblemFramesUnknown:    {"Who can send frames past the firewall is not known: $", "sekishoctl doctor says more."},
	ProblemFrames:           {"$ can send frames past the firewall.", "Only programs of root can. End it if you do not trust it, or allow it to connect anywhere."},
	ProblemStoreRestored:    {"The file with the rules could not be used. The copy of $ took its place: what changed after that is lost.", complete},
	ProblemStoreEmpty:       {"The file with the rules could not be used, and there was no good copy of it: rules and settings start empty.", complete},
	ProblemStoreDamaged:     {"Entries of the history or the inbox that were damaged and were removed: $.", complete},
	ProblemHistoryDamaged:   {"The file with the history could not be used. Entries that could be read from it and were kept: $.", "Your rules are complete."},
	ProblemFilesNotSaved:    {"Which files your rules are about is not saved: $", makeRoom},
	ProblemMissedNotSaved:   {"Missed questions are not saved: $", makeRoom},
	ProblemNotSaved:         {"What was decided lately is not saved: $", makeRoom},
	ProblemEndedNotSaved:    {"Rules that have ended are still on the disk: $", "Make room on the disk; they decide nothing meanwhile."},
	ProblemWriters:          {"Who writes a program's file is not seen: $", "Warnings of programs that a browser or a new program saved are missing; everything else works."},
	ProblemPackages:         {"Which packages are installed is not known: $", "Rules for packages may match nothing until that is mended."},
	ProblemNetworks:         {"On which network this machine is isn't known, so each counts as unknown: $", restart},
	ProblemList:             {"A blocklist isn't fresh: $", "The last good copy stays in use; sekishoctl lists says more."},
	ProblemKernel:           {"The kernel does not take decisions: $", restart},
}

// NewProblem is the problem with a code, in English too. Its value is what it is about,
// if the code says so.
func NewProblem(code, value string) Problem {
	p := problems[code]
	return Problem{Code: code, Value: value, What: strings.Replace(p.what, "$", value, 1), Do: p.do}
}

// ProblemCodes are the codes that there are.
func ProblemCodes() []string {
	codes := make([]string, 0, len(problems))
	for c := range problems {
		codes = append(codes, c)
	}
	return codes
}
