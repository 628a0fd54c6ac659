package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
)

// lines is where answers are typed. One goroutine at a time calls it.
type lines interface {
	// take prepares for a question, and the function that it returns for what comes
	// after it.
	take() (release func(), err error)
	// line reads one; io.EOF when there are no more, the context's error when it ends.
	line(ctx context.Context) (string, error)
	// idle is line while nothing is asked; it leaves alone what is for a question.
	idle(ctx context.Context) (string, error)
}

// asker puts the prompts of a service to a person, one after the other.
type asker struct {
	service api.Service
	in      lines
	out     io.Writer                                            // questions
	given   func(p prompt.Prompt, a prompt.Answer, r *rule.Rule) // tells what came of an answer
	missed  bool                                                 // ask about what waits no more too, and end when nothing is left

	queue  []prompt.Prompt // the first is the one that is asked
	passed map[string]bool // skipped

	events chan api.Event
	ended  chan struct{} // closed when there are no more events
	why    error         // the reason, once ended is closed
}

// run asks until the person quits, the lines end or the context does. It owns the
// asker; the stream of events is read in a goroutine that ends with it.
func (a *asker) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a.events, a.ended = make(chan api.Event), make(chan struct{})
	go func() {
		defer close(a.ended)
		a.why = a.service.Attend(ctx, func(e api.Event) {
			select {
			case a.events <- e:
			case <-ctx.Done():
			}
		})
	}()
	err := a.loop(ctx)
	cancel()
	<-a.ended
	return err
}

// lost is the error for a stream of events that ended; a.ended is closed.
func (a *asker) lost() error {
	if a.why == nil {
		return api.Errorf(api.NoService, "the service ended the conversation; try again")
	}
	return a.why
}

func (a *asker) loop(ctx context.Context) error {
	a.passed = make(map[string]bool)
	select { // the first event says that this program attends
	case e := <-a.events:
		a.note(e)
	case <-a.ended:
		return a.lost()
	}
	prompts, err := a.service.Prompts(ctx)
	if err != nil {
		return err
	}
	for _, p := range prompts {
		a.enqueue(p)
	}
	for {
		if len(a.queue) > 0 {
			quit, err := a.ask(ctx, a.queue[0])
			if quit || err != nil {
				return err
			}
			continue
		}
		if a.missed {
			fmt.Fprintf(a.out, "Nothing is left to answer.\n")
			return nil
		}
		text, err := a.read(ctx, a.in.idle, func() bool { return len(a.queue) > 0 })
		switch word := strings.TrimSpace(text); {
		case errors.Is(err, errSettled):
		case errors.Is(err, io.EOF), word == "q", word == "quit":
			return nil
		case err != nil:
			return err
		case word != "":
			fmt.Fprintf(a.out, "Nothing is asked now; q quits.\n")
		}
	}
}

// note keeps the queue as the service has it.
func (a *asker) note(e api.Event) {
	if e.Prompt != nil {
		a.enqueue(*e.Prompt)
	}
	if e.Gone != "" {
		a.drop(e.Gone)
		delete(a.passed, e.Gone)
	}
}

func (a *asker) enqueue(p prompt.Prompt) {
	if p.State != prompt.Waiting && !a.missed {
		a.drop(p.ID)
		return
	}
	if a.passed[p.ID] {
		return
	}
	if i := a.find(p.ID); i >= 0 {
		a.queue[i] = p
		return
	}
	a.queue = append(a.queue, p)
}

func (a *asker) find(id string) int {
	return slices.IndexFunc(a.queue, func(p prompt.Prompt) bool { return p.ID == id })
}

func (a *asker) drop(id string) {
	if i := a.find(id); i >= 0 {
		a.queue = slices.Delete(a.queue, i, i+1)
	}
}

// ask puts one prompt to the person until it is answered, passed over, or gone.
func (a *asker) ask(ctx context.Context, p prompt.Prompt) (quit bool, err error) {
	release, err := a.in.take()
	if err != nil {
		return false, err
	}
	defer release()
	a.show(p)
	for {
		fmt.Fprint(a.out, "> ")
		text, err := a.read(ctx, a.in.line, func() bool { return a.find(p.ID) < 0 })
		switch {
		case errors.Is(err, errSettled):
			fmt.Fprintf(a.out, "\nIt needs no answer any more.\n")
			return false, nil
		case errors.Is(err, io.EOF):
			fmt.Fprintln(a.out)
			for _, left := range a.queue {
				fmt.Fprintf(a.out, "Not answered: %s\n", wants(left.Flow))
			}
			return true, nil
		case err != nil:
			return false, err
		}
		switch done, quit, err := a.say(ctx, p, text); {
		case err != nil:
			return false, err
		case done || quit:
			return quit, nil
		}
	}
}

// errSettled ends a read that has no purpose any more.
var errSettled = errors.New("settled")

// read reads a line until events settle it.
func (a *asker) read(ctx context.Context, line func(context.Context) (string, error), settled func() bool) (string, error) {
	type typed struct {
		text string
		err  error
	}
	under, cancel := context.WithCancel(ctx)
	defer cancel()
	got := make(chan typed, 1)
	go func() {
		text, err := line(under)
		got <- typed{text, err}
	}()
	stop := func(err error) (string, error) {
		cancel()
		<-got
		return "", err
	}
	for {
		select {
		case t := <-got:
			return t.text, t.err
		case e := <-a.events:
			if a.note(e); settled() {
				return stop(errSettled)
			}
		case <-a.ended:
			return stop(a.lost())
		}
	}
}

// say does what was typed.
func (a *asker) say(ctx context.Context, p prompt.Prompt, text string) (done, quit bool, err error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return false, false, nil
	}
	switch words[0] {
	case "q", "quit":
		return false, true, nil
	case "s", "skip":
		a.passed[p.ID] = true
		a.drop(p.ID)
		return true, false, nil
	case "?", "h", "help":
		fmt.Fprint(a.out, askHelp)
		return false, false, nil
	case "i", "info":
		fmt.Fprint(a.out, details(p))
		return false, false, nil
	}
	answer, err := parseAnswer(p.Flow, words)
	if err != nil {
		fmt.Fprintf(a.out, "%s\n", safe(err.Error()))
		return false, false, nil
	}
	if answer.Lifetime == rule.Once && !a.waits(p) {
		fmt.Fprintf(a.out, "It waits no more, so once would do nothing. Say for how long: A or B for always, or as in: %s 1h\n", safe(words[0]))
		return false, false, nil
	}
	answer.Generation = p.Generation
	r, err := a.service.Answer(ctx, p.ID, answer)
	switch code := api.CodeOf(err); {
	case err == nil:
		a.drop(p.ID)
		a.given(p, answer, r)
		return true, false, nil
	case code == api.NoService:
		return false, false, err
	case code == api.NotFound:
		a.drop(p.ID)
		fmt.Fprintf(a.out, "It needs no answer any more.\n")
		return true, false, nil
	}
	fmt.Fprintf(a.out, "%s\n", safe(oneLine(err)))
	return false, false, nil
}

// waits reports whether p still waited when it was last heard of.
func (a *asker) waits(p prompt.Prompt) bool {
	if i := a.find(p.ID); i >= 0 {
		p = a.queue[i]
	}
	return p.State == prompt.Waiting
}

const askHelp = `  a   allow, just this once        b   block, just this once
  A   always allow this            B   always block this
  s   skip: ask later              i   show more about it
  q   quit                         ?   show this

  For how long and for what, as in:  a 1h   b always any   a quit host
    how long: once, quit (until it quits), boot (until restart), always, 15m, 1h, …
    for what: host-port (this host on this port), host (all of this host),
              port (any host on this port), any (whatever the program does),
              or a name, *.domain, address or network
`

// parseAnswer reads "a", "B", "allow 1h host", …
func parseAnswer(f flow.Flow, words []string) (prompt.Answer, error) {
	a := prompt.Answer{Lifetime: rule.Once}
	switch words[0] {
	case "a", "allow", "y", "yes":
		a.Action = rule.Allow
	case "b", "block", "n", "no":
		a.Action = rule.Block
	case "A":
		a.Action, a.Lifetime = rule.Allow, rule.Always
	case "B":
		a.Action, a.Lifetime = rule.Block, rule.Always
	default:
		return a, fmt.Errorf("%q is none of a, A, b, B, s, i, q; type ? for help", words[0])
	}
	to := ""
	for _, w := range words[1:] {
		if kind, d, err := rule.ParseLifetime(w); err == nil {
			a.Lifetime, a.For = kind, d
			continue
		}
		if to != "" {
			return a, fmt.Errorf("%q: for what, twice? type ? for help", w)
		}
		to = w
	}
	var err error
	a.Scope, err = scopeOf(f, to, "")
	return a, err
}

// show puts the question in plain words.
func (a *asker) show(p prompt.Prompt) {
	fmt.Fprintf(a.out, "\n%s\n", wants(p.Flow))
	f := p.Flow
	if by := startedBy(f); by != "" {
		fmt.Fprintf(a.out, "  %s\n", by)
	}
	if f.Remote.Name != "" && f.Remote.Addr.IsValid() {
		fmt.Fprintf(a.out, "  the address is %s\n", f.Remote.Addr)
	}
	for _, w := range p.Warnings {
		fmt.Fprintf(a.out, "  ! %s\n", word(w.Text))
	}
	for _, path := range p.Predecessors {
		fmt.Fprintf(a.out, "  it may be %s by another name: sekishoctl answer %s --like %s\n", word(path), word(p.ID), word(path))
	}
	if p.Flows > 1 {
		fmt.Fprintf(a.out, "  %d connections wait for this answer\n", p.Flows)
	}
	if more := len(a.queue) - 1; more > 0 {
		fmt.Fprintf(a.out, "  %s after this\n", count(more, "more question", "more questions"))
	}
	if left := time.Until(p.Deadline); left > 0 && p.State == prompt.Waiting {
		fmt.Fprintf(a.out, "  blocked in %s if you don't answer\n", span(left))
	}
	if now := waitsNoMore[p.State]; now != "" {
		fmt.Fprintf(a.out, "  %s; an answer makes a rule for the next time\n", now)
		fmt.Fprintf(a.out, "  [A]lways allow  [B] always block  (or as in: a 1h)  [s]kip  [i]nfo  [q]uit  [?]\n")
		return
	}
	fmt.Fprintf(a.out, "  [a]llow once  [A]lways allow  [b]lock once  [B] always block  [s]kip  [i]nfo  [q]uit  [?]\n")
}

// waitsNoMore says what became of a prompt that nobody answered in time.
var waitsNoMore = map[prompt.State]string{
	prompt.Missed: "it was blocked, since nobody answered in time, and the program still tries",
	prompt.GaveUp: "nobody answered in time, and the program gave up",
	prompt.Ended:  "nobody answered in time, and the program ended",
}

// startedBy is who runs the program, and what started it.
func startedBy(f flow.Flow) string {
	p := f.Process
	if p == nil {
		return ""
	}
	words := programOf(f)
	if p.Script != "" {
		words += ", run by " + word(p.Path)
	}
	if p.User != "" {
		words += ", as " + word(p.User)
	}
	if len(p.Parents) > 0 {
		words += ", started by " + parentName(p.Parents[0])
	}
	return words
}

func parentName(a flow.Ancestor) string {
	if a.Name != "" {
		return word(a.Name)
	}
	return word(a.Path)
}

// details is everything that is known of a prompt.
func details(p prompt.Prompt) string {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "  %-10s %s\n", name, value)
		}
	}
	f, q := p.Flow, p.Flow.Process
	if q == nil {
		q = &flow.Process{}
	}
	line("program", word(q.Path))
	line("script", word(q.Script))
	line("command", word(strings.Join(q.Args, " ")))
	line("folder", word(q.Dir))
	if q.PID != 0 {
		line("process", fmt.Sprint(q.PID))
	}
	line("package", word(q.Package))
	line("app", word(q.App))
	line("unit", word(q.Unit))
	line("sha256", word(q.SHA256))
	for _, parent := range q.Parents {
		line("started by", fmt.Sprintf("%s (process %d)", word(parent.Path), parent.PID))
	}
	if f.Local.Addr.IsValid() {
		line("from", f.Local.String())
	}
	line("to", remoteOf(f))
	if f.Remote.Addr.IsValid() {
		line("address", f.Remote.Addr.String())
	}
	return b.String()
}
