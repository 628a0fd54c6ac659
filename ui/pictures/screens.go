package main

import (
	"time"

	"fyne.io/fyne/v2"

	appprompt "sekisho/app/prompt"
	"sekisho/ui/prompt"
	"sekisho/ui/sample"
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
