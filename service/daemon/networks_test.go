package daemon_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/lab"
)

// here waits until the machine is on a network that can be named, by another gateway than
// that of not.
func (s *scene) here(not string) api.Network {
	s.t.Helper()
	var is api.Network
	s.eventually("the network", func() bool {
		all, err := s.api.Networks(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		i := slices.IndexFunc(all, func(n api.Network) bool { return n.Primary && n.ID != "" && n.ID != not })
		if i >= 0 {
			is = all[i]
		}
		return i >= 0
	})
	return is
}

func (s *scene) nameNetwork(id, profile string) {
	s.t.Helper()
	if err := s.api.NameNetwork(s.t.Context(), id, profile); err != nil {
		s.t.Fatal(err)
	}
	s.profile(rule.NormalNetwork(profile))
}

func (s *scene) profile(want string) {
	s.t.Helper()
	s.eventually("the profile "+want, func() bool { return s.status().NetworkProfile == want })
}

// through makes another host the gateway of Home.
func (s *scene) through(gateway *lab.Host) {
	s.t.Helper()
	err := s.Home.Do(func() error {
		link, err := netlink.LinkByName(lab.LinkName)
		if err != nil {
			return err
		}
		for to, via := range map[string]netip.Addr{"0.0.0.0/0": gateway.Addr4, "::/0": gateway.Addr6} {
			dst, err := netlink.ParseIPNet(to)
			if err != nil {
				return err
			}
			if err := netlink.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: dst, Gw: via.AsSlice()}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// A rule for home holds there, and not where the gateway is another one: what it allowed
// ends, and is asked about anew.
func TestRuleForHome(t *testing.T) {
	s := newScene(t)
	home := s.here("")
	if home.Profile != rule.NetworkPublic || home.Known {
		t.Errorf("before anybody said anything: %+v", home)
	}
	s.nameNetwork(home.ID, "Home")
	program := s.Home.Program("client")
	s.allow(rule.Rule{Program: rule.Program{Path: program.Path}, Network: rule.NetworkHome})
	for range 2 { // the second time by what the kernel knows
		if out, err := program.Run(t.Context(), "-echo", "tcp", s.target.String()); err != nil || !out[0].OK {
			t.Fatalf("at home: %+v, %v", out, err)
		}
	}
	stays := program.Start(t.Context(), "-echo", "-hold", "1m", "tcp", s.target.String())
	s.eventually("the connection", func() bool { return s.opens(program.Path) == 1 })

	other := s.AddHost("other")
	s.through(other)
	s.profile(rule.NetworkPublic)
	s.eventually("its end", func() bool { return s.opens(program.Path) == 0 })
	_ = stays.Process.Kill()
	if now := s.here(home.ID); now.Known || now.Profile != rule.NetworkPublic {
		t.Errorf("elsewhere: %+v", now)
	}
	program.Start(t.Context(), "tcp", s.target.String())
	s.answer(s.prompts(1)[0], rule.Block, rule.Once, prompt.Scope{Kind: prompt.Anything})

	s.through(s.Remote)
	s.profile(rule.NetworkHome)
	s.service.Restart() // what was said of the network stays
	s.profile(rule.NetworkHome)
	if out, err := program.Run(t.Context(), "-echo", "tcp", s.target.String()); err != nil || !out[0].OK {
		t.Fatalf("back at home: %+v, %v", out, err)
	}
}

// opens is how many connections of a program are allowed and open.
func (s *scene) opens(path string) (n int) {
	s.t.Helper()
	all, err := s.api.Connections(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range all {
		if f.Process.Path == path && f.State == flow.Open && f.Decision.Verdict == flow.Allow {
			n++
		}
	}
	return n
}

// On a public network nobody comes in unless a rule says so, whatever the mode; at home,
// and as long as nobody has named a network, it is asked about.
func TestPublicNetwork(t *testing.T) {
	for _, network := range []string{"tcp", "udp"} {
		t.Run(network, func(t *testing.T) {
			s := newScene(t)
			address := netip.AddrPortFrom(s.Home.Addr4, 8000).String()
			server := s.Home.Serve(t.Context(), "server", network, address)
			asked := func(when string) {
				t.Helper()
				answer := s.visiting(network, address, when, 5*time.Second)
				s.answer(s.prompts(1)[0], rule.Allow, rule.Once, prompt.Scope{Kind: prompt.Anything})
				if got := <-answer; got != when {
					t.Errorf("%s: %q", when, got)
				}
			}
			refused := func(when string) {
				t.Helper()
				if s.visit(network, address, when, 300*time.Millisecond) != "" || reached(server, when) {
					t.Errorf("%s: it came in", when)
				}
				s.prompts(0)
			}
			asked("before anybody has said anything")
			home := s.here("").ID
			s.nameNetwork(home, rule.NetworkHome)
			asked("at home")
			s.through(s.AddHost("other"))
			s.profile(rule.NetworkPublic)
			refused("on a public network")
			if err := s.api.SetMode(t.Context(), api.ModeAllow, 0); err != nil {
				t.Fatal(err)
			}
			refused("though the mode allows")
			s.service.Restart()
			refused("after a restart")
			r := s.allow(rule.Rule{Direction: rule.In, Program: rule.Program{Path: server.Path}, Ports: []rule.PortRange{{From: 8000, To: 8000}}})
			if got := s.visit(network, address, "a rule says so", 5*time.Second); got != "a rule says so" {
				t.Errorf("by a rule: %q", got)
			}
			if err := s.api.RemoveRule(t.Context(), r.ID); err != nil {
				t.Fatal(err)
			}
			refused("without the rule again")
			if err := s.api.SetMode(t.Context(), api.ModeAsk, 0); err != nil {
				t.Fatal(err)
			}
			s.preset(rule.PresetPublic, false)
			asked("with the preset off")
			s.preset(rule.PresetPublic, true)
			s.through(s.Remote)
			s.profile(rule.NetworkHome)
			asked("back at home")
		})
	}
}

func (s *scene) preset(name string, on bool) {
	s.t.Helper()
	settings, err := s.api.Settings(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	settings.DisabledPresets = slices.DeleteFunc(settings.DisabledPresets, func(n string) bool { return n == name })
	if !on {
		settings.DisabledPresets = append(settings.DisabledPresets, name)
	}
	if err := s.api.SetSettings(s.t.Context(), settings); err != nil {
		s.t.Fatal(err)
	}
}

// at puts a lab's program at a path of the system's, for Home alone.
func (s *scene) at(path string) *lab.Program {
	s.t.Helper()
	p := s.Home.Program(filepath.Base(path))
	upper, work := filepath.Join(s.Dir, "upper-"+filepath.Base(path)), filepath.Join(s.Dir, "work-"+filepath.Base(path))
	for _, d := range []string{upper, work} {
		if err := os.Mkdir(d, 0o755); err != nil {
			s.t.Fatal(err)
		}
	}
	dir := filepath.Dir(path)
	for _, args := range [][]string{
		{"cp", p.Path, filepath.Join(upper, filepath.Base(path))},
		{"mount", "-t", "overlay", "-o", "lowerdir=" + dir + ",upperdir=" + upper + ",workdir=" + work, "none", dir},
	} {
		if out, err := s.Home.Command(s.t.Context(), args...).CombinedOutput(); err != nil {
			s.t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	p.Path = path
	return p
}

// Presets let the system's own programs do what they are for and nothing else, and whoever
// calls themselves so nothing at all; switched off they are asked about.
func TestPresetsOfPrograms(t *testing.T) {
	for _, c := range []struct {
		preset, path, mode string
		port, other        uint16
	}{
		{rule.PresetMDNS, "/usr/sbin/avahi-daemon", "udp", 5353, 5354},
		{rule.PresetTime, "/usr/sbin/chronyd", "udp", 123, 124},
		{rule.PresetPrinters, "/usr/sbin/cupsd", "tcp", 631, 632},
		{rule.PresetUpdates, "/usr/bin/dnf5", "tcp", 443, 444},
		{rule.PresetResolver, "/usr/sbin/dnsmasq", "tcp", 53, 54},
	} {
		t.Run(c.preset, func(t *testing.T) {
			s := newScene(t)
			if c.preset == rule.PresetResolver {
				other := s.AddHost("other") // not the system's own name server, which everybody may ask
				other.ServeEcho(54)
				other.ServeDNS()
				s.target = netip.AddrPortFrom(other.Addr4, 0)
			} else {
				s.Remote.ServeEcho(c.port)
			}
			program, impostor := s.at(c.path), s.Home.Program(filepath.Base(c.path))
			to := netip.AddrPortFrom(s.target.Addr(), c.port).String()
			run := func(p *lab.Program) (bool, error) {
				out, err := p.Run(t.Context(), "-timeout", "5s", c.mode, to)
				return len(out) == 1 && out[0].OK, err
			}
			if ok, err := run(program); !ok {
				t.Fatalf("%s: %v; %+v", c.path, err, s.status())
			}
			by := flow.By{}
			s.eventually("the flow", func() bool {
				err := s.api.Activity(t.Context(), activityOf(c.path), func(f flow.Flow) { by = f.Decision.By })
				return err == nil && by.Kind != ""
			})
			if by.Kind != flow.ByPreset || by.Name != c.preset || by.ID == "" {
				t.Errorf("decided by %+v", by)
			}
			asked := func(what string, p *lab.Program, target string) {
				t.Helper()
				p.Start(t.Context(), "-echo", "-timeout", "20s", c.mode, target)
				q := s.prompts(1)[0]
				if q.Flow.Process.Path != p.Path {
					t.Errorf("%s: %+v", what, q.Flow)
				}
				s.answer(q, rule.Block, rule.Once, prompt.Scope{Kind: prompt.Anything})
			}
			asked("another port", program, netip.AddrPortFrom(s.target.Addr(), c.other).String())
			asked("another program of that name", impostor, to)
			s.preset(c.preset, false)
			asked("switched off", program, to)
		})
	}
}
