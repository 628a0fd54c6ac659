package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"sekisho/app/flow"
)

func TestAppOfUnit(t *testing.T) {
	for unit, want := range map[string]string{
		"snap.firefox.firefox-1f2e.scope":                   "firefox",
		"snap.cups.cupsd.service":                           "cups",
		"app-flatpak-org.mozilla.firefox-4711.scope":        "org.mozilla.firefox",
		"app-flatpak-org.gnome.Text-Editor-4711.scope":      "org.gnome.Text-Editor",
		"app-flatpak-evil name.x-4711.scope":                "",
		"app-gnome-org.gnome.Terminal-1.scope":              "",
		"snap.":                                             "",
		"snapd.service":                                     "",
		"app-flatpak-nodots-1.scope":                        "",
		"":                                                  "",
		"snap.x/../y.z.service":                             "",
		"app-flatpak-../../etc/passwd.x-1.scope":            "",
		"snap." + strings.Repeat("a", 300) + ".app.service": "",
	} {
		if got := appOfUnit(unit); got != want {
			t.Errorf("%q: %q, want %q", unit, got, want)
		}
	}
}

func TestContainer(t *testing.T) {
	id := strings.Repeat("0123456789abcdef", 4)
	for cgroup, want := range map[string]string{
		"/system.slice/docker-" + id + ".scope":                                 "docker:0123456789ab",
		"/docker/" + id:                                                         "docker:0123456789ab",
		"/docker/" + id + "/init.scope":                                         "docker:0123456789ab",
		"/machine.slice/libpod-" + id + ".scope/container":                      "podman:0123456789ab",
		"/user.slice/user-1000.slice/user@1000.service/libpod-" + id + ".scope": "podman:0123456789ab",
		"/kubepods.slice/kubepods-pod1.slice/cri-containerd-" + id + ".scope":   "containerd:0123456789ab",
		"/kubepods.slice/kubepods-pod1.slice/crio-" + id + ".scope":             "crio:0123456789ab",
		"/lxc.payload.web/system.slice/nginx.service":                           "lxc:web",
		"/lxc/web/system.slice":                                                 "lxc:web",
		"/machine.slice/systemd-nspawn@deb\\x2d12.service/payload":              "nspawn:deb-12",
		"/machine.slice/machine-deb.scope":                                      "nspawn:deb",
		"/lxc.payload.a/docker/" + id:                                           "docker:0123456789ab",
		"/system.slice/docker.service":                                          "",
		"/user.slice/user-1000.slice/session-1.scope":                           "",
		"/docker/short":                "",
		"/docker-" + id + ".scope.d/x": "",
		"/lxc/..":                      "",
		"":                             "",
	} {
		var c containers
		if got := c.of(cgroup); got != want {
			t.Errorf("%q: %q, want %q", cgroup, got, want)
		}
	}
	dir := t.TempDir()
	docker := write(t, filepath.Join(dir, "config.v2.json"), `{"ID":"`+id+`","Name":"/web_1"}`, 0o600)
	podman := write(t, filepath.Join(dir, "containers.json"), `[{"id":"ff","names":["other"]},{"id":"`+id+`","names":["db"]}]`, 0o600)
	evil := write(t, filepath.Join(dir, "evil.json"), `{"Name":"/a\u202eb"}`, 0o600)
	for _, c := range []struct{ got, want string }{
		{dockerName(docker), "web_1"}, {podmanName(podman, id), "db"}, {podmanName(podman, "0"), ""},
		{dockerName(evil), ""}, {dockerName(podman), ""}, {dockerName("/none"), ""}, {podmanName(docker, id), ""},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

// sandbox runs a program of root's in a mount namespace of its own, where folder is /app
// and info is the word of Flatpak; it lives as long as the test.
func sandbox(t *testing.T, folder, info, program string) flow.ProcessID {
	t.Helper()
	root := t.TempDir()
	for _, d := range []string{"app", "proc", "usr", "lib", "lib64"} {
		if err := os.Mkdir(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if info != "" {
		write(t, filepath.Join(root, ".flatpak-info"), info, 0o644)
	}
	script := fmt.Sprintf(`mount --bind %[1]s %[2]s/app && mount --rbind /usr %[2]s/usr && mount --rbind /usr/lib %[2]s/lib &&
		mount --rbind /usr/lib64 %[2]s/lib64 && mount -t tmpfs none %[2]s/proc && exec chroot %[2]s %[3]s`, folder, root, program)
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Process.Kill(); cmd.Wait() })
	for i := 0; ; i++ {
		if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", cmd.Process.Pid)); err == nil && filepath.Base(exe) == filepath.Base(program) {
			return idOf(t, cmd.Process.Pid)
		}
		if i == 2000 {
			t.Fatal("it does not start")
		}
		unix.Nanosleep(&unix.Timespec{Nsec: 1e6}, nil)
	}
}

// identity is a file's as the kernel has it, where the device that stat says is the file
// system's.
func identity(t testing.TB, path string) flow.Executable {
	t.Helper()
	exe := executable(t, path)
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	exe.Device = unix.Major(st.Dev)<<20 | unix.Minor(st.Dev)
	return exe
}

// What root installed as a Flatpak is that, by its file; what else is in the sandbox only
// says so, and what says so elsewhere is not believed either.
func TestFlatpak(t *testing.T) {
	const id = "org.sekisho.Test"
	install := func(folder string, mode os.FileMode) string {
		files := filepath.Join(folder, id, "x86_64/stable/0a1b/files")
		b, err := os.ReadFile(which(t, "cat"))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(files, "bin/tool"), string(b), 0o755)
		if err := os.Chmod(files, mode); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(filepath.Join(folder, id)) })
		return files
	}
	if _, err := os.Stat("/var/lib/flatpak"); err != nil {
		t.Cleanup(func() { os.Remove("/var/lib/flatpak/app"); os.Remove("/var/lib/flatpak") })
	}
	system, own := install("/var/lib/flatpak/app", 0o755), install(t.TempDir(), 0o755)
	info := "[Application]\nname=" + id + "\nruntime=x\n[Instance]\nname=org.other.One\n"
	for _, c := range []struct {
		name, folder, info, program string
		app                         string
		own                         bool
	}{
		{"the application's file", system, info, "/app/bin/tool", id, false},
		{"its file, another claim", system, "[Application]\nname=org.evil.Evil\n", "/app/bin/tool", id, false},
		{"the runtime's file", system, info, "/usr/bin/cat", id, true},
		{"installed by the user", own, info, "/app/bin/tool", id, true},
		{"a chroot", own, "", "/app/bin/tool", "", false},
		{"a claim that is no id", own, "[Application]\nname=../../x.y\n", "/app/bin/tool", "", false},
		{"where others may write", "open", info, "/app/bin/tool", id, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.folder == "open" {
				if err := os.Chmod(system, 0o777); err != nil {
					t.Fatal(err)
				}
				c.folder = system
			}
			pid := sandbox(t, c.folder, c.info, c.program)
			tr := tracker(t, Config{})
			exe := identity(t, fmt.Sprintf("/proc/%d/exe", pid.PID))
			tr.Exec(Exec{ID: pid, Path: c.program, Executable: exe})
			p, ok := tr.Find(pid)
			if !ok || p.App != c.app || p.OwnApp != c.own {
				t.Errorf("it is of %q (own %v)", p.App, p.OwnApp)
			}
			if p.Package != "" {
				t.Errorf("it is of package %q", p.Package)
			}
			// Another file with the path that the kernel walked is not that application's.
			exe.Device++
			tr = tracker(t, Config{})
			tr.Exec(Exec{ID: pid, Path: c.program, Executable: exe})
			if p, _ := tr.Find(pid); p.App != "" && !p.OwnApp {
				t.Errorf("a file of another file system is taken for %q's", p.App)
			}
		})
	}
}

func TestFlatpakInfoThatIsATrap(t *testing.T) {
	dir := t.TempDir()
	real := write(t, filepath.Join(dir, "real"), "[Application]\nname=org.a.B\n", 0o644)
	pipe, link := filepath.Join(dir, "pipe"), filepath.Join(dir, "link")
	if err := errors.Join(unix.Mkfifo(pipe, 0o666), os.Symlink(real, link)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{real: "org.a.B", pipe: "", link: "", dir: "", "/dev/zero": ""} {
		if got := flatpakInfo(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// What snapd mounted is the Snap's, by its file; a copy of its folder elsewhere is not, nor
// is what a user could have put there.
func TestSnap(t *testing.T) {
	const name = "sekisho-test"
	content := mustRead(t, which(t, "cat"))
	for _, c := range []struct {
		folder, app string
		uid         int
	}{{"/snap", name, 0}, {"/snap", "", 12345}, {t.TempDir() + "/snap", "", 0}} {
		if _, err := os.Stat(c.folder); err != nil {
			t.Cleanup(func() { os.Remove(c.folder) })
		}
		t.Cleanup(func() { os.RemoveAll(filepath.Join(c.folder, name)) })
		file := write(t, filepath.Join(c.folder, name, "12/usr/bin/tool"), string(content), 0o755)
		if err := os.Chown(filepath.Dir(file), c.uid, c.uid); err != nil {
			t.Fatal(err)
		}
		cmd := begin(t, "/", file)
		id := idOf(t, cmd.Process.Pid)
		tr := tracker(t, Config{})
		tr.Exec(Exec{ID: id, Path: file, Executable: identity(t, file)})
		if p, _ := tr.Find(id); p.App != c.app || p.OwnApp {
			t.Errorf("in %s it is of %q (own %v)", c.folder, p.App, p.OwnApp)
		}
		cmd.Process.Kill() // its file is written again
		cmd.Wait()
	}
}

// An AppImage is found by its mount and by the file that goes on serving it.
func TestAppImage(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "self/mountinfo"),
		"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"+
			"90 22 0:50 / /tmp/.mount_KritaAb12 ro,nosuid - fuse.krita\\0405.AppImage krita\\0405.AppImage ro,user_id=1000\n"+
			"91 22 0:51 / /tmp/.mount_plain ro - tmpfs krita rw\n", 0o644)
	const file = "/home/a/Apps/krita 5.AppImage"
	tr := tracker(t, Config{Proc: dir})
	tr.Exec(Exec{ID: pid(1), Path: "/home/a/old/krita 5.AppImage"})
	tr.Exec(Exec{ID: pid(2), Path: file})
	tr.Fork(pid(3), pid(2), tr.now()) // it serves the mount, and its parent goes on as the program
	tr.Exec(Exec{ID: pid(2), Path: "/tmp/.mount_KritaAb12/usr/bin/krita"})
	tr.Exec(Exec{ID: pid(4), Path: "/tmp/.mount_plain/usr/bin/krita"})
	tr.Exec(Exec{ID: pid(5), Path: "/tmp/.mount_none/usr/bin/krita"})
	for n, want := range map[uint32]string{2: file, 3: "", 4: "", 5: ""} {
		if p, ok := tr.Find(pid(n)); !ok || p.App != want || p.OwnApp != (want != "") {
			t.Errorf("process %d is of %q (own %v)", n, p.App, p.OwnApp)
		}
	}
}
