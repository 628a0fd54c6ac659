package engine

import (
	"fmt"

	"sekisho/app/api"
	"sekisho/app/flow"
)

// mayAsk says whether Sekisho lets f's program ask the system's name servers, without which
// it finds no address: nil if it does, or would ask.
func (e *Engine) mayAsk(f flow.Flow, a api.Asker) *api.Culprit {
	if f.Direction != flow.Out || !f.Process.IsFile() {
		return nil
	}
	var culprit *api.Culprit
	for _, server := range e.c.Resolvers() {
		g := flow.Flow{Direction: flow.Out, Protocol: flow.UDP, Process: f.Process, Remote: flow.Endpoint{Addr: server, Port: 53}}
		x := e.explainRules(g)
		if x.Decision.Verdict != flow.Block {
			return nil // one is enough
		}
		if culprit != nil {
			continue
		}
		by := x.Decision.By
		culprit = &api.Culprit{Remedies: e.remedies(x.Decision, g, a), Step: api.Step{
			What: "lookup", Matched: true, Part: api.PartNames, Code: "lookup-blocked", Outcome: api.OutcomeBlocked,
			Values: map[string]string{"server": server.String(), "kind": string(by.Kind), "id": by.ID, "name": by.Name},
			Why:    fmt.Sprintf("It may not ask the name server %s for the address: blocked by %s %s.", server, by.Kind, firstOf(by.ID, by.Name)),
		}}
	}
	return culprit
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
