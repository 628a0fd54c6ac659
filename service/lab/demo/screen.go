package main

import (
	"image"
	"image/draw"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/jezek/xgb"

	"sekisho/service/lab"
	"sekisho/ui/uitest"
)

// Titles of the tray app's windows in English (assets/translations/en.json).
const (
	promptTitle = "Connection request"
	mainTitle   = "Sekisho"
)

// screen is the virtual display with the tray app on it.
type screen struct {
	desktop *uitest.Desktop
	tray    *exec.Cmd
	clicked time.Time // when the last click began
}

func openScreen(s *stage, l *lab.Lab, o options, service *lab.Service) *screen {
	dir := filepath.Join(l.Dir, "desktop")
	s.must("open display", os.Mkdir(dir, 0o700))
	xgb.Logger.SetOutput(io.Discard) // it tells each time that the display wants no password
	desktop, err := uitest.New(s.Context(), dir)
	s.must("open display", err)
	l.Cleanup(desktop.Close)
	c := &screen{desktop: desktop}
	c.tray = exec.Command(filepath.Join(o.programs, "sekisho"), "--socket", service.Socket, "--language", "en", "--theme", "light")
	s.must("start tray app", desktop.Start(s.Context(), c.tray))
	if _, err := desktop.TrayMenu(s.Context(), c.tray.Process.Pid); err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "sekisho.log"))
		s.Fatalf("wait for the tray icon: %v\n%s", err, log)
	}
	return c
}

// awaitPrompt waits for the prompt's window and returns where it is.
func (c *screen) awaitPrompt(s *stage) image.Rectangle {
	w, err := c.desktop.WaitWindow(s.Context(), promptTitle, 10*time.Second)
	s.must("wait for the prompt's window", err)
	return image.Rect(w.X, w.Y, w.X+w.Width, w.Y+w.Height)
}

// promptGone reports whether the prompt's window leaves within a moment.
func (c *screen) promptGone(s *stage) bool {
	return c.desktop.WaitNoWindow(s.Context(), promptTitle, 2*time.Second) == nil
}

// mainWindow opens the main window's rules from the tray menu and returns its picture.
func (c *screen) mainWindow(s *stage) image.Image {
	s.must("open the main window", c.desktop.TrayClick(s.Context(), c.tray.Process.Pid, "Rules…"))
	w, err := c.desktop.WaitWindow(s.Context(), mainTitle, 10*time.Second)
	s.must("wait for the main window", err)
	time.Sleep(time.Second) // it fills itself
	return c.picture(s, image.Rect(w.X, w.Y, w.X+w.Width, w.Y+w.Height))
}

// picture is what a part of the display shows; its corner is at 0, 0.
func (c *screen) picture(s *stage, part image.Rectangle) image.Image {
	file := filepath.Join(c.desktop.Dir, "screen.png")
	s.must("take a picture", c.desktop.Screenshot(s.Context(), file))
	f, err := os.Open(file)
	s.must("take a picture", err)
	defer f.Close()
	all, err := png.Decode(f)
	s.must("take a picture", err)
	part = part.Intersect(all.Bounds())
	cut := image.NewRGBA(image.Rectangle{Max: part.Size()})
	draw.Draw(cut, cut.Bounds(), all, part.Min, draw.Src)
	return cut
}

// click clicks at a place of the display.
func (c *screen) click(s *stage, at image.Point) {
	c.clicked = time.Now()
	s.must("click", c.desktop.Click(s.Context(), at.X, at.Y))
}
