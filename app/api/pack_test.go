package api

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"sekisho/app/api/sekishopb"
	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
)

// wired sends a message through its encoding, as the socket does.
func wired[M proto.Message](t *rapid.T, m M) M {
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatalf("marshal %T: %v", m, err)
	}
	got := m.ProtoReflect().New().Interface()
	if err := proto.Unmarshal(b, got); err != nil {
		t.Fatalf("unmarshal %T: %v", m, err)
	}
	return got.(M)
}

func same[T any](t *rapid.T, got T, err error, want T) {
	if err != nil {
		t.Fatalf("unpack: %v", err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("round trip:\n got %+v\nwant %+v", got, want)
	}
}

// A program names itself in any bytes it likes; the kernel's facts must arrive as they are.
var anyBytes = rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 20), func(b []byte) string { return string(b) })

var anyTime = rapid.Custom(func(t *rapid.T) time.Time {
	n := rapid.Int64Range(0, 1<<62).Draw(t, "ns")
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
})

var anyAddr = rapid.Custom(func(t *rapid.T) netip.Addr {
	switch rapid.IntRange(0, 3).Draw(t, "family") {
	case 0:
		return netip.Addr{}
	case 1:
		return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "v4")))
	case 2:
		return netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "v6")))
	}
	return netip.MustParseAddr("fe80::1%eth0")
})

var anyEndpoint = rapid.Custom(func(t *rapid.T) flow.Endpoint {
	return flow.Endpoint{Addr: anyAddr.Draw(t, "addr"), Port: rapid.Uint16().Draw(t, "port"), Name: anyBytes.Draw(t, "name")}
})

var anyProcessID = rapid.Custom(func(t *rapid.T) flow.ProcessID {
	return flow.ProcessID{PID: rapid.Uint32().Draw(t, "pid"), Start: rapid.Uint64().Draw(t, "start")}
})

var anyProcess = rapid.Custom(func(t *rapid.T) *flow.Process {
	p := &flow.Process{
		ProcessID: anyProcessID.Draw(t, "id"),
		Program: flow.Program{
			Executable: flow.Executable{
				Inode: rapid.Uint64().Draw(t, "inode"), Ctime: rapid.Int64().Draw(t, "ctime"), CtimeNano: rapid.Uint32().Draw(t, "nano"),
				Device: rapid.Uint32().Draw(t, "device"), Generation: rapid.Uint32().Draw(t, "generation"),
			},
			Path: anyBytes.Draw(t, "path"), Name: anyBytes.Draw(t, "name"), Icon: anyBytes.Draw(t, "icon"),
			Script: anyBytes.Draw(t, "script"), Inline: rapid.Bool().Draw(t, "inline"), Package: anyBytes.Draw(t, "package"),
			App: anyBytes.Draw(t, "app"), Unit: anyBytes.Draw(t, "unit"), SHA256: rapid.String().Draw(t, "sha256"),
			Replaced: rapid.Bool().Draw(t, "replaced"), OwnApp: rapid.Bool().Draw(t, "own app"), OwnUnit: rapid.Bool().Draw(t, "own unit"),
			Integrity: rapid.SampledFrom([]flow.Integrity{flow.UnknownIntegrity, flow.Intact, flow.Modified}).Draw(t, "integrity"),
			Container: anyBytes.Draw(t, "container"),
		},
		UID: rapid.Uint32().Draw(t, "uid"), User: anyBytes.Draw(t, "user"),
		Dir: anyBytes.Draw(t, "dir"), Cgroup: anyBytes.Draw(t, "cgroup"), Kernel: rapid.Bool().Draw(t, "kernel"),
	}
	if rapid.Bool().Draw(t, "has args") {
		p.Args = rapid.SliceOfN(anyBytes, 1, 4).Draw(t, "args")
	}
	for range rapid.IntRange(0, 3).Draw(t, "parents") {
		p.Parents = append(p.Parents, flow.Ancestor{
			ProcessID: anyProcessID.Draw(t, "parent"), Path: anyBytes.Draw(t, "path"), Name: anyBytes.Draw(t, "name"),
		})
	}
	return p
})

var anyDecision = rapid.Custom(func(t *rapid.T) flow.Decision {
	return flow.Decision{
		Verdict: rapid.SampledFrom([]flow.Verdict{flow.Waiting, flow.Allow, flow.Block}).Draw(t, "verdict"),
		By:      flow.By{Kind: flow.ByRule, ID: rapid.String().Draw(t, "id"), Name: anyBytes.Draw(t, "name")},
	}
})

var anyFlow = rapid.Custom(func(t *rapid.T) flow.Flow {
	f := flow.Flow{
		ID: rapid.String().Draw(t, "id"), Time: anyTime.Draw(t, "time"),
		Direction: rapid.SampledFrom([]flow.Direction{flow.Out, flow.In}).Draw(t, "direction"),
		Protocol:  flow.Protocol(rapid.Byte().Draw(t, "protocol")),
		Process:   anyProcess.Draw(t, "process"),
		Local:     anyEndpoint.Draw(t, "local"), Remote: anyEndpoint.Draw(t, "remote"),
		Cookie: rapid.Uint64().Draw(t, "cookie"), Decision: anyDecision.Draw(t, "decision"),
		Bytes:   flow.Bytes{Sent: rapid.Uint64().Draw(t, "sent"), Received: rapid.Uint64().Draw(t, "received")},
		Packets: flow.Packets{Sent: rapid.Uint64().Draw(t, "packets sent"), Received: rapid.Uint64().Draw(t, "packets received")},
		State:   rapid.SampledFrom([]flow.State{"", flow.Open, flow.Closed}).Draw(t, "state"), Ended: anyTime.Draw(t, "ended"),
	}
	for range rapid.IntRange(0, 2).Draw(t, "warnings") {
		f.Warnings = append(f.Warnings, anyWarning.Draw(t, "warning"))
	}
	return f
})

var anyWarning = rapid.Custom(func(t *rapid.T) flow.Warning {
	return flow.Warning{Code: rapid.String().Draw(t, "code"), Text: anyBytes.Draw(t, "text"), Value: anyBytes.Draw(t, "value")}
})

var anyRule = rapid.Custom(func(t *rapid.T) rule.Rule {
	r := rule.Rule{
		ID: rapid.String().Draw(t, "id"), Enabled: rapid.Bool().Draw(t, "enabled"),
		Action:    rapid.SampledFrom([]rule.Action{rule.Allow, rule.Block}).Draw(t, "action"),
		Direction: rapid.SampledFrom([]rule.Direction{rule.Out, rule.In, rule.Both}).Draw(t, "direction"),
		Program: rule.Program{
			Path: anyBytes.Draw(t, "path"), Script: anyBytes.Draw(t, "script"), Package: anyBytes.Draw(t, "package"),
			App: anyBytes.Draw(t, "app"), Folder: anyBytes.Draw(t, "folder"), Unit: anyBytes.Draw(t, "unit"), Parent: anyBytes.Draw(t, "parent"), SHA256: rapid.String().Draw(t, "sha256"),
		},
		User:     rapid.String().Draw(t, "user"),
		Protocol: flow.Protocol(rapid.Byte().Draw(t, "protocol")),
		Network:  rapid.String().Draw(t, "network"),
		Lifetime: rule.Lifetime{
			Kind: rapid.SampledFrom(rule.LifetimeKinds).Draw(t, "kind"), Boot: rapid.String().Draw(t, "boot"),
			Deadline: time.Duration(rapid.Int64().Draw(t, "deadline")), Until: anyTime.Draw(t, "until"), Process: anyProcessID.Draw(t, "process"),
		},
		Note: rapid.String().Draw(t, "note"), Created: anyTime.Draw(t, "created"), By: rapid.String().Draw(t, "by"),
		Origin: rapid.SampledFrom([]rule.Origin{rule.FromAnswer, rule.FromLearn}).Draw(t, "origin"),
		Hits:   rapid.Uint64().Draw(t, "hits"), LastUsed: anyTime.Draw(t, "last used"),
	}
	for range rapid.IntRange(0, 3).Draw(t, "ports") {
		r.Ports = append(r.Ports, rule.PortRange{From: rapid.Uint16().Draw(t, "from"), To: rapid.Uint16().Draw(t, "to")})
	}
	switch rapid.IntRange(0, 7).Draw(t, "remote") {
	case 1:
		r.Remote.Name = rapid.String().Draw(t, "name")
	case 2:
		r.Remote.Domain = rapid.String().Draw(t, "domain")
	case 3:
		r.Remote.Address = anyAddr.Draw(t, "address")
	case 4:
		r.Remote.Network = netip.PrefixFrom(netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "net"))), rapid.IntRange(0, 32).Draw(t, "bits"))
	case 5:
		r.Remote.Range = rule.AddrRange{From: anyAddr.Draw(t, "from"), To: anyAddr.Draw(t, "to")}
	case 6:
		r.Remote.LAN = true
	case 7:
		r.Remote.List = rapid.String().Draw(t, "list")
	}
	return r
})

var anyScope = rapid.Custom(func(t *rapid.T) prompt.Scope {
	return prompt.Scope{
		Kind: rapid.SampledFrom([]prompt.ScopeKind{prompt.HostAndPort, prompt.Host, prompt.Port, prompt.Anything}).Draw(t, "kind"),
		To:   anyBytes.Draw(t, "to"), Port: rapid.Uint16().Draw(t, "port"),
	}
})

var anyPrompt = rapid.Custom(func(t *rapid.T) prompt.Prompt {
	p := prompt.Prompt{
		ID: rapid.String().Draw(t, "id"), Generation: rapid.Uint64().Draw(t, "generation"), Flow: anyFlow.Draw(t, "flow"),
		Flows: int(rapid.Int32().Draw(t, "flows")), Deadline: anyTime.Draw(t, "deadline"),
		State: rapid.SampledFrom([]prompt.State{prompt.Waiting, prompt.Missed}).Draw(t, "state"),
	}
	for range rapid.IntRange(0, 2).Draw(t, "warnings") {
		p.Warnings = append(p.Warnings, anyWarning.Draw(t, "warning"))
	}
	for range rapid.IntRange(0, 2).Draw(t, "scopes") {
		p.Scopes = append(p.Scopes, anyScope.Draw(t, "scope"))
	}
	for range rapid.IntRange(0, 2).Draw(t, "predecessors") {
		p.Predecessors = append(p.Predecessors, anyBytes.Draw(t, "predecessor"))
	}
	return p
})

var anyStatus = rapid.Custom(func(t *rapid.T) Status {
	n := rapid.Uint64()
	s := Status{
		Version: rapid.String().Draw(t, "version"), Mode: rapid.SampledFrom(Modes).Draw(t, "mode"), ModeUntil: anyTime.Draw(t, "until"),
		Enforcing: rapid.Bool().Draw(t, "enforcing"), Since: anyTime.Draw(t, "since"), Rules: rapid.Int().Draw(t, "rules"), Waiting: rapid.Int().Draw(t, "waiting"),
		Kernel: Kernel{Release: rapid.String().Draw(t, "release"), Decisions: "kernel", Queue: "xtables"},
	}
	c := reflect.ValueOf(&s.Counters).Elem()
	for i := range c.NumField() {
		c.Field(i).SetUint(n.Draw(t, "counter"))
	}
	for range rapid.IntRange(0, 2).Draw(t, "problems") {
		s.Problems = append(s.Problems, Problem{Code: rapid.StringMatching("[a-z-]{0,9}").Draw(t, "code"), Value: anyBytes.Draw(t, "value"), What: anyBytes.Draw(t, "what"), Since: anyTime.Draw(t, "since"), Do: anyBytes.Draw(t, "do")})
	}
	return s
})

func TestRoundTrip(t *testing.T) {
	for name, check := range map[string]func(*rapid.T){
		"flow": func(t *rapid.T) {
			want := anyFlow.Draw(t, "flow")
			got, err := UnpackFlow(wired(t, PackFlow(want)))
			same(t, got, err, want)
		},
		"rule": func(t *rapid.T) {
			want := anyRule.Draw(t, "rule")
			got, err := UnpackRule(wired(t, PackRule(want)))
			same(t, got, err, want)
		},
		"prompt": func(t *rapid.T) {
			want := anyPrompt.Draw(t, "prompt")
			got, err := UnpackPrompt(wired(t, PackPrompt(want)))
			same(t, got, err, want)
		},
		"status": func(t *rapid.T) {
			want := anyStatus.Draw(t, "status")
			same(t, UnpackStatus(wired(t, PackStatus(want))), nil, want)
		},
		"answer": func(t *rapid.T) {
			id := rapid.String().Draw(t, "id")
			want := prompt.Answer{
				Action:   rapid.SampledFrom([]rule.Action{rule.Allow, rule.Block}).Draw(t, "action"),
				Lifetime: rapid.SampledFrom(rule.LifetimeKinds).Draw(t, "lifetime"),
				For:      time.Duration(rapid.Int64().Draw(t, "for")), Scope: anyScope.Draw(t, "scope"), Generation: rapid.Uint64().Draw(t, "generation"),
			}
			if rapid.Bool().Draw(t, "by a predecessor's rules") {
				want = prompt.Answer{Like: "/" + anyBytes.Draw(t, "like"), Generation: want.Generation}
			}
			gotID, got, err := UnpackAnswer(wired(t, PackAnswer(id, want)))
			same(t, got, err, want)
			same(t, gotID, nil, id)
		},
		"event": func(t *rapid.T) {
			want := Event{Gone: rapid.String().Draw(t, "gone"), Rules: rapid.Bool().Draw(t, "rules")}
			if rapid.Bool().Draw(t, "has prompt") {
				p := anyPrompt.Draw(t, "prompt")
				want.Prompt = &p
			}
			if rapid.Bool().Draw(t, "has status") {
				s := anyStatus.Draw(t, "status")
				want.Status = &s
			}
			if rapid.Bool().Draw(t, "has blocked") {
				f := anyFlow.Draw(t, "blocked")
				want.Blocked = &f
			}
			got, err := UnpackEvent(wired(t, PackEvent(want)))
			same(t, got, err, want)
		},
		"settings": func(t *rapid.T) {
			want := Settings{Deadline: time.Duration(rapid.Int64().Draw(t, "deadline")), Unattended: rapid.String().Draw(t, "unattended"), WhenStopped: rapid.String().Draw(t, "when stopped"), Trust: rapid.Bool().Draw(t, "trust")}
			if rapid.Bool().Draw(t, "has presets") {
				want.DisabledPresets = rapid.SliceOfN(rapid.String(), 1, 3).Draw(t, "presets")
			}
			same(t, UnpackSettings(wired(t, PackSettings(want))), nil, want)
		},
		"network": func(t *rapid.T) {
			want := Network{
				ID: rapid.String().Draw(t, "id"), Name: rapid.String().Draw(t, "name"), Kind: "wifi", Link: rapid.String().Draw(t, "link"),
				Profile: rapid.String().Draw(t, "profile"), Known: rapid.Bool().Draw(t, "known"), Weak: rapid.Bool().Draw(t, "weak"),
				Here: rapid.Bool().Draw(t, "here"), Primary: rapid.Bool().Draw(t, "primary"),
			}
			same(t, UnpackNetwork(wired(t, PackNetwork(want))), nil, want)
		},
		"proposal": func(t *rapid.T) {
			want := Proposal{
				ID: rapid.String().Draw(t, "id"), Rule: anyRule.Draw(t, "rule"), Breadth: "owner", Interpreter: rapid.Bool().Draw(t, "interpreter"),
				Overrides: []string{rapid.String().Draw(t, "overrides")}, Examples: []string{rapid.String().Draw(t, "example")},
				Flows: rapid.Uint64().Draw(t, "flows"), Hosts: rapid.IntRange(0, 1000).Draw(t, "hosts"), First: anyTime.Draw(t, "first"), Last: anyTime.Draw(t, "last"),
			}
			got, err := UnpackProposal(wired(t, PackProposal(want)))
			same(t, got, err, want)
		},
		"filter": func(t *rapid.T) {
			want := ActivityFilter{
				Since: anyTime.Draw(t, "since"), Program: anyBytes.Draw(t, "program"), Follow: rapid.Bool().Draw(t, "follow"),
				Verdict: rapid.SampledFrom([]flow.Verdict{flow.Waiting, flow.Allow, flow.Block}).Draw(t, "verdict"),
				Limit:   int(rapid.Int32().Draw(t, "limit")),
			}
			got, err := UnpackFilter(wired(t, PackFilter(want)))
			same(t, got, err, want)
		},
		"question": func(t *rapid.T) {
			want := Question{
				Program: anyBytes.Draw(t, "program"), Script: anyBytes.Draw(t, "script"), To: rapid.String().Draw(t, "to"), Port: rapid.Uint16().Draw(t, "port"),
				Protocol:  flow.Protocol(rapid.Byte().Draw(t, "protocol")),
				Direction: rapid.SampledFrom([]flow.Direction{flow.Out, flow.In}).Draw(t, "direction"), User: rapid.String().Draw(t, "user"),
				Flow: rapid.String().Draw(t, "flow"), Live: rapid.Bool().Draw(t, "live"),
			}
			got, err := UnpackQuestion(wired(t, PackQuestion(want)))
			same(t, got, err, want)
		},
		"explanation": func(t *rapid.T) {
			want := Explanation{Decision: anyDecision.Draw(t, "decision"), Outcome: Outcome(rapid.String().Draw(t, "outcome"))}
			for range rapid.IntRange(0, 3).Draw(t, "steps") {
				want.Steps = append(want.Steps, anyStep.Draw(t, "step"))
			}
			if rapid.Bool().Draw(t, "culprit") {
				want.Culprit = &Culprit{Step: anyStep.Draw(t, "culprit")}
				for range rapid.IntRange(0, 3).Draw(t, "remedies") {
					want.Culprit.Remedies = append(want.Culprit.Remedies, Remedy{Code: rapid.String().Draw(t, "code"), Values: drawValues(t), What: anyBytes.Draw(t, "what")})
				}
			}
			if rapid.Bool().Draw(t, "past") {
				f := anyFlow.Draw(t, "flow")
				want.Flow = &f
			}
			got, err := UnpackExplanation(wired(t, PackExplanation(want)))
			same(t, got, err, want)
		},
	} {
		t.Run(name, func(t *testing.T) { rapid.Check(t, check) })
	}
}

var anyStep = rapid.Custom(func(t *rapid.T) Step {
	s := Step{
		What: anyBytes.Draw(t, "what"), Matched: rapid.Bool().Draw(t, "matched"), Decided: rapid.Bool().Draw(t, "decided"), Why: anyBytes.Draw(t, "why"),
		Part: Part(rapid.String().Draw(t, "part")), Code: rapid.String().Draw(t, "code"), Values: drawValues(t),
		Outcome: Outcome(rapid.String().Draw(t, "outcome")), Author: rapid.String().Draw(t, "author"),
		Rule: anyBytes.Draw(t, "rule"), Handle: rapid.Uint64().Draw(t, "handle"), To: rapid.String().Draw(t, "to"),
	}
	for range rapid.IntRange(0, 2).Draw(t, "checks") {
		s.Checks = append(s.Checks, Check{
			Operand: rapid.String().Draw(t, "operand"), Matched: rapid.Bool().Draw(t, "matched"),
			Has: anyBytes.Draw(t, "has"), Want: anyBytes.Draw(t, "want"), Why: anyBytes.Draw(t, "why"),
		})
	}
	return s
})

func drawValues(t *rapid.T) map[string]string {
	var v map[string]string
	for range rapid.IntRange(0, 2).Draw(t, "values") {
		if v == nil {
			v = map[string]string{}
		}
		v[rapid.String().Draw(t, "key")] = anyBytes.Draw(t, "value")
	}
	return v
}

// Text that is no UTF-8 must not make a whole list impossible to send.
func TestOddText(t *testing.T) {
	r := rule.Rule{Action: rule.Allow, Note: "a\xffb", User: "\xc3"}
	if _, err := proto.Marshal(PackRule(r)); err != nil {
		t.Fatal(err)
	}
}

func TestUnpackRefuses(t *testing.T) {
	for name, m := range map[string]*sekishopb.Rule{
		"nothing":        nil,
		"no action":      {},
		"action 9":       {Action: 9},
		"direction 3":    {Action: sekishopb.Verdict_ALLOW, Direction: 3},
		"protocol 256":   {Action: sekishopb.Verdict_ALLOW, Protocol: 256},
		"port 65536":     {Action: sekishopb.Verdict_ALLOW, Ports: []*sekishopb.PortRange{{From: 1, To: 65536}}},
		"no address":     {Action: sekishopb.Verdict_ALLOW, Remote: &sekishopb.Remote{Address: "1.2.3"}},
		"no network":     {Action: sekishopb.Verdict_ALLOW, Remote: &sekishopb.Remote{Network: "1.2.3.0/33"}},
		"no range start": {Action: sekishopb.Verdict_ALLOW, Remote: &sekishopb.Remote{RangeFrom: "x", RangeTo: "1.2.3.4"}},
	} {
		if r, err := UnpackRule(m); err == nil {
			t.Errorf("%s: accepted as %+v", name, r)
		}
	}
}
