package daemon_test

import (
	"os"
	"path/filepath"
	"testing"

	"sekisho/app/prompt"
	"sekisho/app/rule"
)

// One file with two names, as busybox has many: what is said of one name does not become
// true of the other.
func TestAttackTwoNames(t *testing.T) {
	a := newAttackScene(t)
	a.service.Restart() // the checksum of what is allowed is made by now
	other := filepath.Join(a.Dir, "other")
	a.must(os.Link(a.good.Path, other))
	k := a.plan("-kind", "tcp", "send")
	k.command.Path, k.command.Args[0] = other, other
	p := k.start().prompt()
	if p.Flow.Process.Path != other {
		t.Errorf("asked about %s", p.Flow.Process.Path)
	}
	a.answer(p, rule.Block, rule.Always, prompt.Scope{Kind: prompt.Anything})
	k.ends()
	for range 3 {
		a.passes("under its own name")
		k = a.plan("-kind", "udp", "send")
		k.command.Path, k.command.Args[0] = other, other
		k.start()
		if line, err := k.lines.ReadString('\n'); err == nil && line == "done\n" {
			a.eventually("a refusal", func() bool { return a.status().Counters.Queued > k.before.Queued || k.leaked() })
		}
		k.ends()
	}
}
