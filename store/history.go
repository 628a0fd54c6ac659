package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"go.etcd.io/bbolt"

	"sekisho/app/flow"
)

// HistoryFilter narrows what History returns; zero fields let everything through.
type HistoryFilter struct {
	Since   time.Time
	Program string       // path of the executable or of the script
	Verdict flow.Verdict // Waiting: any
	Limit   int          // the newest n
}

// historyKey orders flows by time; the id tells flows of the same moment apart, and
// the same flow is found again.
func historyKey(f flow.Flow) []byte { return appendHistoryKey(nil, &f) }

func appendHistoryKey(b []byte, f *flow.Flow) []byte {
	return append(binary.BigEndian.AppendUint64(b, uint64(stamp(f.Time))), f.ID...)
}

// AppendFlows adds flows to the history in one write and removes the oldest beyond
// Options.History. A flow with the time and the id of one that is there takes its
// place.
func (s *Store) AppendFlows(flows []flow.Flow) error {
	if len(flows) == 0 {
		return nil
	}
	_, err := s.OpenHistory()
	if err == nil {
		s.past.counting.Lock()
		defer s.past.counting.Unlock()
		err = s.past.change(func(c *change) error { return s.append(c, flows) })
	} else if !errors.Is(err, ErrClosed) {
		err = fmt.Errorf("%w: %w", ErrNotSaved, err)
	}
	if err != nil {
		return fmt.Errorf("save history: %w", err)
	}
	return nil
}

func (s *Store) append(c *change, flows []flow.Flow) error {
	last := make(map[string]int, len(flows)) // what ended at once is written once
	for i := range flows {
		last[flows[i].ID] = i
	}
	var w flowWriter
	var key []byte // bbolt keeps a copy
	for i := range flows {
		f := &flows[i]
		if len(f.ID) > maxID {
			return fmt.Errorf("flow %.20q %w", f.ID, errNoID)
		}
		if last[f.ID] != i {
			continue
		}
		key = appendHistoryKey(key[:0], f)
		value, err := w.record(key, f)
		if err != nil {
			return err
		}
		if err := c.put(key, value, f.State == flow.Open); err != nil {
			return err
		}
	}
	return c.prune(s.opts)
}

// prune removes the oldest flows beyond the bounds.
func (c *change) prune(bounds Options) error {
	var old [][]byte
	volume := c.volume
	cursor := c.history.Cursor()
	for key, value := cursor.First(); key != nil && (c.count-len(old) > bounds.History || volume > bounds.Volume); key, value = cursor.Next() {
		old = append(old, bytes.Clone(key))
		volume -= int64(len(value))
	}
	return c.remove(old)
}

var openNeedle = fmt.Appendf(nil, `"a":%q`, flow.Open) // no string has a quote that is not escaped

// isOpen reports whether a record of the history says that its flow goes on.
func isOpen(body []byte) bool { return bytes.Contains(body, openNeedle) }

// OpenFlows is the flows that went on when they were written last, before Open; the second
// time it is none. Those of a few processes share them. It doesn't wait for the rest of
// the history.
func (s *Store) OpenFlows() ([]flow.Flow, error) {
	left := s.past.left.Swap(nil)
	if left == nil {
		return nil, nil
	}
	if left.err != nil && !errors.Is(left.err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read what was open: %w", left.err)
	}
	var flows []flow.Flow
	processes := map[flow.ProcessID]*flow.Process{}
	for _, e := range left.entries {
		f, err := decodeFlow(e.key, e.value)
		if err != nil || f.State != flow.Open {
			continue
		}
		if p := processes[f.Process.ProcessID]; p != nil && p.ExecID == f.Process.ExecID && p.UID == f.Process.UID {
			f.Process = p
		}
		processes[f.Process.ProcessID] = f.Process
		flows = append(flows, f)
	}
	return flows, nil
}

// historyChunk is how many records History reads in one transaction: a reader that
// takes its time would keep writers from growing the file.
const historyChunk = 1000

// History calls f with the flows that the filter lets through, the newest first,
// until f returns false. f is called outside of any transaction and may take its
// time; flows that are added meanwhile are not seen.
func (s *Store) History(filter HistoryFilter, f func(flow.Flow) bool) error {
	if _, err := s.OpenHistory(); err != nil {
		return fmt.Errorf("read history: %w", err)
	}
	match := newMatcher(filter)
	var before []byte // nil: from the end
	for left := filter.Limit; ; {
		var flows []flow.Flow
		more := false
		err := s.past.view(func(tx *bbolt.Tx) error {
			flows, more = nil, false // view may run this again
			c := tx.Bucket([]byte(historyBucket)).Cursor()
			key, value := seekBefore(c, before)
			for range historyChunk {
				if key == nil || bytes.Compare(key, match.since) < 0 {
					return nil
				}
				if fl, ok := match.decode(key, value); ok {
					flows = append(flows, fl)
				}
				before = bytes.Clone(key)
				key, value = c.Prev()
			}
			more = key != nil
			return nil
		})
		if err != nil {
			return fmt.Errorf("read history: %w", err)
		}
		for _, fl := range flows {
			if !f(fl) {
				return nil
			}
			if left--; left == 0 {
				return nil
			}
		}
		if !more {
			return nil
		}
	}
}

// Flow finds a flow of the history by its id. It looks through the keys alone.
func (s *Store) Flow(id string) (f flow.Flow, found bool, err error) {
	if id == "" || len(id) > maxID {
		return f, false, nil
	}
	if _, err := s.OpenHistory(); err != nil {
		return f, false, fmt.Errorf("read history: %w", err)
	}
	err = s.past.view(func(tx *bbolt.Tx) error {
		found = false // view may run this again
		c := tx.Bucket([]byte(historyBucket)).Cursor()
		for key, value := c.Last(); key != nil; key, value = c.Prev() {
			if len(key) == 8+len(id) && string(key[8:]) == id {
				var err error
				f, err = decodeFlow(key, value)
				found = err == nil
				return err
			}
		}
		return nil
	})
	if err != nil {
		return flow.Flow{}, false, fmt.Errorf("read history: %w", err)
	}
	return f, found, nil
}

// seekBefore goes to the last key before key; nil is the end.
func seekBefore(c *bbolt.Cursor, key []byte) ([]byte, []byte) {
	if key == nil {
		return c.Last()
	}
	if k, _ := c.Seek(key); k == nil {
		return c.Last()
	}
	return c.Prev()
}

// matcher is a HistoryFilter made ready. Reading JSON is what takes the time, so
// records that cannot match are put aside by the bytes that they would have to hold.
type matcher struct {
	HistoryFilter
	since   []byte
	needles [][]byte
}

func newMatcher(filter HistoryFilter) matcher {
	m := matcher{HistoryFilter: filter, since: binary.BigEndian.AppendUint64(nil, uint64(stamp(filter.Since)))}
	if filter.Program != "" {
		needle, _ := json.Marshal(toText(filter.Program)) // a string always can be
		m.needles = append(m.needles, needle)
	}
	if filter.Verdict != flow.Waiting {
		m.needles = append(m.needles, fmt.Appendf(nil, `"v":%q`, filter.Verdict))
	}
	return m
}

// decode returns the flow if the filter lets it through. A record that cannot be read
// is passed over: Open reports and removes it.
func (m *matcher) decode(key, value []byte) (flow.Flow, bool) {
	for _, n := range m.needles {
		if !bytes.Contains(value, n) {
			return flow.Flow{}, false
		}
	}
	f, err := decodeFlow(key, value)
	ok := err == nil &&
		(m.Program == "" || f.Process.Path == m.Program || f.Process.Script == m.Program) &&
		(m.Verdict == flow.Waiting || f.Decision.Verdict == m.Verdict)
	return f, ok
}
