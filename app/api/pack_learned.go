package api

import (
	"context"

	"sekisho/app/api/sekishopb"
	"sekisho/app/rule"
)

// PackNetwork writes n as a message.
func PackNetwork(n Network) *sekishopb.Network {
	return &sekishopb.Network{
		Id: text(n.ID), Name: text(n.Name), Kind: text(n.Kind), Link: text(n.Link), Profile: text(n.Profile),
		Known: n.Known, Weak: n.Weak, Here: n.Here, Primary: n.Primary,
	}
}

// UnpackNetwork reads a message.
func UnpackNetwork(m *sekishopb.Network) Network {
	return Network{
		ID: m.GetId(), Name: m.GetName(), Kind: m.GetKind(), Link: m.GetLink(), Profile: m.GetProfile(),
		Known: m.GetKnown(), Weak: m.GetWeak(), Here: m.GetHere(), Primary: m.GetPrimary(),
	}
}

// PackProposal writes p as a message.
func PackProposal(p Proposal) *sekishopb.Proposal {
	m := &sekishopb.Proposal{
		Id: text(p.ID), Rule: PackRule(p.Rule), Breadth: text(p.Breadth), Interpreter: p.Interpreter,
		Flows: p.Flows, Hosts: int64(p.Hosts), First: packTime(p.First), Last: packTime(p.Last),
	}
	for _, id := range p.Overrides {
		m.Overrides = append(m.Overrides, text(id))
	}
	for _, e := range p.Examples {
		m.Examples = append(m.Examples, text(e))
	}
	return m
}

// UnpackProposal reads a message.
func UnpackProposal(m *sekishopb.Proposal) (Proposal, error) {
	r, err := UnpackRule(m.GetRule())
	return Proposal{
		ID: m.GetId(), Rule: r, Breadth: m.GetBreadth(), Interpreter: m.GetInterpreter(), Overrides: m.GetOverrides(), Examples: m.GetExamples(),
		Flows: m.GetFlows(), Hosts: int(m.GetHosts()), First: unpackTime(m.GetFirst()), Last: unpackTime(m.GetLast()),
	}, err
}

// Networks lists those that the machine is on and those that somebody named.
func (c *Client) Networks(ctx context.Context) ([]Network, error) {
	m, err := call(ctx, c, sekishopb.SekishoClient.Networks, &sekishopb.Empty{})
	if err != nil {
		return nil, err
	}
	var all []Network
	for _, n := range m.GetNetworks() {
		all = append(all, UnpackNetwork(n))
	}
	return all, nil
}

// NameNetwork says which profile a network has; administrators only.
func (c *Client) NameNetwork(ctx context.Context, id, profile string) error {
	_, err := call(ctx, c, sekishopb.SekishoClient.NameNetwork, &sekishopb.NameNetworkRequest{Id: text(id), Profile: text(profile)})
	return err
}

// Learned is the rules that are proposed for what mode learn let through; administrators
// only.
func (c *Client) Learned(ctx context.Context) (Learned, error) {
	l := Learned{Skipped: map[string]uint64{}}
	err := read(ctx, c, sekishopb.SekishoClient.Learned, &sekishopb.Empty{}, func(b *sekishopb.LearnedBatch) error {
		l.Left += int(b.GetLeft())
		for why, n := range b.GetSkipped() {
			l.Skipped[why] = n
		}
		for _, m := range b.GetProposals() {
			p, err := UnpackProposal(m)
			if err != nil {
				return unreadable(err)
			}
			l.Proposals = append(l.Proposals, p)
		}
		return nil
	})
	return l, err
}

// AcceptLearned makes rules of proposals, all or none; administrators only.
func (c *Client) AcceptLearned(ctx context.Context, ids []string, changed map[string]rule.Rule) ([]rule.Rule, error) {
	q := &sekishopb.AcceptLearnedRequest{Ids: texts(ids), Changed: map[string]*sekishopb.Rule{}}
	for id, r := range changed {
		q.Changed[text(id)] = PackRule(r)
	}
	var rules []rule.Rule
	err := read(ctx, c, sekishopb.SekishoClient.AcceptLearned, q, func(b *sekishopb.RuleBatch) error {
		for _, m := range b.GetRules() {
			r, err := UnpackRule(m)
			if err != nil {
				return unreadable(err)
			}
			rules = append(rules, r)
		}
		return nil
	})
	return rules, err
}

// DropLearned forgets what proposals were made of; administrators only.
func (c *Client) DropLearned(ctx context.Context, ids []string) error {
	_, err := call(ctx, c, sekishopb.SekishoClient.DropLearned, &sekishopb.DropLearnedRequest{Ids: texts(ids)})
	return err
}

func texts(all []string) []string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = text(s)
	}
	return out
}
