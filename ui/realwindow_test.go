package ui_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho/app/api"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/ui/uitest"
)

const title = "Connection request"

// bench is a desktop with the tray app in it.
type bench struct {
	*testing.T
	ctx  context.Context
	desk *uitest.Desktop
	app  *exec.Cmd
	in   io.Writer
	did  chan happening
}

func newBench(t *testing.T) *bench {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	t.Cleanup(cancel)
	desk, err := uitest.New(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(desk.Close)
	b := &bench{T: t, ctx: ctx, desk: desk, did: make(chan happening, 64)}
	b.app = exec.Command(os.Args[0])
	b.app.Env = []string{asApp + "=1"}
	stdin, err := b.app.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.Close() })
	b.app.Stdout = w
	err = desk.Start(ctx, b.app)
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	b.in = stdin
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			var h happening
			if json.Unmarshal(s.Bytes(), &h) == nil {
				b.did <- h
			}
		}
	}()
	b.must(uitest.Until(ctx, 20*time.Second, func() error {
		m, err := desk.TrayMenu(ctx, b.app.Process.Pid)
		if err != nil {
			return err
		}
		_, err = m.Find("Asking about what is new")
		return err
	}))
	return b
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		if dir := os.Getenv("SEKISHO_TEST_PICTURES"); dir != "" {
			_ = b.desk.Screenshot(context.Background(), filepath.Join(dir, "failed.png"))
		}
		b.Fatal(err)
	}
}

func (b *bench) say(command string) {
	b.Helper()
	_, err := io.WriteString(b.in, command+"\n")
	b.must(err)
}

// next is what the service was asked to do next.
func (b *bench) next(did string) happening {
	b.Helper()
	for {
		select {
		case h := <-b.did:
			if h.Did == did {
				return h
			}
		case <-time.After(10 * time.Second):
			b.Fatalf("the service was never asked: %s", did)
		}
	}
}

func (b *bench) nothing(did string, within time.Duration) {
	b.Helper()
	end := time.After(within)
	for {
		select {
		case h := <-b.did:
			if h.Did == did {
				b.Fatalf("unwanted: %+v", h)
			}
		case <-end:
			return
		}
	}
}

// picture keeps a screenshot if somebody wants to see it.
func (b *bench) picture(name string, w uitest.Window) {
	b.Helper()
	b.must(b.desk.WaitPainted(b.ctx, w, 10*time.Second))
	if dir := os.Getenv("SEKISHO_TEST_PICTURES"); dir != "" {
		b.must(b.desk.Screenshot(b.ctx, filepath.Join(dir, name+".png")))
	}
}

func TestPromptLeavesTheKeyboardAlone(t *testing.T) {
	b := newBench(t)
	typed := filepath.Join(b.desk.Dir, "typed")
	term := exec.Command("xterm", "-T", "typing", "-geometry", "80x20+40+40", "-e", "cat > "+typed)
	b.must(b.desk.Start(b.ctx, term))
	w, err := b.desk.WaitWindow(b.ctx, "typing", 15*time.Second)
	b.must(err)
	b.must(b.desk.Click(b.ctx, w.X+100, w.Y+100))
	const sentence = "the quick brown fox jumps over the lazy dog and runs away"
	typing := make(chan error, 1)
	go func() { typing <- b.desk.Type(b.ctx, sentence+"\n", 40*time.Millisecond) }()
	time.Sleep(500 * time.Millisecond)
	b.say("ask script")
	p, err := b.desk.WaitWindow(b.ctx, title, 10*time.Second)
	b.must(err)
	b.picture("typing", p)
	b.must(<-typing)
	b.must(uitest.Until(b.ctx, 5*time.Second, func() error {
		got, err := os.ReadFile(typed)
		if err == nil && string(got) != sentence+"\n" {
			t.Logf("typed so far: %q", got)
			err = io.ErrUnexpectedEOF
		}
		return err
	}))
	// The same for a window that is shown again.
	time.Sleep(time.Second)
	b.must(b.desk.ClickIn(b.ctx, p, uitest.PromptBlockX, uitest.PromptButtonsUp))
	if h := b.next("answer"); h.Action != rule.Block || h.ID != "script" {
		t.Fatalf("answered %+v, want block of script", h)
	}
	b.must(b.desk.WaitNoWindow(b.ctx, title, 5*time.Second))
	b.must(b.desk.Click(b.ctx, w.X+100, w.Y+100))
	go func() { typing <- b.desk.Type(b.ctx, sentence+"\n", 40*time.Millisecond) }()
	time.Sleep(500 * time.Millisecond)
	b.say("ask known")
	_, err = b.desk.WaitWindow(b.ctx, title, 10*time.Second)
	b.must(err)
	b.must(<-typing)
	b.must(uitest.Until(b.ctx, 5*time.Second, func() error {
		got, err := os.ReadFile(typed)
		if err == nil && strings.Count(string(got), sentence) != 2 {
			t.Logf("typed so far: %q", got)
			err = io.ErrUnexpectedEOF
		}
		return err
	}))
	b.nothing("answer", 200*time.Millisecond)
}

func TestClickOnAllowAnswers(t *testing.T) {
	b := newBench(t)
	b.say("ask known")
	w, err := b.desk.WaitWindow(b.ctx, title, 10*time.Second)
	b.must(err)
	time.Sleep(time.Second) // the buttons are inert at first
	b.picture("prompt", w)
	b.must(b.desk.ClickIn(b.ctx, w, uitest.PromptAllowX, uitest.PromptButtonsUp))
	h := b.next("answer")
	if h.ID != "known" || h.Action != rule.Allow || h.Lifetime != rule.Quit || h.Scope.Kind != prompt.HostAndPort {
		t.Fatalf("answered %+v", h)
	}
	b.must(b.desk.WaitNoWindow(b.ctx, title, 5*time.Second))

	// After a click into it, the window takes keys: Alt+B blocks.
	b.say("ask script")
	w, err = b.desk.WaitWindow(b.ctx, title, 10*time.Second)
	b.must(err)
	time.Sleep(1500 * time.Millisecond)
	b.must(b.desk.Click(b.ctx, w.X+200, w.Y+20))
	b.must(b.desk.Key(b.ctx, "Return"))
	b.must(b.desk.Key(b.ctx, "space"))
	b.nothing("answer", 300*time.Millisecond)
	b.must(b.desk.Key(b.ctx, "alt+b"))
	if h := b.next("answer"); h.ID != "script" || h.Action != rule.Block {
		t.Fatalf("answered %+v", h)
	}
}

func TestTrayMenu(t *testing.T) {
	b := newBench(t)
	pid := b.app.Process.Pid
	b.must(b.desk.TrayClick(b.ctx, pid, "Mode", "Lockdown"))
	if h := b.next("mode"); h.Mode != api.ModeLockdown {
		t.Fatalf("set %+v", h)
	}
	b.must(uitest.Until(b.ctx, 5*time.Second, func() error {
		m, err := b.desk.TrayMenu(b.ctx, pid)
		if err != nil {
			return err
		}
		if _, err = m.Find("Lockdown: only essentials get through"); err != nil {
			return err
		}
		if i, err := m.Find("Mode", "Lockdown"); err != nil || !i.Checked {
			t.Logf("%+v: %v", i, err)
			return io.ErrUnexpectedEOF
		}
		return nil
	}))

	// A pause weakens, so it asks first.
	b.must(b.desk.TrayClick(b.ctx, pid, "Pause", "For 15 minutes"))
	w, err := b.desk.WaitWindow(b.ctx, "Pause the firewall?", 10*time.Second)
	b.must(err)
	b.picture("confirm", w)
	b.nothing("mode", 300*time.Millisecond)
	b.must(b.desk.ClickIn(b.ctx, w, 315, 40))
	if h := b.next("mode"); h.Mode != api.ModeOff || h.Span != 15*time.Minute {
		t.Fatalf("set %+v", h)
	}
	b.must(uitest.Until(b.ctx, 5*time.Second, func() error { return b.desk.TrayClick(b.ctx, pid, "Protect again") }))
	if h := b.next("mode"); h.Mode != api.ModeLockdown {
		t.Fatalf("came back to %+v", h)
	}

	// What was blocked can be allowed, and is told.
	b.say("block known")
	if h := b.next("notify"); !strings.Contains(h.Rule, "Transmission to tracker.debian.org") {
		t.Fatalf("told %q", h.Rule)
	}
	b.must(uitest.Until(b.ctx, 5*time.Second, func() error {
		return b.desk.TrayClick(b.ctx, pid, "Recently blocked", "Transmission → tracker.debian.org")
	}))
	w, err = b.desk.WaitWindow(b.ctx, "Allow this from now on?", 10*time.Second)
	b.must(err)
	b.picture("unblock", w)
	b.must(b.desk.ClickIn(b.ctx, w, 315, 40))
	if h := b.next("rule"); h.Action != rule.Allow || h.Rule != "/usr/bin/transmission-gtk tracker.debian.org" {
		t.Fatalf("added %+v", h)
	}
	b.must(b.desk.TrayClick(b.ctx, pid, "Connections…"))
	w, err = b.desk.WaitWindow(b.ctx, "Sekisho", 10*time.Second)
	b.must(err)
	b.picture("main", w)
}
