package api

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"

	"sekisho/app/api/sekishopb"
	"sekisho/app/flow"
)

// PackFlow writes f as a message.
func PackFlow(f flow.Flow) *sekishopb.Flow {
	m := &sekishopb.Flow{
		Id:              text(f.ID),
		Time:            packTime(f.Time),
		Direction:       sekishopb.Direction(f.Direction),
		Protocol:        uint32(f.Protocol),
		Local:           packEndpoint(f.Local),
		Remote:          packEndpoint(f.Remote),
		Cookie:          f.Cookie,
		Decision:        packDecision(f.Decision),
		Sent:            f.Bytes.Sent,
		Received:        f.Bytes.Received,
		PacketsSent:     f.Packets.Sent,
		PacketsReceived: f.Packets.Received,
		State:           text(string(f.State)),
		Warnings:        packWarnings(f.Warnings),
		Ended:           packTime(f.Ended),
	}
	if f.Process != nil {
		m.Process = packProcess(f.Process)
	}
	return m
}

// UnpackFlow reads a message; a Flow has a Process even if the message has none.
func UnpackFlow(m *sekishopb.Flow) (flow.Flow, error) {
	f := flow.Flow{
		ID:       m.GetId(),
		Time:     unpackTime(m.GetTime()),
		Process:  unpackProcess(m.GetProcess()),
		Cookie:   m.GetCookie(),
		Bytes:    flow.Bytes{Sent: m.GetSent(), Received: m.GetReceived()},
		Packets:  flow.Packets{Sent: m.GetPacketsSent(), Received: m.GetPacketsReceived()},
		State:    flow.State(m.GetState()),
		Warnings: unpackWarnings(m.GetWarnings()),
		Ended:    unpackTime(m.GetEnded()),
	}
	var err error
	if f.Direction, err = unpackDirection(m.GetDirection()); err != nil {
		return flow.Flow{}, err
	}
	if f.Protocol, err = unpackProtocol(m.GetProtocol()); err != nil {
		return flow.Flow{}, err
	}
	if f.Local, err = unpackEndpoint(m.GetLocal()); err != nil {
		return flow.Flow{}, err
	}
	if f.Remote, err = unpackEndpoint(m.GetRemote()); err != nil {
		return flow.Flow{}, err
	}
	f.Decision, err = unpackDecision(m.GetDecision())
	return f, err
}

func packProcess(p *flow.Process) *sekishopb.Process {
	m := &sekishopb.Process{
		Id: packProcessID(p.ProcessID),
		Program: &sekishopb.Program{
			Path:     []byte(p.Path),
			Name:     []byte(p.Name),
			Icon:     []byte(p.Icon),
			Script:   []byte(p.Script),
			Inline:   p.Inline,
			Package:  []byte(p.Package),
			App:      []byte(p.App),
			Unit:     []byte(p.Unit),
			Sha256:   text(p.SHA256),
			Replaced: p.Replaced, Integrity: text(string(p.Integrity)),
			OwnApp: p.OwnApp, Container: []byte(p.Container), OwnUnit: p.OwnUnit,
			Executable: &sekishopb.Executable{
				Inode:      p.Executable.Inode,
				Ctime:      p.Executable.Ctime,
				CtimeNano:  p.Executable.CtimeNano,
				Device:     p.Executable.Device,
				Generation: p.Executable.Generation,
			},
		},
		Uid:    p.UID,
		User:   []byte(p.User),
		Dir:    []byte(p.Dir),
		Cgroup: []byte(p.Cgroup),
		Kernel: p.Kernel,
	}
	for _, a := range p.Args {
		m.Args = append(m.Args, []byte(a))
	}
	for _, a := range p.Parents {
		m.Parents = append(m.Parents, &sekishopb.Ancestor{
			Id: packProcessID(a.ProcessID), Path: []byte(a.Path), Name: []byte(a.Name),
		})
	}
	return m
}

func unpackProcess(m *sekishopb.Process) *flow.Process {
	g := m.GetProgram()
	p := &flow.Process{
		ProcessID: unpackProcessID(m.GetId()),
		Program: flow.Program{
			Path:     string(g.GetPath()),
			Name:     string(g.GetName()),
			Icon:     string(g.GetIcon()),
			Script:   string(g.GetScript()),
			Inline:   g.GetInline(),
			Package:  string(g.GetPackage()),
			App:      string(g.GetApp()),
			Unit:     string(g.GetUnit()),
			SHA256:   g.GetSha256(),
			Replaced: g.GetReplaced(), Integrity: flow.Integrity(g.GetIntegrity()),
			OwnApp: g.GetOwnApp(), Container: string(g.GetContainer()), OwnUnit: g.GetOwnUnit(),
			Executable: flow.Executable{
				Inode:      g.GetExecutable().GetInode(),
				Ctime:      g.GetExecutable().GetCtime(),
				CtimeNano:  g.GetExecutable().GetCtimeNano(),
				Device:     g.GetExecutable().GetDevice(),
				Generation: g.GetExecutable().GetGeneration(),
			},
		},
		UID:    m.GetUid(),
		User:   string(m.GetUser()),
		Dir:    string(m.GetDir()),
		Cgroup: string(m.GetCgroup()),
		Kernel: m.GetKernel(),
	}
	for _, a := range m.GetArgs() {
		p.Args = append(p.Args, string(a))
	}
	for _, a := range m.GetParents() {
		p.Parents = append(p.Parents, flow.Ancestor{
			ProcessID: unpackProcessID(a.GetId()), Path: string(a.GetPath()), Name: string(a.GetName()),
		})
	}
	return p
}

func packProcessID(id flow.ProcessID) *sekishopb.ProcessID {
	return &sekishopb.ProcessID{Pid: id.PID, Start: id.Start}
}

func unpackProcessID(m *sekishopb.ProcessID) flow.ProcessID {
	return flow.ProcessID{PID: m.GetPid(), Start: m.GetStart()}
}

func packEndpoint(e flow.Endpoint) *sekishopb.Endpoint {
	return &sekishopb.Endpoint{Address: packAddr(e.Addr), Port: uint32(e.Port), Name: []byte(e.Name)}
}

func unpackEndpoint(m *sekishopb.Endpoint) (flow.Endpoint, error) {
	addr, err := unpackAddr(m.GetAddress())
	if err != nil {
		return flow.Endpoint{}, err
	}
	port, err := unpackPort(m.GetPort())
	return flow.Endpoint{Addr: addr, Port: port, Name: string(m.GetName())}, err
}

func packWarnings(all []flow.Warning) []*sekishopb.Warning {
	var ms []*sekishopb.Warning
	for _, w := range all {
		ms = append(ms, &sekishopb.Warning{Code: text(w.Code), Text: []byte(w.Text), Value: []byte(w.Value)})
	}
	return ms
}

func unpackWarnings(ms []*sekishopb.Warning) []flow.Warning {
	var all []flow.Warning
	for _, m := range ms {
		all = append(all, flow.Warning{Code: m.GetCode(), Text: string(m.GetText()), Value: string(m.GetValue())})
	}
	return all
}

func packDecision(d flow.Decision) *sekishopb.Decision {
	return &sekishopb.Decision{
		Verdict: sekishopb.Verdict(d.Verdict), Kind: text(string(d.By.Kind)), Id: text(d.By.ID), Name: []byte(d.By.Name),
	}
}

func unpackDecision(m *sekishopb.Decision) (flow.Decision, error) {
	v, err := unpackVerdict(m.GetVerdict())
	by := flow.By{Kind: flow.Kind(m.GetKind()), ID: m.GetId(), Name: string(m.GetName())}
	return flow.Decision{Verdict: v, By: by}, err
}

func unpackVerdict(v sekishopb.Verdict) (flow.Verdict, error) {
	switch v {
	case sekishopb.Verdict_WAITING, sekishopb.Verdict_ALLOW, sekishopb.Verdict_BLOCK:
		return flow.Verdict(v), nil
	}
	return 0, fmt.Errorf("verdict %d: there is no such verdict", v)
}

func unpackDirection(d sekishopb.Direction) (flow.Direction, error) {
	switch d {
	case sekishopb.Direction_OUT, sekishopb.Direction_IN:
		return flow.Direction(d), nil
	}
	return 0, fmt.Errorf("direction %d: want out or in", d)
}

func unpackProtocol(n uint32) (flow.Protocol, error) {
	if n > math.MaxUint8 {
		return 0, fmt.Errorf("protocol %d: want a number up to 255", n)
	}
	return flow.Protocol(n), nil
}

func unpackPort(n uint32) (uint16, error) {
	if n > math.MaxUint16 {
		return 0, fmt.Errorf("port %d: want a number up to 65535", n)
	}
	return uint16(n), nil
}

func packAddr(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func unpackAddr(s string) (netip.Addr, error) {
	if s == "" {
		return netip.Addr{}, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("address %q: not an IP address", s)
	}
	return a, nil
}

func packTime(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func unpackTime(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// text makes s fit for a proto3 string, which has to be UTF-8: one odd byte must not
// make a whole list unreadable.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
