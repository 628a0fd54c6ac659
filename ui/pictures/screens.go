package main

import (
	"context"
	"time"

	"fyne.io/fyne/v2"

	"sekisho/app/api"
	"sekisho/app/flow"
	appprompt "sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/ui/confirm"
	"sekisho/ui/mainwindow"
	"sekisho/ui/prompt"
	"sekisho/ui/sample"
	"sekisho/ui/text"
	"sekisho/ui/view"
)

// screens lists every picture.
func screens() []screen {
	return []screen{
		{name: "prompt-known", content: promptScreen("known", false, false)},
		{name: "prompt-script", content: promptScreen("script", true, false)},
		{name: "prompt-risky", content: promptScreen("risky", false, false)},
		{name: "prompt-incoming", content: promptScreen("incoming", false, false)},
		{name: "prompt-unknown", content: promptScreen("unknown", false, false)},
		{name: "prompt-details", content: promptScreen("script", false, true)},
		{name: "confirm-pause", content: confirmScreen},
		{name: "connections", content: mainScreen(mainwindow.Connections, sample.Connections(), sample.Rules(), nil), size: mainwindow.Size},
		{name: "rules", content: mainScreen(mainwindow.Rules, sample.Connections(), sample.Rules(), nil), size: mainwindow.Size},
		{name: "connections-empty", content: mainScreen(mainwindow.Connections, nil, nil, nil), size: mainwindow.Size},
		{name: "rules-not-protecting", content: mainScreen(mainwindow.Rules, nil, nil, &api.Status{Mode: api.ModeOff}), size: mainwindow.Size},
	}
}

// promptScreen shows a sample as it looks when its buttons can be pressed.
func promptScreen(name string, others, details bool) func() fyne.CanvasObject {
	return func() fyne.CanvasObject {
		clock := sample.Now
		v := prompt.New(prompt.Actions{}, func() time.Time { return clock })
		var q view.Queue
		all := []appprompt.Prompt{sample.Prompt(name)}
		if others {
			all = append(all, sample.Prompt("known"), sample.Prompt("risky"))
		}
		q.Set(all)
		v.Show(view.Ask(all[0]), q.Others())
		if details {
			v.ToggleDetails()
		}
		clock = clock.Add(prompt.ArmDelay)
		v.Tick()
		return v.Root()
	}
}

// mainScreen shows a page of the main window, with a status or a good one.
func mainScreen(page string, flows []flow.Flow, rules []rule.Rule, status *api.Status) func() fyne.CanvasObject {
	return func() fyne.CanvasObject {
		service := sample.NewService(flows, rules)
		if status != nil {
			service.SetStatus(*status)
		}
		o, err := mainwindow.Preview(context.Background(), service, sample.Clock{}, mainwindow.Options{}, page, true)
		if err != nil {
			panic(err) // a sample never fails
		}
		return o
	}
}

func confirmScreen() fyne.CanvasObject {
	return confirm.Content(confirm.Question{
		Title: text.T("confirm.pause.title"),
		Text:  text.T("confirm.pause.text", "Span", text.T("tray.pause.15m")),
		Yes:   text.T("confirm.pause.yes"),
	}, func() {})
}
