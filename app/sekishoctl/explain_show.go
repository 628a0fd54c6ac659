package main

import (
	"strings"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
)

// parts are the headings of an explanation, in the order of its steps; Sekisho's own steps
// need none, as they come first.
var parts = map[api.Part]string{
	api.PartThen:    "What decided it then:",
	api.PartSekisho: "What Sekisho would decide now:",
	api.PartNames:   "Finding the name's address:",
	api.PartMachine: "The rest of this computer:",
	api.PartAttempt: "One attempt, as the kernel traced it:",
}

// showExplanation prints Sekisho's steps, then the rest of the machine's, and last who is
// to blame.
func (c *ctl) showExplanation(e api.Explanation) error {
	if f := e.Flow; f != nil {
		c.printf("%s %s %s (%s), %s.\n\n", programOf(*f), arrow(*f), remoteOf(*f), f.Protocol, moment(f.Time, time.Now()))
	}
	verdict := map[flow.Verdict]string{flow.Allow: "It would be allowed", flow.Block: "It would be blocked", flow.Waiting: "You would be asked"}[e.Decision.Verdict]
	if by := byWords(e.Decision.By); by != "" {
		verdict += ", by " + by
	}
	c.printf("%s.\n", verdict)
	part := api.Part("")
	for i := 0; i < len(e.Steps); {
		n := i + 1
		for n < len(e.Steps) && e.Steps[n].Part == e.Steps[i].Part {
			n++
		}
		part = e.Steps[i].Part
		c.printf("\n")
		if head := parts[part]; head != "" && (part != api.PartSekisho || e.Flow != nil) {
			c.printf("%s\n", head)
		}
		if err := c.showSteps(e.Steps[i:n]); err != nil {
			return err
		}
		i = n
	}
	c.printf("\n> decided   + fits, but did not decide   ! stops it\n\n")
	c.showCulprit(e)
	return nil
}

func (c *ctl) showSteps(steps []api.Step) error {
	t := c.table()
	for _, s := range steps {
		mark := " "
		switch {
		case s.Outcome != "" && s.Outcome != api.OutcomePasses:
			mark = "!"
		case s.Decided:
			mark = ">"
		case s.Matched:
			mark = "+"
		}
		what := s.What
		if s.To != "" {
			what += " (to " + s.To + ")"
		}
		t.row(mark+" "+word(what), safe(s.Why))
	}
	return t.end()
}

// showCulprit says in the last lines what stops the connection and what would change it.
func (c *ctl) showCulprit(e api.Explanation) {
	if e.Culprit == nil {
		switch e.Outcome {
		case api.OutcomePasses:
			c.printf("Nothing stops it.\n")
		case "":
			c.printf("Sekisho does not stop it. Whether something else does is not known.\n")
		default:
			c.printf("It %s.\n", word(string(e.Outcome)))
		}
		return
	}
	by := word(e.Culprit.What)
	switch e.Outcome {
	case api.OutcomeAsks:
		c.printf("It waits for an answer, since nothing has decided it yet.")
	case api.OutcomeBlocked:
		c.printf("It is stopped by Sekisho, %s: %s", by, safe(e.Culprit.Why))
	case api.OutcomePerhaps:
		c.printf("It may be stopped by %s: %s", by, safe(e.Culprit.Why))
	default:
		c.printf("It is stopped by %s: %s", by, safe(e.Culprit.Why))
	}
	var ways []string
	for _, r := range e.Culprit.Remedies {
		ways = append(ways, safe(r.What))
	}
	if len(ways) > 0 {
		c.printf(" What would change it: %s", strings.Join(ways, " Or: "))
	}
	c.printf("\n")
}
