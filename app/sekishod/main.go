// Command sekishod is the privileged service: it filters, asks and remembers.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"sekisho/service/daemon"
)

// version is set by the build.
var version = "dev"

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet("sekishod", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprintln(stderr, "sekishod is the Sekisho firewall's service. It filters in the network namespace in which it is started.\n\nFlags:")
		f.PrintDefaults()
	}
	state := f.String("state", "/var/lib/sekisho", "`folder` of rules, settings and history")
	socket := f.String("socket", "/run/sekisho/sekisho.sock", "`path` where the tray app and sekishoctl reach the service")
	cgroup := f.String("cgroup", "", "`folder` of cgroup v2: only programs in it and beneath are filtered (default: the root, every program)")
	forwarded := f.Bool("forwarded", false, "filter what this machine forwards too, although --cgroup is given")
	level := f.String("log-level", "info", "debug, info, warn or error")
	check := f.Bool("check", false, "print what this kernel can and cannot do, and exit")
	cleanup := f.Bool("cleanup", false, "remove every trace that the service with this --state left in the kernel, and exit")
	show := f.Bool("version", false, "print the version and exit")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if f.NArg() > 0 {
		fmt.Fprintf(stderr, "sekishod: unexpected %q; see sekishod --help\n", f.Arg(0))
		return 2
	}
	fail := func(err error) int {
		fmt.Fprintln(stderr, "sekishod:", strings.ReplaceAll(err.Error(), "\n", "; "))
		return 1
	}
	switch {
	case *show:
		fmt.Fprintln(stdout, "sekishod", version)
		return 0
	case *check:
		if !daemon.Check(stdout) {
			return 1
		}
		return 0
	case os.Geteuid() != 0:
		return fail(fmt.Errorf("only root can filter; start it with sudo"))
	case *cleanup:
		if err := daemon.Cleanup(*state); err != nil {
			return fail(err)
		}
		return 0
	}
	var l slog.Level
	if err := l.UnmarshalText([]byte(*level)); err != nil {
		fmt.Fprintf(stderr, "sekishod: --log-level %q: want debug, info, warn or error\n", *level)
		return 2
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: l}))
	ballast := make([]byte, room*100/percent)
	defer runtime.KeepAlive(ballast)
	debug.SetGCPercent(2 * percent) // until it is ready, which it should be soon
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	err := daemon.Run(ctx, daemon.Config{
		State: *state, Socket: *socket, Cgroup: *cgroup, Forwarded: *forwarded, Version: version, Log: log,
		Ready: func() {
			log.Info("ready", "version", version, "socket", *socket)
			notify(log, "READY=1")
			go keepSmall(ctx)
		},
	})
	if err != nil {
		return fail(err)
	}
	return 0
}

// percent is how much more than lives there may be before the collector looks through
// everything: the service is in everybody's memory. A burst of connections gets room more,
// in bytes: by something that takes none, since it is never touched.
const (
	percent = 50
	room    = 8 << 20
)

// keepSmall has the collector keep the service small, until ctx is done: it runs in
// everybody's memory. What a burst took is returned once that is over. Go does that by
// itself, but in minutes.
func keepSmall(ctx context.Context) {
	debug.SetGCPercent(percent)
	debug.FreeOSMemory() // what reading the rules and the programs took
	t := time.NewTicker(10 * time.Second)
	defer t.Stop()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	for before, freed := m.TotalAlloc, m.TotalAlloc; ; before = m.TotalAlloc {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		runtime.ReadMemStats(&m)
		if calm := m.TotalAlloc-before < room; calm && m.TotalAlloc-freed > room/4 {
			runtime.GC() // what pools keep, as the database does, goes with the second
			debug.FreeOSMemory()
			freed = m.TotalAlloc
		}
	}
}

// notify tells the service manager, if one asked to be told (sd_notify(3)).
func notify(log *slog.Logger, state string) {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return
	}
	if strings.HasPrefix(name, "@") {
		name = "\x00" + name[1:]
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err == nil {
		_, err = c.Write([]byte(state))
		_ = c.Close()
	}
	if err != nil {
		log.Warn("the service manager was not told", "err", err)
	}
}
