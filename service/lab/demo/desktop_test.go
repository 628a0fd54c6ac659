package main

import (
	"errors"
	"fmt"
	"image"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"sekisho/service/lab"
	"sekisho/ui/uitest"
)

// The main job on a person's desktop, with the real service, window, panel and mouse:
// a sentence is being typed while the question appears, a click on Allow lets curl
// finish, the rule stays, and the tray menu changes the mode.
func TestOnADesktop(t *testing.T) {
	programs := buildAll(t)
	code := perform(func(s *stage) { onADesktop(s, options{programs: programs, pictures: t.TempDir()}) })
	if code != 0 {
		t.Fatalf("exit code %d", code)
	}
}

func onADesktop(s *stage, o options) {
	l := lab.New(s)
	l.DNS.Set(site, l.Remote.AddAddress(siteAddr))
	web := l.Remote.ServeWeb(80)
	service := l.Home.Service(lab.Programs(o.programs))
	screen := openScreen(s, l, o, service)
	curl, err := exec.LookPath("curl")
	s.must("find curl", err)

	typed := startTyping(s, screen)
	const sentence = "the quick brown fox jumps over the lazy dog and runs on and on"
	typing := make(chan error, 1)
	go func() { typing <- screen.desktop.Type(s.Context(), sentence+"\n", 40*time.Millisecond) }()
	time.Sleep(300 * time.Millisecond)
	first := fetch(s, l, curl)
	awaitPrompt(s, service, curl)
	window := screen.awaitPrompt(s)
	select {
	case err := <-typing:
		s.Fatalf("the question came after everything was typed (%v)", err)
	default:
	}
	s.must("type", <-typing)
	s.within(5*time.Second, "see every key in the terminal", func() error {
		b, err := os.ReadFile(typed)
		if err == nil && string(b) != sentence+"\n" {
			err = fmt.Errorf("it has %q", b)
		}
		return err
	})
	answerWithMouse(s, o, screen, window)
	first.await(s, web.Page)
	awaitRule(s, service, curl)

	setMode(s, screen, service, "Lockdown", "lockdown")
	refused := fetch(s, l, curl)
	<-refused.done
	if refused.err == nil {
		s.Fatalf("curl got through a lockdown that the tray menu set: %s", refused.out.String())
	}
	setMode(s, screen, service, "Ask", "ask")
	fetch(s, l, curl).await(s, web.Page)
	checkRestart(s, l, screen, service, curl, web)
}

// startTyping opens a terminal, gives it the keyboard and tells the file in which all
// that is typed arrives.
func startTyping(s *stage, c *screen) string {
	typed := filepath.Join(c.desktop.Dir, "typed")
	term := exec.Command("xterm", "-T", "typing", "-geometry", "60x12+20+20", "-e", "cat > "+typed)
	s.must("open a terminal", c.desktop.Start(s.Context(), term))
	w, err := c.desktop.WaitWindow(s.Context(), "typing", 15*time.Second)
	s.must("open a terminal", err)
	screenPoint := image.Pt(w.X+60, w.Y+60)
	s.must("click into the terminal", c.desktop.Click(s.Context(), screenPoint.X, screenPoint.Y))
	s.within(5*time.Second, "start typing", func() error {
		_, err := os.Stat(typed)
		return err
	})
	return typed
}

// setMode chooses a mode in the tray menu, over D-Bus as the panel does.
func setMode(s *stage, c *screen, service *lab.Service, label, mode string) {
	s.must("choose "+label, c.desktop.TrayClick(s.Context(), c.tray.Process.Pid, "Mode", label))
	s.within(5*time.Second, "see the mode "+mode, func() error {
		var status struct{ Mode string }
		if err := service.CtlJSON(s.Context(), &status, "status"); err != nil {
			return err
		}
		if status.Mode != mode {
			return errors.New("it is " + status.Mode)
		}
		return nil
	})
}

// checkRestart kills the service under the tray app, which says that nothing is
// protected, and finds its way back by itself.
func checkRestart(s *stage, l *lab.Lab, c *screen, service *lab.Service, curl string, web *lab.Web) {
	shows := func(state string) {
		err := uitest.Until(s.Context(), 15*time.Second, func() error {
			m, err := c.desktop.TrayMenu(s.Context(), c.tray.Process.Pid)
			if err == nil {
				_, err = m.Find(state)
			}
			return err
		})
		s.must("see "+state+" in the tray menu", err)
	}
	service.Kill()
	shows("Not protecting: the service is not running")
	fetch(s, l, curl).await(s, web.Page) // what was decided goes on
	service.Start()
	shows("Asking about what is new")
	l.DNS.Set("other.lab", l.Remote.AddAddress("203.0.113.8"))
	asked := l.Home.Command(s.Context(), curl, "-sS", "--max-time", "60", "http://other.lab/").Filtered()
	s.must("start curl", asked.Start())
	screen := c.awaitPrompt(s)
	if screen.Empty() {
		s.Fatalf("no prompt after the service was started again")
	}
}
