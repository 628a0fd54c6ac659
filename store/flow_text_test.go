package store

import (
	"encoding/json"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sekisho/app/flow"
)

// What is written by hand is what encoding/json writes of the record, byte by byte.
func TestFlowTextIsJSON(t *testing.T) {
	text := rapid.OneOf(rapid.SampledFrom([]string{"", "plain", `"quoted"`, `back\slash`, "<&>", "日本語", "\x00\n\u2028", "\xff"}), rapid.String())
	endpoint := rapid.Custom(func(t *rapid.T) flow.Endpoint {
		return flow.Endpoint{
			Addr: rapid.SampledFrom([]netip.Addr{{}, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("::ffff:1.2.3.4"), netip.MustParseAddr("fe80::1%eth0")}).Draw(t, "address"),
			Port: rapid.Uint16().Draw(t, "port"), Name: text.Draw(t, "name"),
		}
	})
	moment := rapid.SampledFrom([]time.Time{{}, noon, time.Unix(0, 1), time.Unix(-5, 0)})
	number := rapid.OneOf(rapid.Just(uint64(0)), rapid.Uint64())
	var w flowWriter
	rapid.Check(t, func(t *rapid.T) {
		f := fullFlow(text.Draw(t, "id"), moment.Draw(t, "time"))
		f.Direction = rapid.SampledFrom([]flow.Direction{flow.Out, flow.In}).Draw(t, "direction")
		f.Protocol = flow.Protocol(rapid.Uint8().Draw(t, "protocol"))
		f.Local, f.Remote = endpoint.Draw(t, "local"), endpoint.Draw(t, "remote")
		f.Decision.Verdict = rapid.SampledFrom([]flow.Verdict{flow.Waiting, flow.Allow, flow.Block}).Draw(t, "verdict")
		f.Decision.By = flow.By{Kind: flow.Kind(text.Draw(t, "kind")), ID: text.Draw(t, "rule"), Name: text.Draw(t, "note")}
		f.Bytes = flow.Bytes{Sent: number.Draw(t, "sent"), Received: number.Draw(t, "received")}
		f.Packets = flow.Packets{Sent: number.Draw(t, "packets sent"), Received: number.Draw(t, "packets received")}
		f.State = rapid.SampledFrom([]flow.State{flow.Open, flow.Closed, ""}).Draw(t, "state")
		f.Ended, f.Cookie = moment.Draw(t, "ended"), number.Draw(t, "cookie")
		if rapid.Bool().Draw(t, "nobody") {
			f.Process = nil
		}
		want := newFlowRecord(f)
		want.Process.Executable = exeRecord{} // of use only while the flow waits
		body, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		key := historyKey(f)
		got, err := w.record(key, &f)
		if err != nil || string(got) != string(seal(recordVersion, key, body)) {
			t.Fatalf("got  %s\nwant %s, %v", got[sealSize:], body, err)
		}
	})
}

// BenchmarkAppendFlowsOfOne is a burst of connections of one program, each written once.
func BenchmarkAppendFlowsOfOne(b *testing.B) {
	s := open(b, b.TempDir(), Options{})
	first := fullFlow("", noon)
	flows := make([]flow.Flow, 4000)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		for i := range flows {
			n++
			flows[i] = first
			flows[i].ID, flows[i].Time = strconv.Itoa(n), noon.Add(time.Duration(n)*time.Microsecond)
		}
		if err := s.AppendFlows(flows); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/flow")
}
