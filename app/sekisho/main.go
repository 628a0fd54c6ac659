// Sekisho is the tray app: it asks when a program without a rule connects, and shows
// what is connected and allowed. The firewall itself is sekishod.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"sekisho/app/api"
	"sekisho/ui"
)

// version is set by the build.
var version = "dev"

func main() { os.Exit(run(os.Args[1:])) }

// run returns the exit code: 0 done, 1 failed, 2 wrong usage.
func run(args []string) int {
	flags := flag.NewFlagSet("sekisho", flag.ContinueOnError)
	socket := flags.String("socket", "/run/sekisho/sekisho.sock", "where the service listens")
	language := flags.String("language", "", "en or ja; the desktop's if empty")
	theme := flags.String("theme", "", "light or dark; the desktop's if empty")
	show := flags.Bool("version", false, "print the version and exit")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if *show {
		fmt.Println("sekisho", version)
		return 0
	}
	if flags.NArg() > 0 || *theme != "" && *theme != "light" && *theme != "dark" {
		fmt.Fprintln(os.Stderr, "sekisho: want no arguments, and light or dark as the theme; see --help")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	client := api.Dial(*socket)
	defer client.Close()
	app, err := ui.New(client, ui.Options{Language: *language, Theme: *theme})
	if err != nil {
		fmt.Fprintln(os.Stderr, "sekisho:", err)
		return 2
	}
	if err := app.Run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "sekisho:", err)
		return 1
	}
	return 0
}
