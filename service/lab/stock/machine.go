package stock

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The modules that the firewall stands on, and those of the lab's network. Only one of
// the two ways to queue is there at first: the firewall takes what it finds.
var (
	always = []string{"?crc32c_generic", "veth", "bridge", "nf_tables", "nfnetlink_queue", "nft_compat", "nft_socket", "nft_reject_inet",
		"xt_bpf", "tcp_diag", "udp_diag", "raw_diag"}
	queues = map[string]string{"xtables": "xt_NFQUEUE", "native": "nft_queue"}
)

// Check is one line of what the guest found out.
type Check struct {
	Name   string
	Failed bool
	Took   time.Duration
	Says   string // what it found, or why it failed
}

// Boot runs a kernel with the guest's program as init and the programs of the firewall
// and the lab beside it, given by their files, and returns what came of the checks, in
// order, and all that came over the serial line. Its files are put into a folder. An error
// means that it did not come to an end, or not within ctx.
func (k *Kernel) Boot(ctx context.Context, dir string, processors int, guest string, programs []string) ([]Check, []byte, error) {
	rootfs, err := k.pack(guest, programs)
	if err != nil {
		return nil, nil, err
	}
	file := filepath.Join(dir, "initramfs")
	if err := os.WriteFile(file, rootfs, 0o600); err != nil {
		return nil, nil, err
	}
	c := exec.CommandContext(ctx, "qemu-system-x86_64",
		"-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot",
		"-m", "1024", "-smp", strconv.Itoa(processors), "-accel", "tcg,thread=multi", "-cpu", "max",
		"-kernel", k.Image, "-initrd", file,
		"-append", "console=ttyS0 quiet loglevel=1 panic=-1 mitigations=off nokaslr")
	var log, complaint bytes.Buffer
	c.Stdout, c.Stderr = &log, &complaint
	err = c.Run()
	checks, ended := parse(log.Bytes())
	switch {
	case ctx.Err() != nil:
		err = fmt.Errorf("kernel %s: not done in time", k.Release)
	case err != nil:
		err = fmt.Errorf("kernel %s: qemu: %w: %s", k.Release, err, bytes.TrimSpace(complaint.Bytes()))
	case !ended:
		err = fmt.Errorf("kernel %s: it stopped before the checks were done", k.Release)
	}
	return checks, log.Bytes(), err
}

// pack makes the guest's file system.
func (k *Kernel) pack(guest string, programs []string) ([]byte, error) {
	var r initramfs
	for _, d := range []string{"dev", "proc", "sys", "tmp", "run", "etc", "bin", "modules"} {
		r.folder(d)
	}
	r.console()
	for _, f := range []string{"resolv.conf", "hosts", "nsswitch.conf"} {
		r.file("etc/"+f, nil) // the lab puts each host's own over them
	}
	r.file("etc/passwd", []byte("root:x:0:0:root:/:/bin/sh\n"))
	r.file("etc/group", []byte("root:x:0:\n"))
	for name, file := range programFiles(guest, programs) {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		r.file(name, content)
	}
	common, err := k.modules(always...)
	if err != nil {
		return nil, err
	}
	r.modules("modules/always", common)
	for queue, name := range queues {
		list, err := k.modules(append(always[:len(always):len(always)], name)...)
		if err != nil {
			return nil, err
		}
		r.modules("modules/"+queue, list[len(common):])
	}
	return r.close(), nil
}

func programFiles(guest string, programs []string) map[string]string {
	files := map[string]string{"init": guest}
	for _, p := range programs {
		files["bin/"+filepath.Base(p)] = p
	}
	return files
}

// modules puts them into a folder, named so that they load in the order of their names.
func (r *initramfs) modules(folder string, list []module) {
	r.folder(folder)
	for i, m := range list {
		r.file(fmt.Sprintf("%s/%02d-%s", folder, i, m.name), m.content)
	}
}

// parse reads the guest's lines: "check:", "ok" or "FAILED", milliseconds, name, and
// what it says, with tabs between; "check:end" comes last.
func parse(log []byte) (checks []Check, ended bool) {
	s := bufio.NewScanner(bytes.NewReader(log))
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		_, line, ok := strings.Cut(strings.TrimRight(s.Text(), "\r"), "check:")
		if !ok {
			continue
		}
		if line == "end" {
			return checks, true
		}
		w := strings.Split(line, "\t")
		if len(w) != 5 {
			continue
		}
		ms, _ := strconv.Atoi(w[2])
		checks = append(checks, Check{Name: w[3], Failed: w[1] != "ok", Took: time.Duration(ms) * time.Millisecond, Says: w[4]})
	}
	return checks, false
}
