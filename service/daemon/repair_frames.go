package daemon

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/service/enforce"
)

const (
	// lookForFrames is how often new AF_PACKET sockets are looked for, and lookForHolders how
	// often it is looked anew who holds those that are known.
	lookForFrames  = time.Second
	lookForHolders = 30 * time.Second
)

// watchFrames tells people which programs can send frames past the firewall, where not
// every network device can be watched (link.go). Only root has packet sockets, and those
// that root gave the right.
func (s *service) watchFrames(ctx context.Context) {
	t := time.NewTicker(lookForFrames)
	defer t.Stop()
	var known []uint64
	var looked time.Time
	for {
		var now time.Time
		select {
		case <-ctx.Done():
			return
		case now = <-t.C:
		}
		if why := s.framesPass.Load(); why == nil || *why == "" {
			if !looked.IsZero() {
				s.engine.Solved("frames")
				known, looked = nil, time.Time{}
			}
			continue
		}
		sockets, err := enforce.FrameSockets()
		if err != nil {
			s.engine.Problem("frames", api.NewProblem(api.ProblemFramesUnknown, err.Error()))
			looked = time.Time{}
			continue
		}
		slices.Sort(sockets)
		if slices.Equal(sockets, known) && now.Sub(looked) < lookForHolders {
			continue
		}
		known, looked = sockets, now
		s.tellFrames(s.holders(sockets))
	}
}

func (s *service) tellFrames(programs []string) {
	programs = slices.DeleteFunc(programs, s.anywhere)
	if len(programs) == 0 {
		s.engine.Solved("frames")
		return
	}
	s.engine.Problem("frames", api.NewProblem(api.ProblemFrames, strings.Join(programs, ", ")))
}

// anywhere reports whether a program may connect anywhere: then frames are no more than it may.
func (s *service) anywhere(path string) bool {
	d, err := s.engine.Decides(api.Question{Program: path, To: "192.0.2.1", Port: 9, Protocol: flow.UDP, Direction: flow.Out})
	return err == nil && d.Verdict == flow.Allow
}

// holders lists the programs in our scope that have one of these sockets open.
func (s *service) holders(sockets []uint64) []string {
	if len(sockets) == 0 {
		return nil
	}
	names := map[string]bool{}
	for _, inode := range sockets {
		names["socket:["+strconv.FormatUint(inode, 10)+"]"] = true
	}
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil
	}
	var programs []string
	for _, p := range processes {
		if !s.inScope(p) || !opens(p, names) {
			continue
		}
		path, err := os.Readlink(filepath.Join(p, "exe"))
		if err != nil {
			path = filepath.Base(p) // its number
		}
		programs = append(programs, strings.TrimSuffix(path, " (deleted)"))
	}
	slices.Sort(programs)
	return slices.Compact(programs)
}

// opens reports whether a process, given by its folder in /proc, has one of the files open.
func opens(process string, names map[string]bool) bool {
	fds, err := os.ReadDir(filepath.Join(process, "fd"))
	if err != nil {
		return false // it is gone
	}
	for _, fd := range fds {
		if to, err := os.Readlink(filepath.Join(process, "fd", fd.Name())); err == nil && names[to] {
			return true
		}
	}
	return false
}

// inScope reports whether a process, given by its folder in /proc, is one that we filter.
func (s *service) inScope(process string) bool {
	if s.scope.All {
		return filepath.Base(process) != strconv.Itoa(os.Getpid())
	}
	root, err := cgroupRoot()
	if err != nil {
		return false
	}
	ours, err := filepath.EvalSymlinks(s.cgroup())
	if err != nil {
		return false
	}
	b, err := os.ReadFile(filepath.Join(process, "cgroup"))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(b)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			is := filepath.Join(root, path)
			return is == ours || strings.HasPrefix(is, ours+"/")
		}
	}
	return false
}
