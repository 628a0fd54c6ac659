package engine

import (
	"sekisho/app/flow"
	"sekisho/app/rule"
)

// trust lets programs of this system's packages connect, if a person wants it so.
func (e *Engine) trust(f *flow.Flow) (flow.Decision, bool) {
	if !e.settings.Trust || e.distrust(f) != "" {
		return flow.Decision{}, false
	}
	return flow.Decision{Verdict: flow.Allow, By: flow.By{Kind: flow.ByTrust, Name: f.Process.Package}}, true
}

// distrust says why f is not let through by trust.
func (e *Engine) distrust(f *flow.Flow) rule.Distrust { return e.c.Trust.Judge(f.Process, f.Direction) }

// explainTrust says what trust thinks of f.
func (e *Engine) explainTrust(f *flow.Flow, step func(what string, d flow.Decision, decided bool, why string) bool) bool {
	if !e.settings.Trust {
		return step("trust", flow.Decision{}, false, "Programs from this system's packages are not trusted as such.")
	}
	if d, ok := e.trust(f); ok {
		return step("trust", d, true, "It is a program from this system's packages.")
	}
	return step("trust", flow.Decision{}, false, distrustSentence[e.distrust(f)])
}

var distrustSentence = map[rule.Distrust]string{
	rule.DistrustIncoming:    "Trust is about what goes out.",
	rule.DistrustUnknown:     "No program's file is known.",
	rule.DistrustNoPackage:   "No package of this system installed the program.",
	rule.DistrustReplaced:    "The program's file is not the one that was installed.",
	rule.DistrustNotRoots:    "Others than root could have put the program's file there.",
	rule.DistrustScript:      "It runs a script or code that somebody gave it.",
	rule.DistrustInterpreter: "It is an interpreter, which does what it is told.",
	rule.DistrustFetcher:     "It is a program that fetches and sends whatever it is told.",
}
