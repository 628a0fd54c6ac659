package daemon

import (
	"context"
	"errors"
	"net/netip"

	"sekisho/app/api"
	"sekisho/app/rule"
	"sekisho/service/network"
	"sekisho/service/process"
)

// networks tells the engine where the machine is.
type networks struct{ w *network.Watcher }

func (n networks) Of(link int, local, remote netip.Addr) string {
	return n.w.State().Of(link, local, remote)
}
func (n networks) Profile() string                  { return n.w.State().Profile() }
func (n networks) Mixed() bool                      { return n.w.State().Mixed() }
func (n networks) SetKnown(known map[string]string) { n.w.SetKnown(known) }

func (n networks) Here() []api.Network {
	s := n.w.State()
	all := make([]api.Network, len(s.Networks))
	for i, x := range s.Networks {
		all[i] = api.Network{
			ID: x.ID, Name: x.Name, Kind: string(x.Kind), Link: x.Link, Profile: x.Profile,
			Known: x.Known, Weak: x.Weak, Here: true, Primary: x.Primary,
		}
	}
	return all
}

// watchNetworks looks where the machine is until ctx is done. The rest of the service does
// without if the kernel tells no more.
func (s *service) watchNetworks(ctx context.Context) error {
	if err := s.places.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		s.Log.Error("the networks are not watched: every network is unknown", "err", err)
		s.engine.Problem("networks", api.NewProblem(api.ProblemNetworks, err.Error()))
	}
	return nil
}

// trust is what the engine asks about programs from packages.
func trust() rule.Trust {
	return rule.Trust{Interpreter: process.IsInterpreter, RootsOwn: process.OwnedByRoot}
}
