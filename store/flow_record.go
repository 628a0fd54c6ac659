package store

import (
	"fmt"
	"net/netip"

	"sekisho/app/flow"
)

// maxArgs bounds the arguments that are kept of a process, in bytes: the kernel
// allows two megabytes.
const maxArgs = 4096

// maxParents bounds the ancestors that are kept of a process.
const maxParents = 32

// flowRecord is a flow on disk, version 2; the names are short because there are
// many.
type flowRecord struct {
	ID         string          `json:"id"`
	Time       int64           `json:"t,omitempty"`
	In         bool            `json:"in,omitempty"`
	Protocol   uint8           `json:"p,omitempty"`
	Process    processRecord   `json:"o"`
	Local      endpointRecord  `json:"l,omitzero"`
	Remote     endpointRecord  `json:"r,omitzero"`
	Verdict    string          `json:"v"`
	By         flow.Kind       `json:"k,omitempty"`
	ByID       string          `json:"i,omitempty"`
	ByName     string          `json:"n,omitempty"`
	Warnings   []warningRecord `json:"w,omitempty"`
	Sent       uint64          `json:"s,omitempty"`
	Received   uint64          `json:"e,omitempty"`
	PacketsOut uint64          `json:"so,omitempty"`
	PacketsIn  uint64          `json:"si,omitempty"`
	State      flow.State      `json:"a,omitempty"`
	Ended      int64           `json:"z,omitempty"`
	Cookie     uint64          `json:"c,omitempty"` // while it is open: a later run of the service finds it again by it
}

type endpointRecord struct {
	Addr netip.Addr `json:"a,omitzero"`
	Port uint16     `json:"p,omitempty"`
	Name string     `json:"n,omitempty"`
}

type processRecord struct {
	PID        uint32           `json:"pid,omitempty"`
	Start      uint64           `json:"start,omitempty"`
	Executable exeRecord        `json:"exe,omitzero"`
	Path       string           `json:"path,omitempty"`
	Name       string           `json:"name,omitempty"`
	Icon       string           `json:"icon,omitempty"`
	Script     string           `json:"script,omitempty"`
	Inline     bool             `json:"inline,omitempty"`
	Replaced   bool             `json:"replaced,omitempty"`
	ExecID     uint32           `json:"exec,omitempty"`
	Package    string           `json:"package,omitempty"`
	Integrity  flow.Integrity   `json:"integrity,omitempty"`
	App        string           `json:"app,omitempty"`
	OwnApp     bool             `json:"own_app,omitempty"`
	Container  string           `json:"container,omitempty"`
	Unit       string           `json:"unit,omitempty"`
	OwnUnit    bool             `json:"own_unit,omitempty"`
	SHA256     string           `json:"sha256,omitempty"`
	UID        uint32           `json:"uid,omitempty"`
	User       string           `json:"user,omitempty"`
	Args       []string         `json:"args,omitempty"`
	Dir        string           `json:"dir,omitempty"`
	Cgroup     string           `json:"cgroup,omitempty"`
	Parents    []ancestorRecord `json:"parents,omitempty"`
	Kernel     bool             `json:"kernel,omitempty"`
}

type exeRecord struct {
	Inode      uint64 `json:"inode,omitempty"`
	Ctime      int64  `json:"ctime,omitempty"`
	CtimeNano  uint32 `json:"nano,omitempty"`
	Device     uint32 `json:"device,omitempty"`
	Generation uint32 `json:"generation,omitempty"`
}

type ancestorRecord struct {
	PID   uint32 `json:"pid,omitempty"`
	Start uint64 `json:"start,omitempty"`
	Path  string `json:"path,omitempty"`
	Name  string `json:"name,omitempty"`
}

func newFlowRecord(f flow.Flow) flowRecord {
	rec := flowRecord{
		ID: f.ID, Time: stamp(f.Time), In: f.Direction == flow.In, Protocol: uint8(f.Protocol),
		Local: endpointRecord(f.Local), Remote: endpointRecord(f.Remote),
		Verdict: f.Decision.Verdict.String(), By: f.Decision.By.Kind,
		ByID: f.Decision.By.ID, ByName: f.Decision.By.Name,
		Sent: f.Bytes.Sent, Received: f.Bytes.Received, PacketsOut: f.Packets.Sent, PacketsIn: f.Packets.Received, State: f.State, Ended: stamp(f.Ended),
	}
	if f.State == flow.Open {
		rec.Cookie = f.Cookie
	}
	rec.Warnings = newWarningRecords(f.Warnings)
	if f.Process != nil {
		rec.Process = newProcessRecord(f.Process)
	}
	return rec
}

func newProcessRecord(p *flow.Process) processRecord {
	rec := processRecord{
		PID: p.PID, Start: p.Start, Executable: exeRecord(p.Executable), Path: toText(p.Path), Name: toText(p.Name),
		Icon: toText(p.Icon), Script: toText(p.Script), Inline: p.Inline, Replaced: p.Replaced, ExecID: p.ExecID, Package: p.Package, Integrity: p.Integrity,
		App: toText(p.App), OwnApp: p.OwnApp, Container: toText(p.Container),
		Unit: p.Unit, OwnUnit: p.OwnUnit, SHA256: p.SHA256, UID: p.UID, User: p.User, Dir: toText(p.Dir),
		Cgroup: toText(p.Cgroup), Kernel: p.Kernel,
	}
	left := maxArgs
	for _, a := range p.Args {
		if left -= len(a); left < 0 {
			rec.Args = append(rec.Args, "…")
			break
		}
		rec.Args = append(rec.Args, toText(a))
	}
	for _, a := range p.Parents[:min(len(p.Parents), maxParents)] {
		rec.Parents = append(rec.Parents, ancestorRecord{PID: a.PID, Start: a.Start, Path: toText(a.Path), Name: toText(a.Name)})
	}
	return rec
}

func (rec *flowRecord) flow() (flow.Flow, error) {
	process, err := rec.Process.process()
	if err != nil {
		return flow.Flow{}, fmt.Errorf("%w: flow %q: %w", errDamaged, rec.ID, err)
	}
	f := flow.Flow{
		ID: rec.ID, Time: moment(rec.Time), Protocol: flow.Protocol(rec.Protocol), Process: process,
		Local: flow.Endpoint(rec.Local), Remote: flow.Endpoint(rec.Remote),
		Decision: flow.Decision{By: flow.By{Kind: rec.By, ID: rec.ByID, Name: rec.ByName}},
		Bytes:    flow.Bytes{Sent: rec.Sent, Received: rec.Received}, Packets: flow.Packets{Sent: rec.PacketsOut, Received: rec.PacketsIn}, State: rec.State, Ended: moment(rec.Ended), Cookie: rec.Cookie,
	}
	if rec.In {
		f.Direction = flow.In
	}
	if f.Warnings, err = warnings(rec.Warnings); err != nil {
		return flow.Flow{}, fmt.Errorf("%w: flow %q: %w", errDamaged, rec.ID, err)
	}
	if err := f.Decision.Verdict.UnmarshalText([]byte(rec.Verdict)); err != nil {
		return flow.Flow{}, fmt.Errorf("%w: flow %q: %w", errDamaged, rec.ID, err)
	}
	return f, nil
}

func (rec *processRecord) process() (*flow.Process, error) {
	if err := texts(&rec.Path, &rec.Name, &rec.Icon, &rec.Script, &rec.Dir, &rec.Cgroup, &rec.App, &rec.Container); err != nil {
		return nil, err
	}
	p := &flow.Process{
		ProcessID: flow.ProcessID{PID: rec.PID, Start: rec.Start}, ExecID: rec.ExecID,
		Program: flow.Program{
			Executable: flow.Executable(rec.Executable), Path: rec.Path, Name: rec.Name, Icon: rec.Icon, Script: rec.Script,
			Inline: rec.Inline, Replaced: rec.Replaced, Package: rec.Package, Integrity: rec.Integrity,
			App: rec.App, OwnApp: rec.OwnApp, Container: rec.Container, Unit: rec.Unit, OwnUnit: rec.OwnUnit, SHA256: rec.SHA256,
		},
		UID: rec.UID, User: rec.User, Args: rec.Args, Dir: rec.Dir, Cgroup: rec.Cgroup, Kernel: rec.Kernel,
	}
	for i := range p.Args {
		if err := texts(&p.Args[i]); err != nil {
			return nil, err
		}
	}
	for _, a := range rec.Parents {
		if err := texts(&a.Path, &a.Name); err != nil {
			return nil, err
		}
		p.Parents = append(p.Parents, flow.Ancestor{
			ProcessID: flow.ProcessID{PID: a.PID, Start: a.Start}, Path: a.Path, Name: a.Name,
		})
	}
	return p, nil
}

func decodeFlow(key, record []byte) (flow.Flow, error) {
	var rec flowRecord
	if err := decode(key, record, &rec); err != nil {
		return flow.Flow{}, err
	}
	return rec.flow()
}
