// Demo is what make run starts. With a display and a terminal it opens a shell whose
// programs, and no others, are under the firewall's eye, with the tray app on the
// display. Without them it plays the same by itself in a lab: two hosts, a program
// that connects, the prompt on a virtual display, a click on Allow, and the rule that
// remains. Either way nothing is left when it ends.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// options say where things are.
type options struct {
	programs string // folder with sekishod, sekishoctl and sekisho
	pictures string // folder for screenshots
}

func main() {
	var o options
	flag.StringVar(&o.programs, "programs", "build", "folder of the three programs")
	flag.StringVar(&o.pictures, "pictures", "build/demo", "folder for pictures")
	alone := flag.Bool("play", false, "play by itself even if there are a display and a terminal")
	flag.Parse()
	if err := o.settle(); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
	scenario := play
	if !*alone && hasDisplay() && hasTerminal() {
		scenario = shell
	}
	os.Exit(perform(func(s *stage) { scenario(s, o) }))
}

// settle makes the folders absolute and checks that the programs are there.
func (o *options) settle() (err error) {
	if os.Geteuid() != 0 {
		return fmt.Errorf("control groups and network namespaces need root: use make run")
	}
	if o.programs, err = filepath.Abs(o.programs); err != nil {
		return err
	}
	if o.pictures, err = filepath.Abs(o.pictures); err != nil {
		return err
	}
	for _, p := range []string{"sekishod", "sekishoctl", "sekisho"} {
		if _, err := os.Stat(filepath.Join(o.programs, p)); err != nil {
			return fmt.Errorf("%w: use make run, or make build first", err)
		}
	}
	return nil
}

func hasDisplay() bool {
	return os.Getenv("DISPLAY") != "" || os.Getenv("WAYLAND_DISPLAY") != ""
}

func hasTerminal() bool {
	for _, fd := range []int{0, 1} {
		if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err != nil {
			return false
		}
	}
	return true
}
