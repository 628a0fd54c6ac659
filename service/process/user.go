package process

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Users names accounts from a passwd file, which it reads again when it has changed.
// Accounts that only the name service switch knows (LDAP, systemd-homed) have no name
// here. Its methods may be called from any goroutine.
type Users struct {
	path string

	mu      sync.Mutex
	names   map[uint32]string
	changed time.Time // mtime of what was read
	size    int64
}

// maxPasswd bounds what is read of the file.
const maxPasswd = 16 << 20

// NewUsers names accounts from the passwd file at path.
func NewUsers(path string) *Users { return &Users{path: path} }

// Name is the account's name, or "" if there is none.
func (u *Users) Name(uid uint32) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	info, err := os.Stat(u.path)
	if err != nil || info.Size() > maxPasswd {
		return u.names[uid]
	}
	if u.names == nil || !info.ModTime().Equal(u.changed) || info.Size() != u.size {
		if b, err := os.ReadFile(u.path); err == nil {
			u.names, u.changed, u.size = parsePasswd(string(b)), info.ModTime(), info.Size()
		}
	}
	return u.names[uid]
}

// parsePasswd keeps the first name of each number, as the C library does.
func parsePasswd(s string) map[uint32]string {
	names := map[uint32]string{}
	for line := range strings.Lines(s) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) < 7 || f[0] == "" || strings.HasPrefix(f[0], "#") {
			continue
		}
		uid, err := strconv.ParseUint(f[2], 10, 32)
		if err != nil {
			continue
		}
		if _, taken := names[uint32(uid)]; !taken {
			names[uint32(uid)] = f[0]
		}
	}
	return names
}
