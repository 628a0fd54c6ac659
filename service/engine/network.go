package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/rule"
)

// maxNetworks bounds the networks that are remembered.
const maxNetworks = 1000

// networks is what people said of networks.
type networks struct {
	known   map[string]knownNetwork // by id
	named   bool                    // somebody has named one, and those that are here have their profiles
	settled bool                    // since placeTime has passed
	seen    bool                    // what is here was told
}

// placeTime is how long after a start it is found out where the machine is: until then it
// may seem to be on an unknown network while it is not.
const placeTime = 3 * time.Second

// knownNetwork is as the store keeps it.
type knownNetwork struct {
	Name    string `json:"name"` // as it was called when its profile was given
	Kind    string `json:"kind,omitempty"`
	Profile string `json:"profile"`
}

const networksDocument = "networks"

func (e *Engine) recallNetworks() error {
	known := map[string]knownNetwork{}
	if _, err := e.c.Store.Load(networksDocument, &known); err != nil {
		return fmt.Errorf("recall networks: %w", err)
	}
	e.networks.known, e.networks.named = known, len(known) > 0
	e.tellNetworks()
	return nil
}

// tellNetworks hands the profiles to who needs them.
func (e *Engine) tellNetworks() {
	if e.c.Networks == nil {
		return
	}
	profiles := make(map[string]string, len(e.networks.known))
	for id, n := range e.networks.known {
		profiles[id] = n.Profile
	}
	e.c.Networks.SetKnown(profiles)
}

// NetworksChanged takes note that the machine is elsewhere, or that a network's profile is
// another. It may be called from any goroutine.
func (e *Engine) NetworksChanged() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.letsGo {
		return // nobody would decide anew what was decided
	}
	first := !e.networks.seen
	e.networks.seen = true
	e.networks.named = len(e.networks.known) > 0
	e.lan = lanCache{}
	if first && !e.placeMatters() {
		e.tellStatus()
		return // nothing has been decided by it
	}
	e.reconsider()
}

// endPlaceTime has what ends by the network end once it is known.
func (e *Engine) endPlaceTime() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.networks.settled || time.Since(e.since) < placeTime {
		return
	}
	e.networks.settled = true
	if e.c.Networks != nil && e.placeMatters() {
		e.reconsider()
	}
}

// placeMatters reports whether anything is decided by the network.
func (e *Engine) placeMatters() bool {
	return e.networks.named || slices.ContainsFunc(e.set.Rules(), func(r rule.Rule) bool { return r.Network != "" })
}

// tooEarly reports whether a decision about f that ends it may be another in a moment, when
// it is known where the machine is.
func (e *Engine) tooEarly(f *flow.Flow) bool {
	return e.c.Networks != nil && !e.networks.settled && e.mode.Mode != api.ModeLockdown &&
		(e.set.Networked(f.Process.Path, f.Direction) || e.presetsBlock(f.Process.Path, f.Direction))
}

// profileOf is the profile of the network that f goes by.
func (e *Engine) profileOf(f *flow.Flow) string {
	switch {
	case e.c.Networks == nil:
		return ""
	case !f.Remote.Addr.IsValid(): // a question about no flow in particular
		return e.c.Networks.Profile()
	}
	return e.c.Networks.Of(f.Link, f.Local.Addr, f.Remote.Addr)
}

// armed reports whether presets may treat networks as public. That a network is unknown
// says something only where somebody has named one, and where there is one: a machine whose
// only neighbours are on its own links is on none. Before it is known where the machine is,
// it is on a public one.
func (e *Engine) armed() bool {
	if !e.networks.named || e.c.Networks == nil {
		return false
	}
	return !e.networks.settled || slices.ContainsFunc(e.c.Networks.Here(), func(n api.Network) bool { return n.Primary })
}

// setNetworked reports whether rules about the program at path hold in some networks only.
func (e *Engine) setNetworked(path string) bool {
	return e.set.Networked(path, flow.Out) || e.set.Networked(path, flow.In)
}

// byNetwork reports whether the decision about f may be another by another network that
// the machine is on: who decides for a program and an address knows neither the link nor
// the local address.
func (e *Engine) byNetwork(f *flow.Flow) bool {
	if e.c.Networks == nil || !e.c.Networks.Mixed() {
		return false
	}
	path := f.Process.Path
	return e.set.Networked(path, f.Direction) || f.Decision.By.Kind != flow.ByRule && e.presetsBlock(path, f.Direction)
}

// Networks lists those that the machine is on, and those that somebody named.
func (e *Engine) Networks(context.Context) ([]api.Network, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []api.Network
	here := map[string]bool{}
	if e.c.Networks != nil {
		all = e.c.Networks.Here()
	}
	for _, n := range all {
		here[n.ID] = true
	}
	for _, id := range slices.Sorted(maps.Keys(e.networks.known)) {
		if n := e.networks.known[id]; !here[id] {
			all = append(all, api.Network{ID: id, Name: n.Name, Kind: n.Kind, Profile: n.Profile, Known: true})
		}
	}
	return all, nil
}

// NameNetwork says which profile the network with an id has; an empty one forgets it.
func (e *Engine) NameNetwork(_ context.Context, id, profile string) error {
	profile = rule.NormalNetwork(profile)
	if profile != "" {
		if err := rule.CheckProfile(profile); err != nil {
			return api.Errorf(api.BadRequest, "%v", err)
		}
	}
	e.begin()
	defer e.saving.Unlock()
	e.mu.Lock()
	next, err := e.withNetwork(id, profile)
	e.mu.Unlock()
	if err != nil {
		return err
	}
	if err := e.c.Store.Save(networksDocument, next); err != nil {
		return notSaved(err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.networks.known = next
	e.tellNetworks()
	if len(next) == 0 { // a first one counts once its profile is known, with NetworksChanged
		e.networks.named = false
		e.reconsider()
	}
	return nil
}

// withNetwork is what is known, with another profile for one network.
func (e *Engine) withNetwork(id, profile string) (map[string]knownNetwork, error) {
	next := maps.Clone(e.networks.known)
	n, known := next[id]
	var here []api.Network
	if e.c.Networks != nil {
		here = e.c.Networks.Here()
	}
	i := slices.IndexFunc(here, func(n api.Network) bool { return n.ID == id && id != "" })
	switch {
	case i >= 0:
		n.Name, n.Kind = here[i].Name, here[i].Kind
	case !known:
		return nil, api.Errorf(api.NotFound, "there is no network %.80q; sekishoctl networks lists them", id)
	}
	if n.Profile = profile; profile == "" {
		delete(next, id)
		return next, nil
	}
	if next[id] = n; len(next) > maxNetworks {
		return nil, api.Errorf(api.Failed, "%d networks have names already, no more are kept; forget some first", maxNetworks)
	}
	return next, nil
}

// network is where the machine is, for status.
func (e *Engine) network() (name, profile string) {
	if e.c.Networks == nil {
		return "", ""
	}
	var names []string
	for _, n := range e.c.Networks.Here() {
		if n.Primary {
			names = append(names, n.Name)
		}
	}
	return strings.Join(names, ", "), e.c.Networks.Profile()
}
