package process

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"

	"os"

	"golang.org/x/sys/unix"

	"sekisho/app/flow"
)

// acl is a POSIX access control list: who beside the owner may do what.
type acl []aclEntry

type aclEntry struct {
	tag, perm uint16
	id        uint32
}

// Tags of <linux/posix_acl.h>.
const (
	aclUser     = 0x02
	aclGroupObj = 0x04
	aclGroup    = 0x08
	aclMask     = 0x10
	aclOther    = 0x20

	aclWrite = 2
)

// accessList reads a file's, nil if it has none.
func accessList(path string) acl {
	var b [4 + 8*128]byte
	n, err := unix.Getxattr(path, "system.posix_acl_access", b[:])
	if err != nil {
		return nil
	}
	return parseACL(b[:n])
}

// parseACL reads the form in which the kernel gives it: a version, then the entries.
func parseACL(b []byte) acl {
	if len(b) < 4 || binary.LittleEndian.Uint32(b) != 2 {
		return nil
	}
	var l acl
	for b = b[4:]; len(b) >= 8; b = b[8:] {
		l = append(l, aclEntry{binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:]), binary.LittleEndian.Uint32(b[4:])})
	}
	return l
}

// mayWrite is for an account that is not the owner: its own entry decides, else those of
// its groups, else that for others; all but the last within the mask.
func (l acl) mayWrite(group, uid uint32, groups []uint32) bool {
	mask, other := uint16(7), false
	own, some := -1, false // the account's own entry; its groups'
	may := false
	for i, e := range l {
		switch {
		case e.tag == aclMask:
			mask = e.perm
		case e.tag == aclOther:
			other = e.perm&aclWrite != 0
		case e.tag == aclUser && e.id == uid:
			own = i
		case e.tag == aclGroupObj && slices.Contains(groups, group), e.tag == aclGroup && slices.Contains(groups, e.id):
			some = true
			may = may || e.perm&aclWrite != 0
		}
	}
	switch {
	case own >= 0:
		return l[own].perm&mask&aclWrite != 0
	case some:
		return may && mask&aclWrite != 0
	}
	return other
}

// groups are those that a process is in; of one that is gone, its user's own alone.
func (t *Tracker) groups(p *flow.Process) []uint32 {
	b, err := os.ReadFile(t.proc.file(p.PID, "status"))
	if err != nil || !t.proc.is(p.ProcessID) {
		return []uint32{p.UID}
	}
	var all []uint32
	for line := range strings.Lines(string(b)) {
		name, rest, _ := strings.Cut(line, ":")
		if name != "Gid" && name != "Groups" {
			continue
		}
		for word := range strings.FieldsSeq(rest) {
			if n, err := strconv.ParseUint(word, 10, 32); err == nil {
				all = append(all, uint32(n))
			}
		}
	}
	return all
}
