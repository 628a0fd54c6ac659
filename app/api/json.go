package api

import (
	"encoding/json"
	"net/netip"
	"time"

	"sekisho/app/flow"
	"sekisho/app/prompt"
)

// The types of this file are the JSON that scripts read (CONTRACT.md). Unknown facts
// are absent, times are RFC 3339 in UTC. Rules write themselves (rule.Rule.MarshalJSON).

// FlowJSON is a flow as connections and activity show it.
type FlowJSON struct {
	ID        string         `json:"id"`
	Time      time.Time      `json:"time,omitzero"`
	Direction flow.Direction `json:"direction"`
	Protocol  string         `json:"protocol,omitempty"`
	Program   ProgramJSON    `json:"program"`
	Local     *EndpointJSON  `json:"local,omitempty"`
	Remote    *EndpointJSON  `json:"remote,omitempty"`
	Verdict   flow.Verdict   `json:"verdict"`
	By        *flow.By       `json:"by,omitempty"`
	Warnings  []flow.Warning `json:"warnings,omitempty"`
	Bytes     flow.Bytes     `json:"bytes"`
	Packets   flow.Packets   `json:"packets"`
	State     flow.State     `json:"state,omitempty"`
	Ended     time.Time      `json:"ended,omitzero"`
}

// ProgramJSON is the program of a flow and the process that ran it.
type ProgramJSON struct {
	Path      string         `json:"path,omitempty"`
	Name      string         `json:"name,omitempty"`
	PID       uint32         `json:"pid,omitempty"`
	UID       *uint32        `json:"uid,omitempty"`
	User      string         `json:"user,omitempty"`
	Package   string         `json:"package,omitempty"`
	Integrity flow.Integrity `json:"integrity,omitempty"`
	Replaced  bool           `json:"replaced,omitempty"`
	App       string         `json:"app,omitempty"`
	OwnApp    bool           `json:"own_app,omitempty"`
	Container string         `json:"container,omitempty"`
	Unit      string         `json:"unit,omitempty"`
	OwnUnit   bool           `json:"own_unit,omitempty"`
	Script    string         `json:"script,omitempty"`
	Inline    bool           `json:"inline,omitempty"`
	SHA256    string         `json:"sha256,omitempty"`
	Dir       string         `json:"dir,omitempty"`
	Kernel    bool           `json:"kernel,omitempty"`
	Args      []string       `json:"args,omitempty"`
	Parents   []AncestorJSON `json:"parents,omitempty"`
}

// AncestorJSON is one that a process descends from.
type AncestorJSON struct {
	Path string `json:"path,omitempty"`
	PID  uint32 `json:"pid,omitempty"`
	Name string `json:"name,omitempty"`
}

// EndpointJSON is one end of a flow.
type EndpointJSON struct {
	Address netip.Addr `json:"address,omitzero"`
	Port    uint16     `json:"port,omitempty"`
	Name    string     `json:"name,omitempty"`
}

// ToFlowJSON gives f the shape of the contract.
func ToFlowJSON(f flow.Flow) FlowJSON {
	j := FlowJSON{
		ID: f.ID, Time: f.Time.UTC(), Direction: f.Direction, Protocol: f.Protocol.String(),
		Local: toEndpointJSON(f.Local), Remote: toEndpointJSON(f.Remote),
		Verdict: f.Decision.Verdict, By: toByJSON(f.Decision.By), Warnings: f.Warnings, Bytes: f.Bytes, Packets: f.Packets, State: f.State, Ended: f.Ended.UTC(),
	}
	if f.Process != nil {
		j.Program = toProgramJSON(f.Process)
	}
	return j
}

func toProgramJSON(p *flow.Process) ProgramJSON {
	j := ProgramJSON{
		Path: p.Path, Name: p.Name, PID: p.PID, User: p.User, Package: p.Package, App: p.App, Unit: p.Unit,
		Integrity: p.Integrity, Replaced: p.Replaced, OwnApp: p.OwnApp, Container: p.Container, OwnUnit: p.OwnUnit,
		Script: p.Script, Inline: p.Inline, SHA256: p.SHA256, Dir: p.Dir, Kernel: p.Kernel, Args: p.Args,
	}
	// Nothing known of a process leaves its user 0, which must not be read as root.
	if p.PID != 0 || p.UID != 0 || p.Path != "" || p.User != "" {
		uid := p.UID
		j.UID = &uid
	}
	for _, a := range p.Parents {
		j.Parents = append(j.Parents, AncestorJSON{Path: a.Path, PID: a.PID, Name: a.Name})
	}
	return j
}

func toEndpointJSON(e flow.Endpoint) *EndpointJSON {
	if e == (flow.Endpoint{}) {
		return nil
	}
	return &EndpointJSON{Address: e.Addr, Port: e.Port, Name: e.Name}
}

func toByJSON(by flow.By) *flow.By {
	if by == (flow.By{}) {
		return nil
	}
	return &by
}

// PromptJSON is a prompt: its first flow, and what is asked of it.
type PromptJSON struct {
	FlowJSON
	Prompt AskedJSON `json:"prompt"`
}

// AskedJSON is what a prompt has beside its flow.
type AskedJSON struct {
	ID           string           `json:"id"`
	Generation   uint64           `json:"generation,omitempty"`
	Flows        int              `json:"flows"`
	Deadline     time.Time        `json:"deadline,omitzero"`
	State        prompt.State     `json:"state"`
	Warnings     []prompt.Warning `json:"warnings"`
	Scopes       []prompt.Scope   `json:"scopes"`
	Predecessors []string         `json:"predecessors,omitempty"`
}

// ToPromptJSON gives p the shape of the contract.
func ToPromptJSON(p prompt.Prompt) PromptJSON {
	j := PromptJSON{FlowJSON: ToFlowJSON(p.Flow), Prompt: AskedJSON{
		ID: p.ID, Generation: p.Generation, Flows: p.Flows, Deadline: p.Deadline.UTC(), State: p.State,
		Warnings: p.Warnings, Scopes: p.Scopes, Predecessors: p.Predecessors,
	}}
	j.Verdict = flow.Waiting
	if j.Prompt.Warnings == nil {
		j.Prompt.Warnings = []prompt.Warning{}
	}
	if j.Prompt.Scopes == nil {
		j.Prompt.Scopes = []prompt.Scope{}
	}
	return j
}

// StatusJSON is how the firewall is.
type StatusJSON struct {
	Version   string        `json:"version"`
	Mode      Mode          `json:"mode"`
	ModeUntil time.Time     `json:"mode_until,omitzero"`
	Enforcing bool          `json:"enforcing"`
	Since     time.Time     `json:"since,omitzero"`
	Rules     int           `json:"rules"`
	Waiting   int           `json:"waiting"`
	Kernel    Kernel        `json:"kernel"`
	Counters  Counters      `json:"counters"`
	Problems  []ProblemJSON `json:"problems"`
	// Network is where the machine is, and what that is to rules.
	Network        string `json:"network,omitempty"`
	NetworkProfile string `json:"network_profile,omitempty"`
}

// ProblemJSON is one problem of a status.
type ProblemJSON struct {
	Code  string    `json:"code,omitempty"`
	Value string    `json:"value,omitempty"`
	What  string    `json:"what"`
	Since time.Time `json:"since,omitzero"`
	Do    string    `json:"do,omitempty"`
}

// ToStatusJSON gives s the shape of the contract.
func ToStatusJSON(s Status) StatusJSON {
	j := StatusJSON{
		Version: s.Version, Mode: s.Mode, ModeUntil: s.ModeUntil.UTC(), Enforcing: s.Enforcing, Since: s.Since.UTC(),
		Rules: s.Rules, Waiting: s.Waiting, Kernel: s.Kernel, Counters: s.Counters, Problems: []ProblemJSON{},
		Network: s.Network, NetworkProfile: s.NetworkProfile,
	}
	for _, p := range s.Problems {
		j.Problems = append(j.Problems, ProblemJSON{Code: p.Code, Value: p.Value, What: p.What, Since: p.Since.UTC(), Do: p.Do})
	}
	return j
}

// SettingsJSON is the choices that are not rules.
type SettingsJSON struct {
	Deadline        Seconds  `json:"deadline_seconds"`
	Unattended      string   `json:"unattended"`
	WhenStopped     string   `json:"when_stopped"`
	DisabledPresets []string `json:"disabled_presets"`
	Trust           bool     `json:"trust"`
}

// Seconds is a span that is written as a number of seconds.
type Seconds time.Duration

// MarshalJSON writes 60 or 1.5.
func (s Seconds) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(s).Seconds()) }

// ToSettingsJSON gives s its shape.
func ToSettingsJSON(s Settings) SettingsJSON {
	presets := s.DisabledPresets
	if presets == nil {
		presets = []string{}
	}
	return SettingsJSON{Deadline: Seconds(s.Deadline), Unattended: s.Unattended, WhenStopped: s.WhenStopped, DisabledPresets: presets, Trust: s.Trust}
}

// SeenProgramJSON is a program that used the network.
type SeenProgramJSON struct {
	Program    ProgramJSON     `json:"program"`
	Provenance *ProvenanceJSON `json:"provenance,omitempty"`
	Warnings   []flow.Warning  `json:"warnings"`
	Rules      []string        `json:"rules"`
	Allowed    uint64          `json:"allowed"`
	Blocked    uint64          `json:"blocked"`
	Bytes      flow.Bytes      `json:"bytes"`
	First      time.Time       `json:"first,omitzero"`
	Last       time.Time       `json:"last,omitzero"`
}

// ProvenanceJSON is where a program's file came from.
type ProvenanceJSON struct {
	File     string      `json:"file,omitempty"`
	Package  string      `json:"package,omitempty"`
	Gone     bool        `json:"gone,omitempty"`
	Appeared time.Time   `json:"appeared,omitzero"`
	Writable string      `json:"writable,omitempty"`
	Writer   *WriterJSON `json:"writer,omitempty"`
	Origin   string      `json:"origin,omitempty"`
}

// WriterJSON is the program that wrote a file.
type WriterJSON struct {
	Path  string    `json:"path"`
	Name  string    `json:"name"`
	At    time.Time `json:"at,omitzero"`
	Fresh bool      `json:"fresh,omitempty"`
}

// ToSeenProgramJSON gives p its shape.
func ToSeenProgramJSON(p SeenProgram) SeenProgramJSON {
	j := SeenProgramJSON{
		Program: toProgramJSON(&p.Process), Warnings: p.Warnings, Rules: p.Rules, Allowed: p.Allowed, Blocked: p.Blocked,
		Bytes: p.Bytes, First: p.First.UTC(), Last: p.Last.UTC(),
	}
	if j.Warnings == nil {
		j.Warnings = []flow.Warning{}
	}
	if j.Rules == nil {
		j.Rules = []string{}
	}
	if from := p.Provenance; from != (flow.Provenance{}) {
		j.Provenance = &ProvenanceJSON{
			File: from.File, Package: from.Package, Gone: from.Gone, Appeared: from.Appeared.UTC(), Writable: from.Writable, Origin: from.Origin,
		}
		if w := from.Writer; w != nil {
			j.Provenance.Writer = &WriterJSON{Path: w.Path, Name: w.Name, At: w.At.UTC(), Fresh: w.Fresh}
		}
	}
	return j
}
