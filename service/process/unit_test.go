package process

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestUnit(t *testing.T) {
	for cgroup, want := range map[string]string{
		"":                                       "",
		"/":                                      "",
		"/system.slice/cups.service":             "cups.service",
		"/system.slice/foo.service/payload/deep": "foo.service",
		"/system.slice/foo.service/fake.service": "foo.service",
		"/system.slice/system-getty.slice/getty@tty1.service": "getty@tty1.service",
		"/init.scope": "init.scope",
		"/user.slice/user-1000.slice/session-2.scope":                                           "session-2.scope",
		"/user.slice/user-1000.slice/user@1000.service/app.slice/app-firefox-123.scope":         "app-firefox-123.scope",
		"/user.slice/user-1000.slice/user@1000.service/app.slice/app-firefox\\x2desr-123.scope": "app-firefox-esr-123.scope",
		"/user.slice/user-1000.slice/user@1000.service/init.scope":                              "init.scope",
		"/user.slice/user-1000.slice/user@1000.service":                                         "user@1000.service",
		"/user.slice/user-1000.slice/user@1000.service/app.slice/x.service/sub":                 "x.service",
		"/system.slice/_cgroup.service":                                                         "cgroup.service",
		"/system.slice/a\\x2fb\\x00.service":                                                    "a\\x2fb\\x00.service",
		"/system.slice/a\\xff.service":                                                          "a\\xff.service",
		"/docker/abc/system.slice/evil.service":                                                 "",
		"/sekisho-lab":                                                                          "",
	} {
		got, own := Unit(cgroup)
		if got != want || own != (strings.Contains(cgroup, "user@1000.service/") && want != "user@1000.service") {
			t.Errorf("%s: %q, own %v, want %q", cgroup, got, own, want)
		}
	}
}

func TestCgroupMount(t *testing.T) {
	file := write(t, filepath.Join(t.TempDir(), "mountinfo"), strings.Join([]string{
		"40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd",
		"42 31 0:38 /part /elsewhere rw,relatime - cgroup2 cgroup2 rw",
		`41 31 0:38 / /sys/fs/cg\040roup rw,relatime shared:9 - cgroup2 cgroup2 rw`, ""}, "\n"), 0o644)
	if got := cgroupMount(file); got != "/sys/fs/cg roup" {
		t.Errorf("mount %q", got)
	}
}

// The machine's own cgroup v2, with a cgroup made for this test.
func TestCgroups(t *testing.T) {
	mount := cgroupMount("/proc/self/mountinfo")
	if mount == "" {
		t.Fatal("no cgroup v2 on this machine")
	}
	dir, err := os.MkdirTemp(mount, "sekisho-process-test-") //nolint:usetesting // a cgroup is made where cgroups are
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(dir)
	sub := filepath.Join(dir, "foo.service")
	if err := os.Mkdir(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(sub)
	ino := func(path string) uint64 {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(*syscall.Stat_t).Ino
	}
	c := NewCgroups("")
	want := strings.TrimPrefix(sub, mount)
	id := ino(sub)
	if got := c.Path(id); got != want {
		t.Fatalf("path %q, want %q", got, want)
	}
	if got := c.Path(ino(mount)); got != "/" {
		t.Errorf("the root is %q", got)
	}
	if got := c.Path(1 << 60); got != "" {
		t.Errorf("no cgroup is %q", got)
	}
	late := filepath.Join(dir, "late.service")
	if err := os.Mkdir(late, 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(late)
	if got := c.Path(ino(late)); got != "" {
		t.Errorf("the tree was walked twice in a second: %q", got)
	}
	c.walked = time.Time{}
	if got := c.Path(ino(late)); got != strings.TrimPrefix(late, mount) {
		t.Errorf("a new cgroup is %q", got)
	}
	if err := os.Remove(sub); err != nil {
		t.Fatal(err)
	}
	if got := c.Path(id); got != want {
		t.Errorf("a cgroup that is gone is %q", got)
	}

	// A process that has ended has only its id; a living one is asked.
	tr := tracker(t, Config{Cgroups: c})
	tr.Exec(Exec{ID: pid(1), Path: "/bin/a", CgroupID: id})
	if p, _ := tr.Find(pid(1)); p.Cgroup != want {
		t.Errorf("cgroup %q, want %q", p.Cgroup, want)
	}
	cmd := begin(t, "/", which(t, "cat"))
	if err := os.WriteFile(filepath.Join(late, "cgroup.procs"), []byte(strconv.Itoa(cmd.Process.Pid)), 0); err != nil {
		t.Fatal(err)
	}
	self := idOf(t, cmd.Process.Pid)
	tr.Exec(Exec{ID: self, Path: "/bin/a", CgroupID: id})
	if p, _ := tr.Find(self); p.Cgroup != strings.TrimPrefix(late, mount) {
		t.Errorf("cgroup of a living process %q", p.Cgroup)
	}
	cmd.Process.Kill()
	cmd.Wait()
}
