package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
)

// tryAll makes every call there is and prints what came of it.
func tryAll(socket string) int {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c := api.Dial(socket)
	defer c.Close()
	got := map[string]outcome{}

	status, err := c.Status(ctx)
	got["status"] = outcomeOf(err, fmt.Sprint(status.Rules), fmt.Sprint(status.Waiting))
	got["mode"] = outcomeOf(c.SetMode(ctx, api.ModeOff, 0))
	_, err = c.Settings(ctx)
	got["settings"] = outcomeOf(err)
	got["set settings"] = outcomeOf(c.SetSettings(ctx, api.Settings{Deadline: time.Second, Unattended: "block", WhenStopped: "open"}))

	rules, err := c.Rules(ctx)
	var ids []string
	for _, r := range rules {
		ids = append(ids, r.ID)
	}
	got["rules"] = outcomeOf(err, ids...)
	for name, r := range map[string]rule.Rule{
		"add": ruleFor("", "/usr/bin/added"), "add by number": ruleFor("12345", "/usr/bin/added"),
		"add for root": ruleFor("root", "/usr/bin/added"), "add for 0": ruleFor("0", "/usr/bin/added"),
	} {
		r.By, r.ID, r.Hits = "root", "77", 99
		r, err := c.AddRule(ctx, r, 0)
		got[name] = outcomeOf(err, r.User, r.By, fmt.Sprint(r.Hits))
	}
	for id, name := range map[string]string{"1": "everybody's", "2": "root's", "3": "own", "999": "no"} {
		r := ruleFor("", "/usr/bin/edited")
		r.ID = id
		_, err := c.EditRule(ctx, r, 0)
		got["edit "+name] = outcomeOf(err)
		got["disable "+name] = outcomeOf(c.EnableRule(ctx, id, false))
		if name != "own" {
			got["remove "+name] = outcomeOf(c.RemoveRule(ctx, id))
		}
	}
	r := ruleFor("root", "/usr/bin/edited")
	r.ID = "3"
	_, err = c.EditRule(ctx, r, 0)
	got["give own to root"] = outcomeOf(err)
	_, err = c.ImportRules(ctx, []byte(`{"version":1,"rules":[]}`), true)
	got["import"] = outcomeOf(err)

	prompts, err := c.Prompts(ctx)
	ids = nil
	for _, p := range prompts {
		ids = append(ids, p.ID)
	}
	got["prompts"] = outcomeOf(err, ids...)
	for _, id := range []string{"root-1", "f-root-1", "f-later", "no-such", "own-1", "f-own-2"} {
		_, err := c.Answer(ctx, id, allowOnce)
		got["answer "+id] = outcomeOf(err)
	}

	flows, err := c.Connections(ctx)
	ids = nil
	for _, f := range flows {
		ids = append(ids, f.ID)
	}
	got["connections"] = outcomeOf(err, ids...)
	ids = nil
	err = c.Activity(ctx, api.ActivityFilter{}, func(f flow.Flow) { ids = append(ids, f.ID) })
	got["activity"] = outcomeOf(err, ids...)
	for _, user := range []string{"", "12345", "root", "0"} {
		_, err := c.Explain(ctx, api.Question{Program: "/usr/bin/curl", To: "example.com", User: user})
		got["explain "+user] = outcomeOf(err)
	}
	_, err = c.Explain(ctx, api.Question{Program: "/usr/bin/curl", To: "example.com", Live: true})
	got["explain live"] = outcomeOf(err)
	for _, id := range []string{"f-own-1", "h-own", "f-root-1", "no-such"} {
		_, err := c.Explain(ctx, api.Question{Flow: id})
		got["explain "+id] = outcomeOf(err)
	}
	got["backup"] = outcomeOf(c.Backup(ctx, &bytes.Buffer{}))
	got["restore"] = outcomeOf(c.Restore(ctx, strings.NewReader("x")))
	return printJSON(got)
}

// What is not theirs, another user neither sees nor changes, and is told why.
func TestAnotherUser(t *testing.T) {
	s := start(t, nil)
	ctx := t.Context()
	for _, user := range []string{"", "root", "12345"} {
		if _, err := s.client.AddRule(ctx, ruleFor(user, "/usr/bin/before"), 0); err != nil {
			t.Fatal(err)
		}
	}
	s.backend.Ask(promptOf("root-1", 0, "/usr/bin/system"))
	s.backend.Ask(promptOf("own-1", stranger, "/usr/bin/theirs"))
	s.backend.Ask(promptOf("own-2", stranger, "/usr/bin/theirs"))
	later := flowOf("f-later", 0, "/usr/bin/system")
	s.backend.Connect(later)
	unknown := flowOf("f-unknown", 0, "")
	unknown.Process = &flow.Process{}
	s.backend.Connect(unknown)
	for id, uid := range map[string]uint32{"h-root": 0, "h-own": stranger, "h-other": 1000} {
		s.backend.Record(flowOf(id, uid, "/usr/bin/past"))
	}
	settings, _ := s.backend.Settings(ctx)

	out, err := as(t, stranger, "try", s.socket).Output()
	if err != nil {
		t.Fatalf("stranger: %v\n%s", err, out)
	}
	var got map[string]outcome
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v in %s", err, out)
	}

	done := map[string][]string{
		"status": {"3", "3"}, "settings": nil, "rules": {"3"}, "add": {"12345", "12345", "0"}, "add by number": {"12345", "12345", "0"},
		"edit own": nil, "disable own": nil, "prompts": {"own-1", "own-2"}, "answer own-1": nil, "answer f-own-2": nil,
		"connections": {"f-own-1", "f-own-2"}, "activity": {"h-own"}, "explain ": nil, "explain 12345": nil,
		"explain f-own-1": nil, "explain h-own": nil,
	}
	// What is another's is as if it were not there.
	for _, id := range []string{"f-root-1", "no-such"} {
		if o := got["explain "+id]; o.Code != api.NotFound || o.Message != fmt.Sprintf("there is no connection %s; sekishoctl activity --json shows their ids", id) {
			t.Errorf("explain %s: %+v", id, o)
		}
		delete(got, "explain "+id)
	}
	for name, o := range got {
		want, ok := done[name]
		switch {
		case ok && o.Code != 0:
			t.Errorf("%s: refused: %s", name, o.Message)
		case ok && !slices.Equal(o.Got, want):
			t.Errorf("%s: got %q, want %q", name, o.Got, want)
		case !ok && o.Code != api.NotPermitted:
			t.Errorf("%s: code %d (%s), want not permitted", name, o.Code, o.Message)
		case !ok && (o.Message == "" || strings.Contains(o.Message, "\n")):
			t.Errorf("%s: %q is no line that helps", name, o.Message)
		}
	}
	if len(got) != 40 {
		t.Errorf("the stranger tried %d calls", len(got))
	}

	// Nothing changed but what is theirs.
	rules, _ := s.backend.Rules(ctx)
	var paths []string
	for _, r := range rules {
		paths = append(paths, fmt.Sprintf("%s:%s:%v", r.User, r.Program.Path, r.Enabled))
	}
	want := []string{":/usr/bin/before:true", "root:/usr/bin/before:true", "12345:/usr/bin/edited:false", "12345:/usr/bin/added:true", "12345:/usr/bin/added:true"}
	if !slices.Equal(paths, want) {
		t.Errorf("rules: %q, want %q", paths, want)
	}
	if after, _ := s.backend.Settings(ctx); !reflect.DeepEqual(after, settings) {
		t.Errorf("settings: %+v", after)
	}
	if status, _ := s.backend.Status(ctx); status.Mode != api.ModeAsk {
		t.Errorf("mode: %s", status.Mode)
	}
	prompts, _ := s.backend.Prompts(ctx)
	if len(prompts) != 1 || prompts[0].ID != "root-1" {
		t.Errorf("prompts left: %+v", prompts)
	}
	for _, a := range s.backend.Answers() {
		if a.Answer.By != "12345" || a.Answer.User != "12345" {
			t.Errorf("answer %s is by %q about %q", a.ID, a.Answer.By, a.Answer.User)
		}
	}
	for _, q := range s.backend.Asked() {
		if q.User != "12345" || q.Asker != (api.Asker{UID: stranger}) || q.Live {
			t.Errorf("explained for %q", q.User)
		}
	}
}

// watchAsStranger prints the events that it gets, an object a line, until one says that
// a prompt named "own-last" is gone.
func watchAsStranger(socket string) int {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c := api.Dial(socket)
	defer c.Close()
	err := c.Attend(ctx, func(e api.Event) {
		var id string
		switch {
		case e.Prompt != nil:
			id = e.Prompt.ID
		case e.Blocked != nil:
			id = e.Blocked.ID
		case e.Gone != "":
			id = "gone " + e.Gone
		case e.Rules:
			id = "rules"
		case e.Status != nil:
			id = "status"
		}
		printJSON(id)
		if e.Gone == "own-last" {
			cancel()
		}
	})
	if ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func TestEventsOfAnotherUser(t *testing.T) {
	s := start(t, nil)
	s.backend.Ask(promptOf("own-old", stranger, "/usr/bin/theirs"))
	c := as(t, stranger, "watch", s.socket)
	var out bytes.Buffer
	c.Stdout = &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the stranger attends", func() bool { return s.backend.Watching() == 1 })
	s.backend.Ask(promptOf("root-1", 0, "/usr/bin/system"))
	s.backend.Ask(promptOf("own-last", stranger, "/usr/bin/theirs"))
	blocked, own := flowOf("b-root", 0, "/x"), flowOf("b-own", stranger, "/x")
	s.backend.Emit(api.Event{Blocked: &blocked})
	s.backend.Emit(api.Event{Blocked: &own})
	s.backend.Emit(api.Event{Rules: true})
	s.backend.Emit(api.Event{Gone: "root-1"})
	s.backend.Emit(api.Event{Gone: "own-old"})
	s.backend.Emit(api.Event{Gone: "own-last"})
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	want := `"status"` + "\n" + `"own-last"` + "\n" + `"b-own"` + "\n" + `"rules"` + "\n" + `"gone own-old"` + "\n" + `"gone own-last"` + "\n"
	if out.String() != want {
		t.Errorf("the stranger saw\n%swant\n%s", out.String(), want)
	}
	a := s.backend.Attended()
	if len(a) != 1 || a[0].UID != stranger || a[0].Admin {
		t.Errorf("attended: %+v", a)
	}
}

func TestRoot(t *testing.T) {
	s := start(t, nil)
	ctx := t.Context()
	s.backend.Ask(promptOf("p1", stranger, "/usr/bin/theirs"))
	r, err := s.client.AddRule(ctx, ruleFor("12345", "/usr/bin/x"), 0)
	if err != nil || r.User != "12345" || r.By != "root" || r.Created.IsZero() {
		t.Errorf("added %+v, %v", r, err)
	}
	if got, err := s.client.Answer(ctx, "p1", prompt.Answer{Action: rule.Block, Lifetime: rule.Always, Scope: prompt.Scope{Kind: prompt.Anything}}); err != nil || got == nil || got.User != "" {
		t.Errorf("answered %+v, %v", got, err)
	}
	if err := s.client.SetMode(ctx, api.ModeBlock, time.Minute); err != nil {
		t.Error(err)
	}
	status, err := s.client.Status(ctx)
	if err != nil || status.Mode != api.ModeBlock || status.ModeUntil.IsZero() {
		t.Errorf("status %+v, %v", status, err)
	}
	if _, err := s.client.Answer(ctx, "p1", allowOnce); api.CodeOf(err) != api.NotFound {
		t.Errorf("answered twice: %v", err)
	}
	if err := s.client.RemoveRule(ctx, "999"); api.CodeOf(err) != api.NotFound {
		t.Errorf("removed what is not there: %v", err)
	}
}

// squat listens as a user who is not the service.
func squat(socket string) int {
	l, err := net.Listen("unix", socket)
	if err != nil {
		return 1
	}
	defer l.Close()
	printJSON("listening")
	conn, err := l.Accept()
	if err != nil {
		return 1
	}
	defer conn.Close()
	n, _ := conn.Read(make([]byte, 1))
	return printJSON(n)
}

func TestSquatter(t *testing.T) {
	dir := openDir(t)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	socket := dir + "/s.sock"
	c := as(t, stranger, "listen", socket)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(out)
	var line string
	if err := d.Decode(&line); err != nil {
		t.Fatal(err)
	}
	client := api.Dial(socket)
	defer client.Close()
	_, err = client.Status(t.Context())
	if api.CodeOf(err) != api.NoService || !strings.Contains(err.Error(), "served by user 12345") {
		t.Errorf("talked to a squatter: %v", err)
	}
	var told int
	if err := d.Decode(&told); err != nil || told != 0 {
		t.Errorf("the squatter was told %d bytes, %v", told, err)
	}
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
}
