package api

import (
	"time"

	"sekisho/app/api/sekishopb"
)

// PackList writes l as a message.
func PackList(l List) *sekishopb.List {
	m := &sekishopb.List{
		Id: text(l.ID), Name: text(l.Name), Url: text(l.URL), Format: text(l.Format), Category: text(l.Category),
		Action: text(l.Action), On: l.On, Every: int64(l.Every), Insecure: l.Insecure,
	}
	for _, e := range l.Exceptions {
		m.Exceptions = append(m.Exceptions, &sekishopb.ListException{Program: []byte(e.Program), Entry: text(e.Entry)})
	}
	return m
}

// UnpackList reads a message.
func UnpackList(m *sekishopb.List) List {
	l := List{
		ID: m.GetId(), Name: m.GetName(), URL: m.GetUrl(), Format: m.GetFormat(), Category: m.GetCategory(),
		Action: m.GetAction(), On: m.GetOn(), Every: Seconds(m.GetEvery()), Insecure: m.GetInsecure(),
	}
	for _, e := range m.GetExceptions() {
		l.Exceptions = append(l.Exceptions, ListException{Program: string(e.GetProgram()), Entry: e.GetEntry()})
	}
	return l
}

// PackListState writes s as a message.
func PackListState(s ListState) *sekishopb.ListState {
	m := &sekishopb.ListState{
		List: PackList(s.List), FoundFormat: text(s.Found),
		Names: int64(s.Names), Networks: int64(s.Networks), Pages: int64(s.Pages), TakesBack: int64(s.TakesBack),
		Left: int64(s.Left), Broken: int64(s.Broken), Fetched: packTime(s.Fetched), Checked: packTime(s.Checked), Due: packTime(s.Due),
		Error: []byte(s.Error), Do: []byte(s.Do), Hits: s.Hits, Busy: s.Busy,
	}
	for _, l := range s.First {
		m.First = append(m.First, &sekishopb.SkippedLine{Line: int32(l.Line), Text: []byte(l.Text), Why: []byte(l.Why)})
	}
	return m
}

// UnpackListState reads a message.
func UnpackListState(m *sekishopb.ListState) ListState {
	s := ListState{
		List: UnpackList(m.GetList()), Found: m.GetFoundFormat(),
		Names: int(m.GetNames()), Networks: int(m.GetNetworks()), Pages: int(m.GetPages()), TakesBack: int(m.GetTakesBack()),
		Left: int(m.GetLeft()), Broken: int(m.GetBroken()),
		Fetched: unpackTime(m.GetFetched()), Checked: unpackTime(m.GetChecked()), Due: unpackTime(m.GetDue()),
		Error: string(m.GetError()), Do: string(m.GetDo()), Hits: m.GetHits(), Busy: m.GetBusy(),
	}
	for _, l := range m.GetFirst() {
		s.First = append(s.First, SkippedLine{Line: int(l.GetLine()), Text: string(l.GetText()), Why: string(l.GetWhy())})
	}
	return s
}

// PackSenderLists writes s as a message.
func PackSenderLists(s SenderLists) *sekishopb.SenderListsMessage {
	m := &sekishopb.SenderListsMessage{
		Deadline: int64(s.Deadline), Checked: s.Counters.Checked, Listed: s.Counters.Listed, Late: s.Counters.Late, Failed: s.Counters.Failed,
	}
	for _, z := range s.Zones {
		m.Zones = append(m.Zones, text(z))
	}
	for _, p := range s.Ports {
		m.Ports = append(m.Ports, uint32(p))
	}
	return m
}

// UnpackSenderLists reads a message.
func UnpackSenderLists(m *sekishopb.SenderListsMessage) (SenderLists, error) {
	s := SenderLists{
		Zones: m.GetZones(), Deadline: Seconds(time.Duration(m.GetDeadline())),
		Counters: SenderCounts{Checked: m.GetChecked(), Listed: m.GetListed(), Late: m.GetLate(), Failed: m.GetFailed()},
	}
	for _, p := range m.GetPorts() {
		if p == 0 || p > 65535 {
			return SenderLists{}, Errorf(BadRequest, "there is no port %d: want 1 to 65535", p)
		}
		s.Ports = append(s.Ports, uint16(p))
	}
	return s, nil
}
