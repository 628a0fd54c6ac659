package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"sekisho/app/api"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/lab"
)

// askFigure is how long one step of asking takes.
type askFigure struct {
	What   string `json:"what"`
	Spread spread `json:"time"`
	Target micros `json:"target_us"` // for the median
}

const (
	promptTarget = 100 * time.Millisecond
	answerTarget = 10 * time.Millisecond
	answerWithin = 10 * time.Second
)

// asks measures what lies between an undecided program, a person and back. The program
// is started anew each time.
func (sc *scene) asks(o options) []askFigure {
	program := sc.Home.Program("undecided")
	seen, stop := sc.watch()
	defer stop()
	var listed, streamed []time.Duration
	for range o.asks {
		a := sc.begin(program)
		id, at := sc.awaitListed(program)
		<-seen
		sc.answer(a, id, rule.Block, rule.Once)
		listed = append(listed, at-a.timed.Began)
	}
	figures := []askFigure{{What: "connect() to prompt in sekishoctl prompts --json", Target: micros(promptTarget)},
		{What: "connect() to prompt through the API", Target: micros(promptTarget)}}
	for _, c := range []struct {
		what     string
		action   rule.Action
		lifetime rule.LifetimeKind
	}{
		{"answer allow once to connect() done", rule.Allow, rule.Once},
		{"answer block once to error", rule.Block, rule.Once},
		{"answer allow always to connect() done", rule.Allow, rule.Always},
		{"answer block always to error", rule.Block, rule.Always},
	} {
		var spans []time.Duration
		for range o.asks {
			a := sc.begin(program)
			p := sc.awaitSeen(seen)
			spans = append(spans, sc.answer(a, p.id, c.action, c.lifetime))
			streamed = append(streamed, p.at-a.timed.Began)
		}
		figures = append(figures, askFigure{c.what, spreadOf(spans), micros(answerTarget)})
	}
	figures[0].Spread, figures[1].Spread = spreadOf(listed), spreadOf(streamed)
	return figures
}

// asked is one undecided connection.
type asked struct {
	runner *runner
	timed  timed // once it has ended
}

// begin starts the program and lets it connect.
func (sc *scene) begin(p *lab.Program) *asked {
	// Not in step with the service's timers.
	time.Sleep(20*time.Millisecond + monotonic()%37*time.Millisecond)
	a := &asked{runner: sc.run(p, true)}
	sc.s.Must("begin", a.runner.begin(round{Count: 1, CPU: sc.cpus()[0], Target: sc.target}))
	return a
}

// answer answers the prompt and returns how long after that the connect() ended.
func (sc *scene) answer(a *asked, id string, action rule.Action, lifetime rule.LifetimeKind) time.Duration {
	scope := prompt.Scope{Kind: prompt.HostAndPort, To: sc.target.Addr().String(), Port: port}
	at := monotonic()
	r, err := sc.api.Answer(sc.s.Context(), id, prompt.Answer{Action: action, Lifetime: lifetime, Scope: scope})
	sc.s.Must("answer", err)
	a.timed, err = a.runner.end()
	sc.s.Must("undecided program", err)
	sc.clear()
	blocked := len(a.timed.Errors) > 0
	if blocked != (action == rule.Block) || blocked && a.timed.Errors["ECONNREFUSED"]+a.timed.Errors["EPERM"] != 1 {
		sc.s.Fatalf("connect() after %s ended with %v", action, a.timed.Errors)
	}
	sc.s.Must("end", a.runner.quit())
	if r != nil {
		sc.s.Must("remove the answer's rule", sc.api.RemoveRule(sc.s.Context(), r.ID))
	}
	return a.timed.Began + a.timed.Connect[0] - at
}

// sighting is a prompt and when it was seen.
type sighting struct {
	id string
	at time.Duration // monotonic
}

// watch tells of each prompt when it first comes through the API. stop ends that.
func (sc *scene) watch() (seen chan sighting, stop func()) {
	seen = make(chan sighting, 16)
	ctx, cancel := context.WithCancel(sc.s.Context())
	ended, ready := make(chan struct{}), make(chan struct{})
	var failure error // once ended
	var begun sync.Once
	var known []string
	go func() {
		defer close(ended)
		failure = sc.api.Watch(ctx, func(e api.Event) {
			begun.Do(func() { close(ready) }) // the stream begins with how things are
			if e.Prompt == nil || e.Prompt.State != prompt.Waiting || slices.Contains(known, e.Prompt.ID) {
				return
			}
			known = append(known, e.Prompt.ID)
			seen <- sighting{e.Prompt.ID, monotonic()}
		})
	}()
	select {
	case <-ready:
	case <-ended:
		cancel()
		sc.s.Fatalf("watch prompts: %v", failure)
	}
	return seen, func() {
		cancel()
		<-ended
	}
}

func (sc *scene) awaitSeen(seen <-chan sighting) sighting {
	select {
	case p := <-seen:
		return p
	case <-time.After(answerWithin):
		sc.s.Fatalf("no prompt came through the API within %v", answerWithin)
		return sighting{}
	}
}

// awaitListed runs sekishoctl prompts --json until the program's prompt is in it, and
// returns when that run had ended.
func (sc *scene) awaitListed(p *lab.Program) (id string, at time.Duration) {
	type listed struct {
		Program struct{ Path string }
		Prompt  struct{ ID, State string }
	}
	for end := time.Now().Add(answerWithin); time.Now().Before(end); {
		var all []listed
		sc.s.Must("list prompts", sc.service.CtlJSON(sc.s.Context(), &all, "prompts"))
		now := monotonic()
		for _, l := range all {
			if l.Prompt.State == string(prompt.Waiting) && l.Program.Path == p.Path {
				return l.Prompt.ID, now
			}
		}
	}
	sc.s.Fatalf("no prompt in sekishoctl prompts --json within %v", answerWithin)
	return "", 0
}

func printAsks(w io.Writer, all []askFigure) error {
	fmt.Fprintf(w, "\nAsking, in ms; the target is for the median\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "\tp50\tp90\tmax\ttarget\t\n")
	for _, f := range all {
		met := "met"
		if f.Spread.P50 > f.Target {
			met = "missed"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s %s\t\n", f.What, ms(f.Spread.P50), ms(f.Spread.P90), ms(f.Spread.Max), ms(f.Target), met)
	}
	return t.Flush()
}

func ms(m micros) string { return fmt.Sprintf("%.2f", float64(m)/1e6) }
