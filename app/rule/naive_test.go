package rule

import (
	"math/big"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"sekisho/app/flow"
)

// naiveDecide is what Decide must come to, written as the documentation reads: look at
// every rule, keep those that match, take the one that wins. It shares nothing with the
// Set but the rules' types.
func naiveDecide(rules []Rule, q Query, now Clock) *Rule {
	var best *Rule
	for i := range rules {
		r := &rules[i]
		if r.Enabled && !naiveEnded(r, now) && naiveMatches(r, q) && (best == nil || naiveWins(r, best)) {
			best = r
		}
	}
	return best
}

func naiveEnded(r *Rule, now Clock) bool {
	l := r.Lifetime
	switch l.Kind {
	case Boot, Quit:
		return l.Boot != now.Boot
	case Until:
		if l.Boot == now.Boot {
			return now.Since >= l.Deadline
		}
		whole := l.Until.Sub(r.Created)
		return !now.Wall.Before(l.Until) || now.Wall.Before(r.Created) || now.Since >= whole
	}
	return false
}

func naiveMatches(r *Rule, q Query) bool {
	p := q.Process
	if p == nil {
		p = &flow.Process{}
	}
	name := strings.ToLower(strings.TrimSuffix(q.Remote.Name, "."))
	addr := q.Remote.Addr.Unmap()
	port := q.Remote.Port
	if q.Direction == flow.In {
		port = q.LocalPort
	}
	ancestor := func(f func(flow.Ancestor) bool) bool { return slices.ContainsFunc(p.Parents, f) }
	for _, wrong := range []bool{
		r.Direction == Out && q.Direction == flow.In,
		r.Direction == In && q.Direction == flow.Out,
		r.Program.Path != "" && r.Program.Path != p.Path,
		r.Program.Path == "" && p.Path == "forwarded",
		q.Named && r.Remote == Remote{},
		r.Program.Script != "" && (p.Inline || r.Program.Script != p.Script),
		r.Program.SHA256 != "" && r.Program.SHA256 != p.SHA256,
		r.Program.Package != "" && r.Program.Package != p.Package,
		r.Program.Package != "" && r.Action == Allow && p.Integrity == flow.Modified,
		r.Program.Package != "" && r.Action == Allow && r.Program.Path+r.Program.Script == "" && (p.Inline || p.Script != ""),
		r.Program.App != "" && r.Program.App != p.App,
		r.Program.App != "" && r.Action == Allow && p.OwnApp,
		r.Program.Folder != "" && !naiveBelow(r.Program.Folder, p),
		r.Program.Unit != "" && (r.Program.Unit != p.Unit || p.OwnUnit && r.User == ""),
		r.Program.Parent != "" && !ancestor(func(a flow.Ancestor) bool { return a.Path == r.Program.Parent }),
		r.Lifetime.Process != flow.ProcessID{} && r.Lifetime.Process != p.ProcessID &&
			!ancestor(func(a flow.Ancestor) bool { return a.ProcessID == r.Lifetime.Process }),
		r.User != "" && !naiveUser(r.User, p),
		r.Protocol != 0 && r.Protocol != q.Protocol,
		r.Remote.Name != "" && r.Remote.Name != name,
		r.Remote.Domain != "" && name != r.Remote.Domain && !strings.HasSuffix(name, "."+r.Remote.Domain),
		r.Remote.Address.IsValid() && r.Remote.Address != addr,
		r.Remote.Network.IsValid() && !r.Remote.Network.Contains(addr),
		r.Remote.Range != AddrRange{} && !naiveInRange(r.Remote.Range, addr),
		r.Remote.LAN && !q.LAN,
		r.Remote.List != "" && !slices.Contains(q.Lists, r.Remote.List),
		r.Network != "" && (q.Network == "" || !slices.Contains(strings.Split(r.Network, ","), q.Network)),
	} {
		if wrong {
			return false
		}
	}
	if len(r.Ports) == 0 {
		return true
	}
	return q.Protocol.HasPorts() && slices.ContainsFunc(r.Ports, func(x PortRange) bool {
		return x.From <= port && port <= x.To
	})
}

func naiveBelow(folder string, p *flow.Process) bool {
	file := p.Path
	if p.Script != "" {
		file = p.Script
	}
	return !p.Inline && strings.HasPrefix(file, folder+"/")
}

func naiveUser(u string, p *flow.Process) bool {
	n, err := strconv.ParseUint(u, 10, 32)
	if err != nil {
		return u == p.User
	}
	known := p.Path != "" || p.PID != 0 || p.User != ""
	return uint32(n) == p.UID && (n != 0 || known)
}

func naiveInRange(r AddrRange, a netip.Addr) bool {
	return a.BitLen() == r.From.BitLen() && a.IsValid() && !a.Less(r.From) && !r.To.Less(a)
}

// naiveWins compares two rules that both match.
func naiveWins(a, b *Rule) bool {
	x, y := naiveOrder(a), naiveOrder(b)
	for i := range x {
		if c := x[i].Cmp(y[i]); c != 0 {
			return c > 0
		}
	}
	if !a.Created.Equal(b.Created) {
		return a.Created.After(b.Created)
	}
	m, _ := strconv.Atoi(a.ID)
	n, _ := strconv.Atoi(b.ID)
	return m > n
}

// naiveOrder is a rule's place as a row of numbers, the first of which counts most.
func naiveOrder(r *Rule) []*big.Int {
	bit := func(b bool) *big.Int {
		if b {
			return big.NewInt(1)
		}
		return new(big.Int)
	}
	ports := map[int]bool{}
	for _, p := range r.Ports {
		for n := int(p.From); n <= int(p.To); n++ {
			ports[n] = true
		}
	}
	narrow := new(big.Int)
	if len(ports) > 0 {
		narrow.SetInt64(int64(100_000 - len(ports)))
	}
	kind, detail := naiveDestination(r.Remote)
	return []*big.Int{
		bit(r.Program.Script != ""), bit(r.Program.Path != ""), bit(r.Program.SHA256 != ""),
		bit(r.Program.App != ""), bit(r.Program.Package != ""), bit(r.Program.Folder != ""),
		bit(r.Program.Unit != ""), bit(r.Program.Parent != ""), bit(r.Lifetime.Process != flow.ProcessID{}),
		big.NewInt(int64(len(strings.Split(r.Program.Folder, "/")))), big.NewInt(kind), detail, narrow,
		bit(r.Protocol != 0), bit(r.User != ""), bit(r.Network != ""), bit(r.Direction != Both), bit(r.Action == Block),
	}
}

func naiveDestination(r Remote) (kind int64, detail *big.Int) {
	number := func(a netip.Addr) *big.Int { return new(big.Int).SetBytes(a.AsSlice()) }
	var size *big.Int
	switch {
	case r.Name != "" || r.Address.IsValid():
		return 5, new(big.Int)
	case r.Domain != "":
		return 4, big.NewInt(int64(len(strings.Split(r.Domain, "."))))
	case r.Network.IsValid():
		size = new(big.Int).Lsh(big.NewInt(1), uint(r.Network.Addr().BitLen()-r.Network.Bits()))
	case r.Range != AddrRange{}:
		size = new(big.Int).Sub(number(r.Range.To), number(r.Range.From))
		size.Add(size, big.NewInt(1))
	case r.LAN:
		return 1, new(big.Int)
	case r.List != "":
		return 2, new(big.Int)
	default:
		return 0, new(big.Int)
	}
	if size.IsInt64() && size.Int64() == 1 {
		return 5, new(big.Int)
	}
	return 3, size.Neg(size)
}
