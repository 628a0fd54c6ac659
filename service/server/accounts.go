package server

import (
	"bufio"
	"os"
	"slices"
	"strconv"
	"strings"
)

// accounts is the account database: two files, read anew for every connection, so that
// somebody who joins or leaves the group of administrators need not sign in again.
type accounts struct {
	passwd, group string // file names
	admins        string // name of the group whose members are administrators
}

// lookup gives the name of the account uid (its number if it has none, or if the name
// is all digits and would be taken for another's number) and whether it
// is an administrator: root, a member by /etc/group, or one whose primary group, by
// /etc/passwd or as the kernel noted it at the connect, is that group. A file that
// cannot be read makes nobody an administrator.
func (a accounts) lookup(uid, gid uint32) (user string, admin bool) {
	number := strconv.FormatUint(uint64(uid), 10)
	name := ""
	groups := []string{strconv.FormatUint(uint64(gid), 10)}
	entries(a.passwd, 4, func(f []string) bool { // name:password:uid:gid:…
		if f[2] != number {
			return true
		}
		name = f[0]
		groups = append(groups, f[3])
		return false
	})
	user = name
	if strings.Trim(name, "0123456789") == "" {
		user = number
	}
	if uid == 0 {
		return user, true
	}
	entries(a.group, 4, func(f []string) bool { // name:password:gid:member,member
		if f[0] != a.admins || a.admins == "" {
			return true
		}
		admin = slices.Contains(groups, f[2]) || name != "" && slices.Contains(strings.Split(f[3], ","), name)
		return false
	})
	return user, admin
}

// entries calls f with the fields of each line that has at least n, until it returns
// false.
func entries(file string, n int, f func([]string) bool) {
	r, err := os.Open(file)
	if err != nil {
		return
	}
	defer r.Close()
	for s := bufio.NewScanner(r); s.Scan(); {
		line := s.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		if fields := strings.Split(line, ":"); len(fields) >= n && !f(fields) {
			return
		}
	}
}
