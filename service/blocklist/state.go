package blocklist

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"sekisho/service/blocklist/format"
)

// state is what is known of a list's copy, kept beside it.
type state struct {
	URL          string        `json:"url,omitempty"` // that the copy came from
	ETag         string        `json:"etag,omitempty"`
	LastModified string        `json:"last_modified,omitempty"`
	SHA256       string        `json:"sha256,omitempty"` // of the copy; empty: there is none
	Report       format.Report `json:"report"`
	Fetched      time.Time     `json:"fetched,omitzero"` // when the copy came
	Checked      time.Time     `json:"checked,omitzero"` // when it was last known to be the newest
	Due          time.Time     `json:"due,omitzero"`
	Failures     int           `json:"failures,omitempty"`
	Error        string        `json:"error,omitempty"`
	Do           string        `json:"do,omitempty"`
}

// Status is how a list is.
type Status struct {
	List    string
	Report  format.Report // of the copy in use; zero if there is none
	Fetched time.Time     // when that copy came; zero: there is none
	Checked time.Time     // when it was last known to be the newest
	Due     time.Time     // when it is fetched next; zero: never by itself
	Error   string        // of the last attempt; empty: it was good
	Do      string        // what to do about it
	Hits    uint64        // since the book was opened
	Busy    bool          // not in use yet: waits for its first copy, or to be compiled
}

// Status says how all lists are, in their order.
func (b *Book) Status() []Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	compiled := map[string]bool{}
	if f := b.file(); f != nil {
		for _, id := range f.Lists() {
			compiled[id] = true
		}
	}
	var all []Status
	for _, l := range b.lists {
		s := b.copies[l.ID]
		st := Status{List: l.ID, Report: s.Report, Fetched: s.Fetched, Checked: s.Checked, Error: s.Error, Do: s.Do, Hits: b.hits[l.ID],
			Busy: l.On && !compiled[l.ID] && s.Error == ""}
		if st.Busy && b.uncompiled != nil {
			st.Error, st.Do = b.uncompiled.Why, b.uncompiled.Do
		}
		if l.On && l.URL != "" {
			st.Due = s.Due
		}
		all = append(all, st)
	}
	return all
}

func (b *Book) copyPath(id string) string  { return filepath.Join(b.copyDir(), id+".list") }
func (b *Book) statePath(id string) string { return filepath.Join(b.copyDir(), id+".json") }

// readState gives what is known of a copy; of a damaged record nothing is.
func (b *Book) readState(id string) *state {
	s := new(state)
	t, err := os.ReadFile(b.statePath(id))
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) {
			b.o.Log.Warn("list is fetched again", "list", id, "err", err)
		}
		return s
	}
	if err := json.Unmarshal(t, s); err != nil {
		b.o.Log.Warn("list is fetched again", "list", id, "err", err)
		return new(state)
	}
	return s
}

func (b *Book) writeState(id string, s *state) error {
	t, err := json.Marshal(s)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(b.copyDir(), "new-")
	if err != nil {
		return err
	}
	_, err = f.Write(t)
	return finish(f, b.statePath(id), err)
}

// finish syncs a file that was written, and gives it its name.
func finish(f *os.File, path string, err error) error {
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// whole says whether the copy is the one that the state tells of.
func (b *Book) whole(id string, s *state) error {
	f, err := os.Open(b.copyPath(id))
	if err != nil {
		return err
	}
	defer f.Close()
	d := sha256.New()
	if _, err := io.Copy(d, f); err != nil {
		return err
	}
	if hex.EncodeToString(d.Sum(nil)) != s.SHA256 {
		return fmt.Errorf("the copy of list %s is damaged", id)
	}
	return nil
}
