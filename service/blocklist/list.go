package blocklist

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"sekisho/service/blocklist/format"
)

// Category is what a list is against.
type Category string

const (
	Malware  Category = "malware"
	Ads      Category = "ads"
	Tracking Category = "tracking"
	Own      Category = "own" // the person's
)

// Categories lists them in the order in which they are shown.
var Categories = []Category{Malware, Ads, Tracking, Own}

// Action is what a hit does.
type Action string

const (
	Block Action = "block"
	Warn  Action = "warn" // say so in the prompt
)

// Exception makes a list silent for a program, for an entry, or for an entry when that
// program asks. Both empty means nothing.
type Exception struct {
	Program string `json:"program,omitempty"` // flow.Program.Key
	Entry   string `json:"entry,omitempty"`   // a name with all below, an address or a network
}

// List is one list and the choices that were made for it.
type List struct {
	ID         string        `json:"id"` // a-z, 0-9 and -, at most 64; names its files
	Name       string        `json:"name"`
	URL        string        `json:"url,omitempty"` // empty: only what Import is given
	Format     format.Format `json:"format"`
	Category   Category      `json:"category"`
	Action     Action        `json:"action"`
	On         bool          `json:"on"`
	Every      time.Duration `json:"every,omitempty"`    // between fetches; 0: a day
	Insecure   bool          `json:"insecure,omitempty"` // may come over plain HTTP
	Exceptions []Exception   `json:"exceptions,omitempty"`
}

// Bounds of a list's settings.
const (
	maxExceptions = 1000
	minEvery      = time.Hour
	maxEvery      = 30 * 24 * time.Hour
	usualEvery    = 24 * time.Hour
)

// Check says what is wrong with a list's settings.
func (l *List) Check() error {
	switch {
	case !goodID(l.ID):
		return fmt.Errorf("list id %q: use a-z, 0-9 and -, at most 64", l.ID)
	case l.Name == "" || len(l.Name) > 200 || strings.ContainsFunc(l.Name, func(r rune) bool { return r < ' ' }):
		return fmt.Errorf("list %s: give it a name of 1 to 200 bytes", l.ID)
	case l.Action != Block && l.Action != Warn:
		return fmt.Errorf("list %s: action %q: want block or warn", l.ID, l.Action)
	case l.Category != Malware && l.Category != Ads && l.Category != Tracking && l.Category != Own:
		return fmt.Errorf("list %s: category %q: want one of %v", l.ID, l.Category, Categories)
	case l.Every != 0 && (l.Every < minEvery || l.Every > maxEvery):
		return fmt.Errorf("list %s: fetch it every %v to %v", l.ID, minEvery, maxEvery)
	case len(l.Exceptions) > maxExceptions:
		return fmt.Errorf("list %s: more than %d exceptions", l.ID, maxExceptions)
	}
	for _, e := range l.Exceptions {
		if _, err := newExcept(e); err != nil {
			return fmt.Errorf("list %s: %w", l.ID, err)
		}
	}
	if l.URL == "" {
		return nil
	}
	if err := checkURL(l.URL, l.Insecure); err != nil {
		return fmt.Errorf("list %s: %w", l.ID, err)
	}
	return nil
}

func goodID(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" && s[0] != '-'
}

// checkURL takes https, and http where that was chosen.
func checkURL(s string, insecure bool) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || len(s) > 2048:
		return fmt.Errorf("address %.100q: not a web address", s)
	case u.Scheme == "http" && !insecure:
		return errors.New("anybody on the way could change what comes over http: use https, or allow http for this list")
	case u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("address %.100q: want https://", s)
	case u.Hostname() == "" || u.User != nil:
		return fmt.Errorf("address %.100q: want https://host/path without a password", s)
	}
	return nil
}

func (l *List) every() time.Duration {
	if l.Every == 0 {
		return usualEvery
	}
	return l.Every
}

// except is an Exception ready to be compared.
type except struct {
	program string
	name    string
	network netip.Prefix
}

func newExcept(e Exception) (except, error) {
	x := except{program: e.Program}
	if e.Entry == "" {
		if e.Program == "" {
			return x, errors.New("an exception of nothing: name a program or an entry")
		}
		return x, nil
	}
	if a, err := netip.ParseAddr(e.Entry); err == nil {
		a = a.Unmap().WithZone("")
		x.network = netip.PrefixFrom(a, a.BitLen())
		return x, nil
	}
	if p, err := netip.ParsePrefix(e.Entry); err == nil {
		x.network = p.Masked()
		return x, nil
	}
	n, ok := format.CleanName(strings.TrimPrefix(e.Entry, "*."))
	if !ok {
		return x, fmt.Errorf("exception %.100q: not a name, address or network", e.Entry)
	}
	x.name = n
	return x, nil
}

// covers says whether the exception holds for a program that asked for one of names
// (clean) and addr.
func (x *except) covers(program string, names []string, addr netip.Addr) bool {
	if x.program != "" && x.program != program {
		return false
	}
	if x.network.IsValid() {
		return addr.IsValid() && x.network.Contains(addr)
	}
	if x.name == "" {
		return true
	}
	for _, n := range names {
		if n == x.name || strings.HasSuffix(n, x.name) && n[len(n)-len(x.name)-1] == '.' {
			return true
		}
	}
	return false
}
