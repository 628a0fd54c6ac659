package server

import (
	"os"
	"path/filepath"
	"testing"

	"sekisho/app/flow"
)

func TestAccounts(t *testing.T) {
	dir := t.TempDir()
	a := accounts{passwd: filepath.Join(dir, "passwd"), group: filepath.Join(dir, "group"), admins: "sekisho"}
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(a.passwd, `# people
root:x:0:0:root:/root:/bin/sh
ann:x:1000:1000::/home/ann:/bin/sh
bob:x:1001:700::/home/bob:/bin/sh
eve:x:1002:1002::/home/eve:/bin/sh
1000:x:1003:1003::/home/odd:/bin/sh
broken
`)
	write(a.group, `root:x:0:
sekisho:x:700:ann,carl
others:x:1002:eve,1004
sekishox:x:701:eve
`)
	for _, c := range []struct {
		uid, gid uint32
		user     string
		admin    bool
	}{
		{0, 0, "root", true},
		{1000, 1000, "ann", true},  // listed as a member
		{1001, 700, "bob", true},   // by the primary group
		{1001, 1001, "bob", true},  // the same, whatever the process runs with
		{1002, 1002, "eve", false}, // in other groups
		{1002, 700, "eve", true},   // the kernel says that the group was entered (newgrp)
		{1003, 1003, "1003", false},
		{1004, 1004, "1004", false}, // no account, so no member by name either
	} {
		if user, admin := a.lookup(c.uid, c.gid); user != c.user || admin != c.admin {
			t.Errorf("%d:%d is %s, admin %v; want %s, %v", c.uid, c.gid, user, admin, c.user, c.admin)
		}
	}
	// A group that loses a member, or a database that cannot be read, gives no rights.
	write(a.group, "sekisho:x:700:carl\n")
	if _, admin := a.lookup(1000, 1000); admin {
		t.Error("ann left the group and is still an administrator")
	}
	a.group = filepath.Join(dir, "nothing")
	if _, admin := a.lookup(1001, 700); admin {
		t.Error("administrator without a database")
	}
	if user, admin := a.lookup(0, 0); user != "root" || !admin {
		t.Error("root is not an administrator")
	}
}

func TestPeer(t *testing.T) {
	ann := Peer{UID: 1000, User: "ann"}
	for user, want := range map[string]bool{"ann": true, "1000": true, "01000": true, "": false, "root": false, "0": false, "1001": false} {
		if got := ann.Is(user); got != want {
			t.Errorf("ann is %q: %v", user, got)
		}
	}
	kernel := flow.Flow{Process: &flow.Process{UID: 1000, Kernel: true}}
	if ann.Sees(kernel) || ann.Sees(flow.Flow{}) || nobody.Sees(flow.Flow{Process: &flow.Process{}}) {
		t.Error("sees what is nobody's")
	}
	if !(Peer{Admin: true}).Sees(flow.Flow{}) {
		t.Error("an administrator does not see a flow of nobody")
	}
}
