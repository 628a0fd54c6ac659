package ui_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"sekisho/app/flow"
	"sekisho/ui"
	"sekisho/ui/sample"
)

// asApp makes this test program the tray app with a fake service: Fyne needs the main
// goroutine of a process of its own.
const asApp = "SEKISHO_TEST_AS_APP"

func TestMain(m *testing.M) {
	if os.Getenv(asApp) != "" {
		if err := runApp(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// runApp takes commands on standard input, a line each: "ask NAME" for a sample prompt,
// "block NAME" for a sample that was blocked with nobody there.
func runApp() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	service := newFakeService(os.Stdout)
	app, err := ui.New(service, ui.Options{Language: "en", Theme: "light", Notify: func(title, message string) error {
		fmt.Printf("{\"Did\":\"notify\",\"Rule\":%q}\n", title+": "+message)
		return nil
	}})
	if err != nil {
		return err
	}
	go func() {
		for s := bufio.NewScanner(os.Stdin); s.Scan(); {
			what, name, _ := strings.Cut(s.Text(), " ")
			p := sample.Prompt(name)
			p.Flow.Time = time.Now()
			p.Deadline = p.Flow.Time.Add(time.Minute)
			switch what {
			case "ask":
				service.ask(p)
			case "block":
				f := p.Flow
				f.Decision = flow.Decision{Verdict: flow.Block, By: flow.By{Kind: flow.ByLimit, Name: "unattended"}}
				service.block(f)
			}
		}
	}()
	return app.Run(ctx)
}
