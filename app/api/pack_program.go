package api

import (
	"sekisho/app/api/sekishopb"
	"sekisho/app/flow"
)

// PackSeenProgram writes p as a message.
func PackSeenProgram(p SeenProgram) *sekishopb.SeenProgram {
	m := &sekishopb.SeenProgram{
		Process: packProcess(&p.Process), Provenance: packProvenance(&p.Provenance), Warnings: packWarnings(p.Warnings),
		Allowed: p.Allowed, Blocked: p.Blocked, Sent: p.Bytes.Sent, Received: p.Bytes.Received,
		First: packTime(p.First), Last: packTime(p.Last),
	}
	for _, id := range p.Rules {
		m.Rules = append(m.Rules, text(id))
	}
	return m
}

// UnpackSeenProgram reads a message.
func UnpackSeenProgram(m *sekishopb.SeenProgram) SeenProgram {
	return SeenProgram{
		Process: *unpackProcess(m.GetProcess()), Provenance: unpackProvenance(m.GetProvenance()),
		Warnings: unpackWarnings(m.GetWarnings()), Rules: m.GetRules(), Allowed: m.GetAllowed(), Blocked: m.GetBlocked(),
		Bytes: flow.Bytes{Sent: m.GetSent(), Received: m.GetReceived()},
		First: unpackTime(m.GetFirst()), Last: unpackTime(m.GetLast()),
	}
}

func packProvenance(p *flow.Provenance) *sekishopb.Provenance {
	m := &sekishopb.Provenance{
		File: []byte(p.File), Package: []byte(p.Package), Gone: p.Gone, Appeared: packTime(p.Appeared),
		Writable: []byte(p.Writable), Origin: []byte(p.Origin),
	}
	if w := p.Writer; w != nil {
		m.Writer = &sekishopb.Writer{Path: []byte(w.Path), Name: []byte(w.Name), At: packTime(w.At), Fresh: w.Fresh}
	}
	return m
}

func unpackProvenance(m *sekishopb.Provenance) flow.Provenance {
	p := flow.Provenance{
		File: string(m.GetFile()), Package: string(m.GetPackage()), Gone: m.GetGone(), Appeared: unpackTime(m.GetAppeared()),
		Writable: string(m.GetWritable()), Origin: string(m.GetOrigin()),
	}
	if w := m.GetWriter(); w != nil {
		p.Writer = &flow.Writer{Path: string(w.GetPath()), Name: string(w.GetName()), At: unpackTime(w.GetAt()), Fresh: w.GetFresh()}
	}
	return p
}
