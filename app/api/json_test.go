package api

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"sekisho/app/flow"
	"sekisho/app/prompt"
)

var curl = flow.Flow{
	ID: "f1", Time: time.Date(2026, 1, 2, 15, 4, 5, 0, time.FixedZone("JST", 9*3600)), Direction: flow.Out, Protocol: flow.TCP,
	Process: &flow.Process{
		ProcessID: flow.ProcessID{PID: 42, Start: 7}, UID: 1000, User: "ann", Args: []string{"curl", "https://example.com"},
		Program: flow.Program{Path: "/usr/bin/curl", Name: "curl", Package: "curl", Unit: "app.scope", SHA256: "ab"},
		Parents: []flow.Ancestor{{ProcessID: flow.ProcessID{PID: 41}, Path: "/usr/bin/bash", Name: "bash"}},
	},
	Local:    flow.Endpoint{Addr: netip.MustParseAddr("192.0.2.1"), Port: 40000},
	Remote:   flow.Endpoint{Addr: netip.MustParseAddr("192.0.2.2"), Port: 443, Name: "example.com"},
	Decision: flow.Decision{Verdict: flow.Allow, By: flow.By{Kind: flow.ByRule, ID: "12", Name: "curl"}},
	Bytes:    flow.Bytes{Sent: 5, Received: 6}, Packets: flow.Packets{Sent: 2, Received: 3}, State: flow.Open,
}

// The strings are what scripts rely on: they change with the contract alone.
func TestJSON(t *testing.T) {
	since := time.Date(2026, 1, 2, 6, 0, 0, 0, time.UTC)
	waiting := curl
	waiting.Decision = flow.Decision{}
	for name, c := range map[string]struct {
		v    any
		want string
	}{
		"flow": {ToFlowJSON(curl), `{"id":"f1","time":"2026-01-02T06:04:05Z","direction":"out","protocol":"tcp",` +
			`"program":{"path":"/usr/bin/curl","name":"curl","pid":42,"uid":1000,"user":"ann","package":"curl","unit":"app.scope","sha256":"ab",` +
			`"args":["curl","https://example.com"],"parents":[{"path":"/usr/bin/bash","pid":41,"name":"bash"}]},` +
			`"local":{"address":"192.0.2.1","port":40000},"remote":{"address":"192.0.2.2","port":443,"name":"example.com"},` +
			`"verdict":"allow","by":{"kind":"rule","id":"12","name":"curl"},"bytes":{"sent":5,"received":6},"packets":{"sent":2,"received":3},"state":"open"}`},
		"flow of nobody": {ToFlowJSON(flow.Flow{ID: "f2", Direction: flow.In, Process: &flow.Process{}}),
			`{"id":"f2","direction":"in","program":{},"verdict":"waiting","bytes":{"sent":0,"received":0},"packets":{"sent":0,"received":0}}`},
		"flow of root": {ToFlowJSON(flow.Flow{ID: "f3", Process: &flow.Process{ProcessID: flow.ProcessID{PID: 1}}}).Program,
			`{"pid":1,"uid":0}`},
		"prompt": {ToPromptJSON(prompt.Prompt{ID: "p1", Flow: waiting, Flows: 2, Deadline: since, State: prompt.Waiting,
			Warnings: []prompt.Warning{{Code: "new", Text: "Appeared a minute ago"}},
			Scopes:   []prompt.Scope{{Kind: prompt.HostAndPort, To: "example.com", Port: 443}, {Kind: prompt.Anything}}}).Prompt,
			`{"id":"p1","flows":2,"deadline":"2026-01-02T06:00:00Z","state":"waiting","warnings":[{"code":"new","text":"Appeared a minute ago"}],` +
				`"scopes":[{"kind":"host-port","to":"example.com","port":443},{"kind":"any"}]}`},
		"status": {ToStatusJSON(Status{Version: "1", Mode: ModeOff, ModeUntil: since, Since: since, Rules: 3, Waiting: 1,
			Kernel: Kernel{"6.18", "kernel", "native"}, Problems: []Problem{{What: "the mode is off", Since: since, Do: "sekishoctl mode ask"}}}),
			`{"version":"1","mode":"off","mode_until":"2026-01-02T06:00:00Z","enforcing":false,"since":"2026-01-02T06:00:00Z","rules":3,"waiting":1,` +
				`"kernel":{"release":"6.18","decisions":"kernel","queue":"native"},` +
				`"counters":{"flows":0,"queued":0,"queue_dropped":0,"unattributed":0,"prompts":0,"answered":0,"missed":0,"over_limit":0,"events_lost":0,"not_saved":0,"refused":0,"unidentified":0,"not_shown":0},` +
				`"problems":[{"what":"the mode is off","since":"2026-01-02T06:00:00Z","do":"sekishoctl mode ask"}]}`},
		"explanation": {ToExplanationJSON(Explanation{Decision: curl.Decision, Steps: []Step{{What: "rule 12", Matched: true, Decided: true, Why: "it names curl"}}}),
			`{"verdict":"allow","by":{"kind":"rule","id":"12","name":"curl"},"steps":[{"what":"rule 12","matched":true,"decided":true,"why":"it names curl"}]}`},
		"settings": {ToSettingsJSON(Settings{Deadline: 90 * time.Second, Unattended: "block", WhenStopped: "open"}),
			`{"deadline_seconds":90,"unattended":"block","when_stopped":"open","disabled_presets":[],"trust":false}`},
	} {
		got, err := json.Marshal(c.v)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if string(got) != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
}

// A prompt is a flow with one more field.
func TestPromptIsFlow(t *testing.T) {
	b, err := json.Marshal(ToPromptJSON(prompt.Prompt{ID: "p1", Flow: curl}))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if got["id"] != "f1" || got["verdict"] != "waiting" || got["prompt"].(map[string]any)["id"] != "p1" {
		t.Errorf("got %s", b)
	}
}
