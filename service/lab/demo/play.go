package main

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"sekisho/service/lab"
)

// Where the demo's program connects to.
const (
	site     = "example.lab"
	siteAddr = "203.0.113.7"
)

// buttonsWait is longer than the time in which a new prompt ignores clicks.
const buttonsWait = 1200 * time.Millisecond

// asked is what the demo reads of a prompt (CONTRACT.md).
type asked struct {
	Program struct{ Path string }
	Remote  struct {
		Name string
		Port uint16
	}
	Prompt struct{ ID, State string }
}

// kept is what the demo reads of a rule.
type kept struct {
	ID, Action string
	Program    struct{ Path string }
	Remote     struct{ Name string }
	Lifetime   struct{ Kind string }
}

// play is the demo without a person.
func play(s *stage, o options) {
	l := lab.New(s)
	s.step("Two hosts, %q and %q, joined by a virtual cable; %s is a web site on the second.", l.Home.Name, l.Remote.Name, site)
	addr := l.Remote.AddAddress(siteAddr)
	l.DNS.Set(site, addr)
	web := l.Remote.ServeWeb(80)
	wire := l.Remote.Wire()

	service := l.Home.Service(lab.Programs(o.programs))
	s.step("The service runs on %q and filters one control group.", l.Home.Name)

	screen := openScreen(s, l, o, service)
	s.step("The tray app runs on a virtual display with a window manager and a panel.")

	curl, err := exec.LookPath("curl")
	s.must("find curl", err)
	first := fetch(s, l, curl)
	s.step("curl http://%s/ starts, a program without a rule.", site)

	began := time.Now()
	question := awaitPrompt(s, service, curl)
	if question.Remote.Name != site || question.Remote.Port != 80 {
		s.Fatalf("the prompt is about %s port %d, want %s port 80", question.Remote.Name, question.Remote.Port, site)
	}
	window := screen.awaitPrompt(s)
	s.step("The prompt is there after %v. The connection waits.", time.Since(began).Round(10*time.Millisecond))
	answerWithMouse(s, o, screen, window)
	// The proof is from before the answer: what left until then.
	if syn := lab.SYN(netip.AddrPortFrom(addr, 80)); wire.Lost() > 0 || len(beforeAnswer(wire.Packets(syn), s.clicked)) > 0 {
		s.Fatalf("the connection left the host before the answer")
	}
	s.say("On the other host's wire nothing of it had been seen until the click.")

	first.await(s, web.Page)
	s.step("curl has its page %v after the click: %q", first.ended.Sub(s.clicked).Round(time.Millisecond), strings.TrimSpace(web.Page))

	rule := awaitRule(s, service, curl)
	s.step("The rule that remains: %s, %s, to %s, %s.", rule.Action, rule.Program.Path, rule.Remote.Name, rule.Lifetime.Kind)

	before := promptCount(s, service)
	again := time.Now()
	fetch(s, l, curl).await(s, web.Page)
	if n := promptCount(s, service) - before; n != 0 {
		s.Fatalf("the second connection made %d prompts, want none", n)
	}
	s.step("A second curl needs no prompt: it was done in %v.", time.Since(again).Round(time.Millisecond))

	s.must("save picture", savePicture(filepath.Join(o.pictures, "window.png"), screen.mainWindow(s)))
	s.step("Pictures: %s and window.png.", filepath.Join(o.pictures, "prompt.png"))
}

// answerWithMouse chooses "Always" and clicks on Allow, as a person would.
func answerWithMouse(s *stage, o options, screen *screen, window image.Rectangle) {
	var shown image.Image
	find := func(what string, fills []uint32, width, height int) (area image.Rectangle) {
		s.within(10*time.Second, "find "+what, func() (err error) {
			shown = screen.picture(s, window)
			area, err = findArea(shown, fills, width, height)
			return err
		})
		return area
	}
	allow := find("the button Allow", allowFill, window.Dx()/4, 24)
	time.Sleep(buttonsWait)
	shown = screen.picture(s, window)
	s.must("save picture", savePicture(filepath.Join(o.pictures, "prompt.png"), shown))
	choices := find("the choices of how long", grooveFill, window.Dx()/2, 16)
	// The last one is "Always".
	screen.click(s, window.Min.Add(image.Pt(choices.Max.X-choices.Dx()/16, center(choices).Y)))
	s.step("A click on \"Always\", then a click on \"Allow\".")
	at := window.Min.Add(center(allow))
	screen.click(s, at)
	s.clicked = screen.clicked
	// On a slow machine the window may have been drawn later than it seemed.
	for range 5 {
		if screen.promptGone(s) {
			return
		}
		screen.click(s, at)
	}
	s.Fatalf("the prompt stays after clicks on Allow")
}

func beforeAnswer(packets []lab.Packet, answer time.Time) []lab.Packet {
	var early []lab.Packet
	for _, p := range packets {
		if p.Time.Before(answer) {
			early = append(early, p)
		}
	}
	return early
}

// download is curl at work.
type download struct {
	*lab.Command
	out, complaint bytes.Buffer
	ended          time.Time // set before done is closed
	done           chan struct{}
	err            error
}

func fetch(s *stage, l *lab.Lab, curl string) *download {
	d := &download{
		Command: l.Home.Command(s.Context(), curl, "-sS", "--max-time", "90", "http://"+site+"/").Filtered(),
		done:    make(chan struct{}),
	}
	d.Stdout, d.Stderr = &d.out, &d.complaint
	s.must("start curl", d.Start())
	go func() {
		d.err = d.Wait()
		d.ended = time.Now()
		close(d.done)
	}()
	return d
}

func (d *download) await(s *stage, page string) {
	<-d.done
	if d.err != nil {
		s.Fatalf("curl: %v: %s", d.err, d.complaint.String())
	}
	if d.out.String() != page {
		s.Fatalf("curl got %q, want %q", d.out.String(), page)
	}
}

func awaitPrompt(s *stage, service *lab.Service, program string) asked {
	var found asked
	s.within(10*time.Second, "wait for the prompt", func() error {
		var all []asked
		if err := service.CtlJSON(s.Context(), &all, "prompts"); err != nil {
			return err
		}
		for _, a := range all {
			if sameFile(a.Program.Path, program) && a.Prompt.State == "waiting" {
				found = a
				return nil
			}
		}
		return fmt.Errorf("%d prompts, none of %s", len(all), program)
	})
	return found
}

func awaitRule(s *stage, service *lab.Service, program string) kept {
	var found kept
	s.within(5*time.Second, "look for the rule", func() error {
		var file struct{ Rules []kept }
		if err := service.CtlJSON(s.Context(), &file, "rule", "list"); err != nil {
			return err
		}
		for _, r := range file.Rules {
			if sameFile(r.Program.Path, program) {
				found = r
				return nil
			}
		}
		return errors.New("there is none for " + program)
	})
	if found.Action != "allow" || found.Lifetime.Kind != "always" {
		s.Fatalf("the rule is %+v, want one that always allows", found)
	}
	return found
}

func promptCount(s *stage, service *lab.Service) int {
	var status struct{ Counters struct{ Prompts int } }
	s.must("read status", service.CtlJSON(s.Context(), &status, "status"))
	return status.Counters.Prompts
}

// sameFile compares paths behind symbolic links: /bin may be one.
func sameFile(a, b string) bool {
	if r, err := filepath.EvalSymlinks(b); err == nil {
		b = r
	}
	return a == b
}
