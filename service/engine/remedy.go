package engine

import (
	"fmt"
	"strings"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/rule"
)

// remedies are what would have Sekisho allow f.
func (e *Engine) remedies(d flow.Decision, f flow.Flow, a api.Asker) []api.Remedy {
	var all []api.Remedy
	add := func(code, what string, values map[string]string) {
		all = append(all, api.Remedy{Code: code, Values: values, What: what})
	}
	if d.Verdict == flow.Waiting {
		add("answer", "Answer when it asks.", nil)
	}
	if d.By.Kind == flow.ByMode && d.Verdict == flow.Block {
		add("mode", "Change the mode: sekishoctl mode ask.", map[string]string{"mode": string(api.ModeAsk)})
		if d.By.Name == string(api.ModeLockdown) {
			return all // rules are not looked at
		}
	}
	if d.By.Kind == flow.ByList {
		r := overList(f)
		add("except", fmt.Sprintf("Except it from the list %s, or make a rule that names it: %s.", d.By.Name, ruleCommand(&r)),
			map[string]string{"list": d.By.ID, "name": d.By.Name})
		return all
	}
	e.mu.Lock()
	changes := e.set.Changes(e.query(&f), e.c.Clock(), rule.Allow)
	e.mu.Unlock()
	for _, c := range changes {
		if !a.Admin && !ownsAll(c.Rules, f.Process) {
			continue
		}
		add(string(c.Do), changeWords(c), changeValues(c))
	}
	return all
}

// overList is the rule that lets f pass though a list has it: it names the other end.
func overList(f flow.Flow) rule.Rule {
	r := rule.Rule{Action: rule.Allow, Direction: rule.Out, Program: rule.Program{Path: f.Process.Path, Script: f.Process.Script}, Remote: rule.Remote{Name: f.Remote.Name}}
	if f.Remote.Name == "" {
		r.Remote = rule.Remote{Address: f.Remote.Addr}
	}
	if f.Direction == flow.In {
		r.Direction = rule.In
	}
	return r
}

// ownsAll reports whether rules are the user's own to change; a new one can be made so.
func ownsAll(rules []*rule.Rule, p *flow.Process) bool {
	for _, r := range rules {
		if r.ID != "" && (r.User == "" || r.User != p.User && r.User != fmt.Sprint(p.UID)) {
			return false
		}
	}
	return true
}

func changeValues(c rule.Change) map[string]string {
	v := map[string]string{}
	var ids []string
	for _, r := range c.Rules {
		if r.ID != "" {
			ids = append(ids, r.ID)
		}
	}
	if len(ids) > 0 {
		v["rules"] = strings.Join(ids, " ")
	}
	if c.Check != nil {
		v["operand"], v["has"], v["want"] = c.Check.Operand, c.Check.Has, c.Check.Want
	}
	if c.Then != nil && c.Then.ID != "" {
		v["then"] = c.Then.ID
	}
	return v
}

func changeWords(c rule.Change) string {
	switch c.Do {
	case rule.SwitchOff:
		var words []string
		for _, r := range c.Rules {
			words = append(words, "sekishoctl rule disable "+r.ID)
		}
		then := "; then you are asked, unless something else decides."
		if c.Then != nil {
			then = fmt.Sprintf("; then rule %s allows it.", c.Then.ID)
		}
		return "Switch off what blocks it: " + strings.Join(words, ", ") + then
	case rule.SwitchOn:
		return fmt.Sprintf("Switch on rule %s, which allows it: sekishoctl rule enable %s.", c.Rules[0].ID, c.Rules[0].ID)
	case rule.Edit:
		return fmt.Sprintf("Change rule %s, which would allow it but that it wants %s %s, and this is %s.", c.Rules[0].ID, c.Check.Operand, c.Check.Want, c.Check.Has)
	}
	return "Make a rule: " + ruleCommand(c.Rules[0]) + "."
}

// ruleCommand is the command that makes r.
func ruleCommand(r *rule.Rule) string {
	words := []string{"sekishoctl rule add --action", r.Action.String()}
	add := func(flag, value string) {
		if value != "" {
			words = append(words, "--"+flag, shellWord(value))
		}
	}
	add("program", r.Program.Path)
	add("script", r.Program.Script)
	if r.Direction != rule.Out {
		add("direction", r.Direction.String())
	}
	if !r.Remote.IsAny() {
		add("to", r.Remote.String())
	}
	if len(r.Ports) > 0 {
		add("port", rule.FormatPorts(r.Ports))
	}
	add("protocol", r.Protocol.String())
	add("user", r.User)
	return strings.Join(words, " ")
}

func shellWord(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:,") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
