package servertest

import (
	"context"
	"slices"

	"sekisho/app/api"
	"sekisho/app/rule"
)

// Be puts the machine on networks.
func (b *Backend) Be(networks ...api.Network) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.networks = networks
}

// Propose adds a proposal.
func (b *Backend) Propose(p api.Proposal) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.proposals = append(b.proposals, p)
}

// Networks gives those that Be was told of.
func (b *Backend) Networks(context.Context) ([]api.Network, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.networks), nil
}

// NameNetwork changes one of them.
func (b *Backend) NameNetwork(_ context.Context, id, profile string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.networks {
		if n := &b.networks[i]; n.ID == id {
			n.Profile, n.Known = profile, profile != ""
			if profile == "" {
				n.Profile = rule.NetworkPublic
			}
			return nil
		}
	}
	return api.Errorf(api.NotFound, "there is no network %q", id)
}

// Learned gives what Propose was told of.
func (b *Backend) Learned(context.Context) (api.Learned, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return api.Learned{Proposals: slices.Clone(b.proposals), Left: 1, Skipped: map[string]uint64{"odd": 2}}, nil
}

// AcceptLearned makes rules.
func (b *Backend) AcceptLearned(ctx context.Context, ids []string, changed map[string]rule.Rule, by string) (rules []rule.Rule, err error) {
	for _, id := range ids {
		p, err := b.settle(id)
		if err != nil {
			return nil, err
		}
		r := p.Rule
		if c, ok := changed[id]; ok {
			r = c
		}
		r.By, r.Origin, r.Enabled = by, rule.FromLearn, true
		if r, err = b.AddRule(ctx, r, 0); err != nil {
			return nil, err
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// DropLearned forgets proposals.
func (b *Backend) DropLearned(_ context.Context, ids []string) error {
	for _, id := range ids {
		if _, err := b.settle(id); err != nil {
			return err
		}
	}
	return nil
}

func (b *Backend) settle(id string) (p api.Proposal, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.proposals, func(p api.Proposal) bool { return p.ID == id })
	if i < 0 {
		return p, api.Errorf(api.NotFound, "there is no proposal %q", id)
	}
	p = b.proposals[i]
	b.proposals = slices.Delete(b.proposals, i, i+1)
	return p, nil
}
