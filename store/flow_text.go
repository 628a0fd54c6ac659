package store

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"

	"sekisho/app/flow"
)

// appendFlow appends f's record as encoding/json writes a flowRecord, a few times as fast:
// on a busy machine most of what the service does is to write flows. process is the text of
// f's process.
func appendFlow(b []byte, f *flow.Flow, process []byte) []byte {
	b = appendString(append(b, `{"id":`...), f.ID)
	b = appendNumber(b, `,"t":`, stamp(f.Time))
	if f.Direction == flow.In {
		b = append(b, `,"in":true`...)
	}
	b = appendNumber(b, `,"p":`, uint64(f.Protocol))
	b = append(append(b, `,"o":`...), process...)
	b = appendEndpoint(b, `,"l":{`, f.Local)
	b = appendEndpoint(b, `,"r":{`, f.Remote)
	b = appendString(append(b, `,"v":`...), f.Decision.Verdict.String())
	b = appendText(b, `,"k":`, string(f.Decision.By.Kind))
	b = appendText(b, `,"i":`, f.Decision.By.ID)
	b = appendText(b, `,"n":`, f.Decision.By.Name)
	b = appendWarnings(b, f.Warnings)
	b = appendNumber(b, `,"s":`, f.Bytes.Sent)
	b = appendNumber(b, `,"e":`, f.Bytes.Received)
	b = appendNumber(b, `,"so":`, f.Packets.Sent)
	b = appendNumber(b, `,"si":`, f.Packets.Received)
	b = appendText(b, `,"a":`, string(f.State))
	b = appendNumber(b, `,"z":`, stamp(f.Ended))
	if f.State == flow.Open {
		b = appendNumber(b, `,"c":`, f.Cookie)
	}
	return append(b, '}')
}

func appendEndpoint(b []byte, name string, e flow.Endpoint) []byte {
	if e == (flow.Endpoint{}) {
		return b
	}
	b = append(b, name...)
	begun := len(b)
	if e.Addr != (netip.Addr{}) {
		b = append(b, `,"a":"`...)
		b = append(e.Addr.AppendTo(b), '"')
	}
	b = appendNumber(b, `,"p":`, uint64(e.Port))
	b = appendText(b, `,"n":`, e.Name)
	b = append(b[:begun], b[begun+1:]...) // the first comma
	return append(b, '}')
}

// appendNumber leaves zero out, appendText the empty text.
func appendNumber[N int64 | uint64](b []byte, name string, n N) []byte {
	switch {
	case n == 0:
		return b
	case n < 0:
		return strconv.AppendInt(append(b, name...), int64(n), 10)
	}
	return strconv.AppendUint(append(b, name...), uint64(n), 10)
}

func appendText(b []byte, name, s string) []byte {
	if s == "" {
		return b
	}
	return appendString(append(b, name...), s)
}

// appendWarnings writes few of them, of few flows.
func appendWarnings(b []byte, all []flow.Warning) []byte {
	if len(all) == 0 {
		return b
	}
	text, _ := json.Marshal(newWarningRecords(all)) // strings always can be
	return append(append(b, `,"w":`...), text...)
}

// appendString quotes s.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(s) // a string always can be
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// flowWriter makes the records of a batch of flows, in memory that they share. The flows of
// a moment are of few processes, and a process is most of what a record says.
type flowWriter struct {
	processes map[*flow.Process][]byte
	arena     []byte
}

// arenaSize is how much memory records share, in bytes.
const arenaSize = 64 << 10

// record makes f's record for key; it stays as it is.
func (w *flowWriter) record(key []byte, f *flow.Flow) ([]byte, error) {
	process, err := w.process(f.Process)
	if err != nil {
		return nil, err
	}
	if cap(w.arena)-len(w.arena) < 1<<10+len(process) {
		w.arena = make([]byte, 0, max(arenaSize, 8<<10+len(process)))
	}
	begun := len(w.arena)
	b := appendFlow(append(w.arena, make([]byte, sealSize)...), f, process)
	w.arena = b
	b = b[begun:len(b):len(b)]
	if len(b) > maxRecord {
		return nil, fmt.Errorf("%d bytes are too many: at most %d", len(b), maxRecord)
	}
	putSeal(b, recordVersion, key)
	return b, nil
}

// process is p as text.
func (w *flowWriter) process(p *flow.Process) ([]byte, error) {
	if text, ok := w.processes[p]; ok {
		return text, nil
	}
	var rec processRecord
	if p != nil {
		rec = newProcessRecord(p)
	}
	rec.Executable = exeRecord{} // of use only while the flow waits
	text, err := json.Marshal(rec)
	if err != nil {
		return nil, err
	}
	if w.processes == nil {
		w.processes = map[*flow.Process][]byte{}
	}
	w.processes[p] = text
	return text, nil
}
