package store

import (
	"fmt"

	"sekisho/app/flow"
	"sekisho/app/prompt"
)

// promptRecord is a missed prompt on disk, version 2.
type promptRecord struct {
	ID           string          `json:"id"`
	Generation   uint64          `json:"generation,omitempty"`
	Flow         flowRecord      `json:"flow"`
	Flows        int             `json:"flows,omitempty"`
	Deadline     int64           `json:"deadline,omitempty"`
	State        prompt.State    `json:"state"`
	Warnings     []warningRecord `json:"warnings,omitempty"`
	Scopes       []scopeRecord   `json:"scopes,omitempty"`
	Predecessors []string        `json:"predecessors,omitempty"`
}

type warningRecord struct {
	Code  string `json:"code"`
	Text  string `json:"text"`
	Value string `json:"value,omitempty"`
}

type scopeRecord struct {
	Kind prompt.ScopeKind `json:"kind"`
	To   string           `json:"to,omitempty"`
	Port uint16           `json:"port,omitempty"`
}

func newPromptRecord(p prompt.Prompt) promptRecord {
	rec := promptRecord{
		ID: p.ID, Generation: p.Generation, Flow: newFlowRecord(p.Flow), Flows: p.Flows,
		Deadline: stamp(p.Deadline), State: p.State,
	}
	rec.Warnings = newWarningRecords(p.Warnings)
	for _, path := range p.Predecessors {
		rec.Predecessors = append(rec.Predecessors, toText(path))
	}
	for _, s := range p.Scopes {
		rec.Scopes = append(rec.Scopes, scopeRecord(s))
	}
	return rec
}

func (rec *promptRecord) prompt() (prompt.Prompt, error) {
	f, err := rec.Flow.flow()
	if err != nil {
		return prompt.Prompt{}, err
	}
	p := prompt.Prompt{
		ID: rec.ID, Generation: rec.Generation, Flow: f, Flows: rec.Flows,
		Deadline: moment(rec.Deadline), State: rec.State,
	}
	if p.Warnings, err = warnings(rec.Warnings); err != nil {
		return prompt.Prompt{}, fmt.Errorf("%w: prompt %q: %w", errDamaged, rec.ID, err)
	}
	for _, path := range rec.Predecessors {
		if err := texts(&path); err != nil {
			return prompt.Prompt{}, fmt.Errorf("%w: prompt %q: %w", errDamaged, rec.ID, err)
		}
		p.Predecessors = append(p.Predecessors, path)
	}
	for _, s := range rec.Scopes {
		p.Scopes = append(p.Scopes, prompt.Scope(s))
	}
	return p, nil
}

func newWarningRecords(all []flow.Warning) []warningRecord {
	var recs []warningRecord
	for _, w := range all {
		recs = append(recs, warningRecord{Code: w.Code, Text: toText(w.Text), Value: toText(w.Value)})
	}
	return recs
}

func warnings(recs []warningRecord) ([]flow.Warning, error) {
	var all []flow.Warning
	for _, w := range recs {
		if err := texts(&w.Text, &w.Value); err != nil {
			return nil, err
		}
		all = append(all, flow.Warning{Code: w.Code, Text: w.Text, Value: w.Value})
	}
	return all, nil
}

func decodePrompt(key, record []byte) (prompt.Prompt, error) {
	var rec promptRecord
	if err := decode(key, record, &rec); err != nil {
		return prompt.Prompt{}, err
	}
	return rec.prompt()
}
