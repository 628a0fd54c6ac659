package rule

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"path"
	"slices"
	"strings"

	"sekisho/app/flow"
)

// Names of the presets: what every desktop needs, as rules that are shipped, shown and
// switched off by these names.
const (
	PresetLoopback = "loopback" // programs of this machine among themselves
	PresetDHCP     = "dhcp"     // getting an address
	PresetKernel   = "kernel"   // neighbour discovery, errors, ping, groups
	PresetResolver = "resolver" // looking up names at the name servers that the system uses
	PresetTime     = "time"     // setting the clock
	PresetUpdates  = "updates"  // the system's own packages and firmware
	PresetMDNS     = "mdns"     // names and services of the local network
	PresetPrinters = "printers" // printing by the system's print service
	PresetLists    = "lists"    // the firewall itself fetches the blocklists that somebody chose
	PresetPublic   = "public"   // blocks what comes in on public networks
)

// Preset is a named group of shipped rules. Its rules are asked after a person's own: a
// Set of all presets that are on is the second step of a decision.
type Preset struct {
	Name string
	// Essential ones hold in lockdown too: without them the machine has no network to be
	// locked down on.
	Essential bool
	Rules     []Rule
}

// Presets are all that there are, in the order in which they are shown; all of them are
// on unless somebody switches them off. Resolvers are the name servers that the system
// uses now: the rules of PresetResolver follow them.
//
// The kernel part knows two of them beside their rules: it lets PresetLoopback pass where
// no rule may name it, and PresetDHCP's packet sockets, which no rule sees.
func Presets(resolvers []netip.Addr) []Preset {
	var all []Preset
	for _, g := range presetGroups {
		p := Preset{Name: g.name, Essential: g.essential}
		for _, row := range g.rows {
			p.Rules = append(p.Rules, row.rules(g.name)...)
		}
		if g.name == PresetResolver {
			p.Rules = append(p.Rules, resolverRules(resolvers)...)
		}
		all = append(all, p)
	}
	return all
}

// PresetNames lists them in the same order.
func PresetNames() []string {
	names := make([]string, len(presetGroups))
	for i, g := range presetGroups {
		names[i] = g.name
	}
	return names
}

// PresetSet is the Set of those presets that on is true of.
func PresetSet(resolvers []netip.Addr, on func(Preset) bool) *Set {
	var rules []Rule
	for _, p := range Presets(resolvers) {
		if on(p) {
			rules = append(rules, p.Rules...)
		}
	}
	return NewSet(rules)
}

const presetPrefix = "preset-"

// PresetOf names the preset that a rule with this id belongs to; false if it is none's.
func PresetOf(id string) (string, bool) {
	name, _, _ := strings.Cut(strings.TrimPrefix(id, presetPrefix), "-")
	return name, strings.HasPrefix(id, presetPrefix) && slices.Contains(PresetNames(), name)
}

// presetRow stands for a rule for each of its programs and each of its accounts.
type presetRow struct {
	paths     []string // executables; with scripts and units nil too: any program
	scripts   []string
	units     []string
	users     []string // accounts that it runs as; nil: any
	block     bool
	direction Direction
	protocol  flow.Protocol
	ports     string
	remote    Remote
	network   string
}

func (row *presetRow) rules(preset string) (rules []Rule) {
	var programs []Program
	for _, p := range row.paths {
		programs = append(programs, Program{Path: p})
	}
	for _, s := range row.scripts {
		programs = append(programs, Program{Script: s})
	}
	for _, u := range row.units {
		programs = append(programs, Program{Unit: u})
	}
	if len(programs) == 0 {
		programs = []Program{{}}
	}
	users := row.users
	if len(users) == 0 {
		users = []string{""}
	}
	for _, p := range programs {
		for _, u := range users {
			r := Rule{
				Enabled: true, Action: Allow, Direction: row.direction, Program: p, User: u, Protocol: row.protocol,
				Remote: row.remote, Network: row.network, Origin: FromPreset, Lifetime: Lifetime{Kind: Always},
			}
			if row.block {
				r.Action = Block
			}
			if row.ports != "" {
				r.Ports, _ = ParsePorts(row.ports) // of a table that a test reads
			}
			r.ID = presetID(preset, &r)
			rules = append(rules, r)
		}
	}
	return rules
}

// presetID is stable: it comes from what the rule says, not from its place in the table.
func presetID(preset string, r *Rule) string {
	subject := "any"
	if p := r.Program.Path + r.Program.Script + r.Program.Unit; p != "" {
		subject = path.Base(p)
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{
		r.Action.String(), r.Direction.String(), r.Program.Path, r.Program.Script, r.Program.Unit, r.User, r.Remote.String(),
		FormatPorts(r.Ports), r.Protocol.String(), r.Network,
	}, "\x00")))
	return presetPrefix + preset + "-" + subject[:min(len(subject), 32)] + "-" + hex.EncodeToString(sum[:4])
}

// resolverRules let every program ask the name servers that the system uses.
func resolverRules(servers []netip.Addr) (rules []Rule) {
	seen := map[netip.Addr]bool{}
	for _, a := range servers {
		if a = plainAddr(a); !a.IsValid() || seen[a] {
			continue
		}
		seen[a] = true
		for _, p := range []flow.Protocol{flow.UDP, flow.TCP} {
			row := presetRow{direction: Out, protocol: p, ports: "53", remote: Remote{Address: a}}
			rules = append(rules, row.rules(PresetResolver)...)
		}
	}
	return rules
}
