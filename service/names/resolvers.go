package names

import (
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// The files that say which name servers are in use. Each is written by root, or by the
// service that it is of.
const resolvConf = "/etc/resolv.conf"

var resolverFiles = []string{
	resolvConf,
	"/run/systemd/resolve/resolv.conf",        // whom systemd-resolved asks, of all links
	"/run/systemd/resolve/stub-resolv.conf",   // where it listens itself
	"/run/NetworkManager/no-stub-resolv.conf", // whom NetworkManager's dnsmasq asks, or resolved
	"/run/NetworkManager/resolv.conf",
	"/run/resolvconf/resolv.conf",
	"/run/dnsmasq/resolv.conf",
}

const (
	maxResolvers  = 64
	maxConf       = 64 << 10
	resolverPause = time.Second // how long a look at the files is good for
)

// Resolvers knows which name servers this machine uses: those that the C library asks, and
// those that a resolver of the machine's own asks in its turn. It may be used from any
// goroutine. Make it with NewResolvers.
type Resolvers struct {
	root  string
	clock func() time.Time

	mu     sync.Mutex // guards what follows
	looked time.Time
	stamps []stamp // of resolverFiles
	all    []netip.Addr
}

// stamp tells one state of a file from another.
type stamp struct {
	dev, ino uint64
	size     int64
	changed  unix.Timespec // the inode's time: nobody sets that back
}

// NewResolvers makes Resolvers that read the files below root: "/" but for tests.
func NewResolvers(root string) *Resolvers { return &Resolvers{root: root, clock: time.Now} }

// Servers are the addresses in use, each once and without a zone. A file that changes is
// read anew within a second.
func (r *Resolvers) Servers() []netip.Addr {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.current())
}

// Has reports whether a is a name server in use.
func (r *Resolvers) Has(a netip.Addr) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.current(), plain(a))
}

func (r *Resolvers) current() []netip.Addr {
	now := r.clock()
	if pause := now.Sub(r.looked); r.all != nil && pause >= 0 && pause < resolverPause {
		return r.all
	}
	r.looked = now
	stamps := make([]stamp, len(resolverFiles))
	for i, f := range resolverFiles {
		stamps[i] = stampOf(filepath.Join(r.root, f))
	}
	if r.all == nil || !slices.Equal(stamps, r.stamps) {
		r.stamps, r.all = stamps, r.read()
	}
	return r.all
}

// stampOf is the zero stamp for a file that isn't there.
func stampOf(path string) stamp {
	var s unix.Stat_t
	if unix.Stat(path, &s) != nil {
		return stamp{}
	}
	return stamp{s.Dev, s.Ino, s.Size, s.Ctim}
}

func (r *Resolvers) read() (all []netip.Addr) {
	for _, f := range resolverFiles {
		found := nameServers(filepath.Join(r.root, f))
		if f == resolvConf && len(found) == 0 { // then the local machine is asked (resolv.conf(5))
			found = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
		}
		for _, a := range found {
			if !slices.Contains(all, a) && len(all) < maxResolvers {
				all = append(all, a)
			}
		}
	}
	return all
}

// nameServers reads a file of the form of resolv.conf(5).
func nameServers(path string) (found []netip.Addr) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // not to wait for a pipe's other end
	if err != nil {
		return nil
	}
	defer f.Close()
	if i, err := f.Stat(); err != nil || !i.Mode().IsRegular() {
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(f, maxConf))
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(b)) {
		w := strings.Fields(line)
		if len(w) < 2 || w[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(w[1]); err == nil && !a.IsMulticast() {
			found = append(found, plain(a))
		}
	}
	return found
}
