package sample

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/rule"
)

// Service is a service with a few connections and rules that behaves as the real one
// does: what is added is listed, what is removed is gone. It may be used from any
// goroutine; its fields must not be touched once it is.
type Service struct {
	Err error // what every call fails with; nil for none

	mu        sync.Mutex
	flows     []flow.Flow
	rules     []rule.Rule
	status    api.Status
	next      int
	listeners map[int]func(flow.Flow)
	gone      chan struct{} // closed when the service goes away
}

// NewService returns a service with these connections and rules.
func NewService(flows []flow.Flow, rules []rule.Rule) *Service {
	return &Service{
		flows: flows, rules: rules, next: 100, listeners: map[int]func(flow.Flow){}, gone: make(chan struct{}),
		status: api.Status{Version: "1.0", Mode: api.ModeAsk, Enforcing: true, Rules: len(rules), Waiting: 2},
	}
}

// Status returns the state of the firewall.
func (s *Service) Status(context.Context) (api.Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status, s.Err
}

// SetStatus changes the state of the firewall.
func (s *Service) SetStatus(x api.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = x
}

// Rules lists the rules.
func (s *Service) Rules(context.Context) ([]rule.Rule, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.rules), s.Err
}

// AddRule keeps r under a new id.
func (s *Service) AddRule(_ context.Context, r rule.Rule, span time.Duration) (rule.Rule, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Err != nil {
		return rule.Rule{}, s.Err
	}
	s.next++
	r.ID, r.Created, r.By = strconv.Itoa(s.next), Now, "hana"
	if r.Lifetime.Kind == rule.Until {
		r.Lifetime.Until = Now.Add(span)
	}
	s.rules = append(s.rules, r)
	return r, nil
}

// EnableRule switches a rule.
func (s *Service) EnableRule(_ context.Context, id string, on bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.rules {
		if s.rules[i].ID == id && s.Err == nil {
			s.rules[i].Enabled = on
			return nil
		}
	}
	return s.missing(id)
}

// RemoveRule deletes a rule.
func (s *Service) RemoveRule(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.rules)
	if s.Err == nil {
		s.rules = slices.DeleteFunc(s.rules, func(r rule.Rule) bool { return r.ID == id })
	}
	if n != len(s.rules) {
		return nil
	}
	return s.missing(id)
}

func (s *Service) missing(id string) error {
	if s.Err != nil {
		return s.Err
	}
	return &api.Error{Code: api.NotFound, Message: "there is no rule " + id}
}

// Connections lists the live connections.
func (s *Service) Connections(context.Context) ([]flow.Flow, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.flows), s.Err
}

// FollowConnections reports what Change brings until ctx ends or the service goes away.
func (s *Service) FollowConnections(ctx context.Context, f func(flow.Flow)) error {
	s.mu.Lock()
	if s.Err != nil {
		defer s.mu.Unlock()
		return s.Err
	}
	s.next++
	id, gone := s.next, s.gone
	s.listeners[id] = f
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.listeners, id)
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-gone:
		return &api.Error{Code: api.NoService, Message: "the service is gone"}
	}
}

// Followers counts the streams that are open.
func (s *Service) Followers() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.listeners)
}

// Change opens, changes or closes a connection.
func (s *Service) Change(f flow.Flow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flows = slices.DeleteFunc(s.flows, func(o flow.Flow) bool { return o.ID == f.ID })
	if f.State == flow.Open {
		s.flows = append(s.flows, f)
	}
	for _, tell := range s.listeners {
		tell(f)
	}
}

// Forget closes a connection without telling anybody.
func (s *Service) Forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flows = slices.DeleteFunc(s.flows, func(o flow.Flow) bool { return o.ID == id })
}

// Stop makes the service go away: streams end, calls fail, until Start.
func (s *Service) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Err = &api.Error{Code: api.NoService, Message: "no service"}
	close(s.gone)
}

// Start brings the service back.
func (s *Service) Start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Err, s.gone = nil, make(chan struct{})
}

// Connections are what a home machine has open on an ordinary afternoon.
func Connections() []flow.Flow {
	programs := map[string]flow.Program{
		"firefox":   {Path: "/usr/lib/firefox-esr/firefox-esr", Name: "Firefox", Package: "firefox-esr"},
		"mail":      {Path: "/usr/bin/thunderbird", Name: "Thunderbird", Package: "thunderbird"},
		"torrent":   {Path: "/usr/bin/transmission-gtk", Name: "Transmission", Package: "transmission-gtk"},
		"curl":      {Path: "/usr/bin/curl", Name: "curl", Package: "curl"},
		"backup":    {Path: "/usr/bin/python3.11", Script: "/home/hana/bin/backup.py"},
		"time":      {Path: "/usr/lib/systemd/systemd-timesyncd", Name: "systemd-timesyncd", Unit: "systemd-timesyncd.service"},
		"printer":   {Path: "/usr/sbin/cupsd", Name: "cupsd", Unit: "cups.service"},
		"share":     {Path: "/usr/sbin/smbd", Name: "smbd", Unit: "smbd.service"},
		"game":      {Path: "/usr/bin/steam", Name: "Steam", Package: "steam"},
		"editor":    {Path: "/usr/share/code/code", Name: "Visual Studio Code", Package: "code"},
		"suspect":   {Path: "/home/hana/Downloads/invoice-viewer", Name: "invoice-viewer"},
		"ssh":       {Path: "/usr/bin/ssh", Name: "ssh", Package: "openssh-client"},
		"forgotten": {},
	}
	const kB, MB, GB = 1000, 1000 * 1000, 1000 * 1000 * 1000
	rows := []struct {
		program, name, address string
		port                   uint16
		in                     bool
		protocol               flow.Protocol
		sent, received         uint64
		ago                    time.Duration
		verdict                flow.Verdict
		by                     flow.By
	}{
		{"suspect", "", "185.220.101.47", 4444, false, flow.TCP, 0, 0, 4 * time.Second, flow.Waiting, flow.By{}},
		{"firefox", "en.wikipedia.org", "2620:0:861:ed1a::1", 443, false, flow.TCP, 48 * kB, 1900 * kB, 40 * time.Second, flow.Allow, flow.By{Kind: flow.ByRule, ID: "1"}},
		{"firefox", "upload.wikimedia.org", "2620:0:861:ed1a::2:b", 443, false, flow.UDP, 22 * kB, 7400 * kB, 38 * time.Second, flow.Allow, flow.By{Kind: flow.ByRule, ID: "1"}},
		{"curl", "raw.githubusercontent.com", "2606:50c0:8000::154", 443, false, flow.TCP, 2100, 61 * kB, 9 * time.Second, flow.Allow, flow.By{Kind: flow.ByAnswer}},
		{"mail", "imap.fastmail.com", "103.168.172.45", 993, false, flow.TCP, 310 * kB, 4100 * kB, 3*time.Hour + 12*time.Minute, flow.Allow, flow.By{Kind: flow.ByRule, ID: "2"}},
		{"torrent", "tracker.debian.org", "130.89.148.77", 443, false, flow.TCP, 12 * kB, 9 * kB, 22 * time.Minute, flow.Allow, flow.By{Kind: flow.ByRule, ID: "4"}},
		{"torrent", "", "91.189.95.21", 51413, true, flow.UDP, 1300 * MB, 84 * MB, 21 * time.Minute, flow.Allow, flow.By{Kind: flow.ByRule, ID: "5"}},
		{"backup", "s3.eu-central-1.amazonaws.com", "52.219.170.34", 443, false, flow.TCP, 2400 * MB, 820 * kB, 51 * time.Minute, flow.Allow, flow.By{Kind: flow.ByRule, ID: "6"}},
		{"time", "0.debian.pool.ntp.org", "185.125.190.57", 123, false, flow.UDP, 480, 480, 6 * time.Hour, flow.Allow, flow.By{Kind: flow.ByTrust}},
		{"printer", "printer.local", "192.168.1.40", 631, false, flow.TCP, 9 * kB, 3 * kB, 90 * time.Minute, flow.Allow, flow.By{Kind: flow.ByTrust}},
		{"share", "", "192.168.1.20", 445, true, flow.TCP, 640 * MB, 12 * MB, 2 * time.Hour, flow.Allow, flow.By{Kind: flow.ByRule, ID: "7"}},
		{"game", "cm2-fra1.cm.steampowered.com", "162.254.197.54", 27018, false, flow.TCP, 88 * kB, 1200 * kB, 26 * time.Hour, flow.Allow, flow.By{Kind: flow.ByMode, Name: "learn"}},
		{"editor", "marketplace.visualstudio.com", "13.107.42.18", 443, false, flow.TCP, 7 * kB, 260 * kB, 14 * time.Minute, flow.Allow, flow.By{Kind: flow.ByRule, ID: "8"}},
		{"ssh", "nas.home.arpa", "fd12:3456:789a::10", 22, false, flow.TCP, 3 * GB, 410 * MB, 50 * time.Hour, flow.Allow, flow.By{Kind: flow.ByRule, ID: "9"}},
		{"forgotten", "", "203.0.113.9", 123, false, flow.UDP, 76, 0, 2 * time.Minute, flow.Block, flow.By{Kind: flow.ByLimit, Name: "unattributed"}},
	}
	var out []flow.Flow
	for i, r := range rows {
		f := flow.Flow{
			ID: "c" + strconv.Itoa(i), Time: Now.Add(-r.ago), Protocol: r.protocol, State: flow.Open,
			Process:  &flow.Process{ProcessID: flow.ProcessID{PID: uint32(4000 + i), Start: 77}, Program: programs[r.program], UID: 1000, User: "hana"},
			Local:    flow.Endpoint{Addr: netip.MustParseAddr("192.168.1.12"), Port: uint16(40000 + i)},
			Remote:   flow.Endpoint{Addr: netip.MustParseAddr(r.address), Port: r.port, Name: r.name},
			Decision: flow.Decision{Verdict: r.verdict, By: r.by},
			Bytes:    flow.Bytes{Sent: r.sent, Received: r.received},
		}
		if r.in {
			f.Direction, f.Local.Port, f.Remote.Port = flow.In, r.port, uint16(50000+i)
		}
		out = append(out, f)
	}
	return out
}

// Rules are what somebody has answered in the first weeks.
func Rules() []rule.Rule {
	web := []rule.PortRange{{From: 80, To: 80}, {From: 443, To: 443}}
	https := web[1:]
	made := Now.AddDate(0, 0, -20)
	rules := []rule.Rule{
		{ID: "1", Enabled: true, Action: rule.Allow, Program: rule.Program{Path: "/usr/lib/firefox-esr/firefox-esr"}, Ports: web, Hits: 48210, LastUsed: Now.Add(-38 * time.Second)},
		{ID: "2", Enabled: true, Action: rule.Allow, Program: rule.Program{Path: "/usr/bin/thunderbird"}, Remote: rule.Remote{Domain: "fastmail.com"}, Hits: 1204, LastUsed: Now.Add(-3 * time.Minute)},
		{ID: "3", Enabled: true, Action: rule.Block, Program: rule.Program{Path: "/usr/bin/thunderbird"}, Remote: rule.Remote{Name: "incoming.telemetry.mozilla.org"}, Hits: 37, LastUsed: Now.Add(-5 * time.Hour)},
		{ID: "4", Enabled: true, Action: rule.Allow, Program: rule.Program{Path: "/usr/bin/transmission-gtk"}, Remote: rule.Remote{Name: "tracker.debian.org"}, Ports: https, Lifetime: rule.Lifetime{Kind: rule.Quit}, Hits: 6, LastUsed: Now.Add(-22 * time.Minute)},
		{ID: "5", Enabled: true, Action: rule.Allow, Direction: rule.In, Program: rule.Program{Path: "/usr/bin/transmission-gtk"}, Ports: []rule.PortRange{{From: 51413, To: 51413}}, Lifetime: rule.Lifetime{Kind: rule.Until, Until: Now.Add(38 * time.Minute)}, Hits: 118, LastUsed: Now.Add(-2 * time.Second)},
		{ID: "6", Enabled: true, Action: rule.Allow, Program: rule.Program{Path: "/usr/bin/python3.11", Script: "/home/hana/bin/backup.py"}, Remote: rule.Remote{Domain: "amazonaws.com"}, Ports: https, Hits: 20, LastUsed: Now.Add(-51 * time.Minute), Note: "Nightly backup"},
		{ID: "7", Enabled: true, Action: rule.Allow, Direction: rule.In, Program: rule.Program{Unit: "smbd.service"}, Remote: rule.Remote{LAN: true}, Hits: 301, LastUsed: Now.Add(-2 * time.Hour)},
		{ID: "8", Enabled: false, Action: rule.Allow, Program: rule.Program{Path: "/usr/share/code/code"}, Hits: 930, LastUsed: Now.Add(-14 * time.Minute)},
		{ID: "10", Enabled: true, Action: rule.Block, Program: rule.Program{Path: "/home/hana/Downloads/invoice-viewer"}, Hits: 3, LastUsed: Now.Add(-26 * time.Hour)},
		{ID: "11", Enabled: true, Action: rule.Allow, Program: rule.Program{Path: "/usr/bin/curl"}, Remote: rule.Remote{Name: "example.com"}, Ports: https, Lifetime: rule.Lifetime{Kind: rule.Boot}},
	}
	for i := range rules {
		if rules[i].Lifetime.Kind == "" {
			rules[i].Lifetime.Kind = rule.Always
		}
		rules[i].Created, rules[i].Origin, rules[i].By = made, rule.FromAnswer, "hana"
	}
	return rules
}

// Clock stands still at Now; nothing that waits for it ever happens.
type Clock struct{}

// Now is the moment at which the samples play.
func (Clock) Now() time.Time { return Now }

// AfterFunc never calls f.
func (Clock) AfterFunc(time.Duration, func()) (stop func() bool) { return func() bool { return true } }
