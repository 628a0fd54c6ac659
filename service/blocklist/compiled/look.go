package compiled

import (
	"encoding/binary"
	"net/netip"

	"sekisho/service/blocklist/format"
)

// Match is an entry that blocks what was asked about.
type Match struct {
	List    int          // index into File.Lists
	Name    string       // the domain of the entry, a part of the name asked about
	Below   bool         // it was matched as one of the names below Name
	Network netip.Prefix // the entry's network; of a range, the part of it
	URL     string       // the entry's page
}

// Entry is the entry as people write it.
func (m *Match) Entry() string {
	switch {
	case m.URL != "":
		return "http://" + m.URL
	case m.Name == "":
		if m.Network.IsSingleIP() {
			return m.Network.Addr().String()
		}
		return m.Network.String()
	case m.Below:
		return "*." + m.Name
	}
	return m.Name
}

// AppendName adds to ms the entries that block a name, which is clean (format.CleanName),
// at most one of each list: the most specific. Nothing is allocated for a miss.
func (c *File) AppendName(ms []Match, name string) []Match {
	t := &c.names
	if len(t.filter) == 0 || len(name) > 253 {
		return ms
	}
	var starts [128]uint8
	var hashes [128]uint64
	n, k := 0, key(t.seed)
	for i := len(name) - 1; i >= 0; i-- {
		if name[i] == '.' && n < len(starts)-1 {
			starts[n], hashes[n] = uint8(i+1), k.end()
			n++
		}
		k = k.add(name[i])
	}
	starts[n], hashes[n] = 0, k.end()
	begin := len(ms)
	for i := n; i >= 0; i-- { // from the name itself up
		if text := name[starts[i]:]; text != "" {
			ms = c.take(ms, begin, t.find(hashes[i], text), Match{Name: text, Below: i != n})
		}
	}
	return c.settle(ms, begin)
}

// AppendURL adds to ms the entries that block a page; host and target are as for
// format.URLKey. An entry without a query is for every query.
func (c *File) AppendURL(ms []Match, host, target string) []Match {
	t := &c.pages
	if len(t.filter) == 0 {
		return ms
	}
	k, ok := format.URLKey(host, target)
	if !ok {
		return ms
	}
	begin := len(ms)
	ms = c.take(ms, begin, t.find(hashOf(t.seed, []byte(k)), k), Match{URL: k})
	for i := range len(k) {
		if k[i] == '?' {
			p := k[:i]
			ms = c.take(ms, begin, t.find(hashOf(t.seed, []byte(p)), p), Match{URL: p})
			break
		}
	}
	return c.settle(ms, begin)
}

// AppendAddr adds to ms the entries that block an address, at most one of each list:
// the narrowest. Nothing is allocated for a miss.
func (c *File) AppendAddr(ms []Match, a netip.Addr) []Match {
	a = a.Unmap().WithZone("")
	if !a.IsValid() {
		return ms
	}
	t := &c.networks[0]
	var addr [16]byte
	if a.Is4() {
		v := a.As4()
		copy(addr[:], v[:])
	} else {
		t, addr = &c.networks[1], a.As16()
	}
	begin := len(ms)
	for i := t.last(addr[:t.width]); i >= 0; {
		r := t.records[i*t.size : (i+1)*t.size]
		bits, tail := int(r[t.width]), r[t.width+2:]
		if bits <= t.width*8 && samePrefix(r[:t.width], addr[:t.width], bits) {
			p, _ := a.Prefix(bits)
			ms = c.take(ms, begin, tail[:2], Match{Network: p})
		}
		parent := int(binary.LittleEndian.Uint32(tail[2:])) - 1
		if parent >= i { // only in a file that somebody made up
			break
		}
		i = parent
	}
	return c.settle(ms, begin)
}

// take adds what a record's marks say of m. An exception is kept with List below zero
// until settle. As records come from specific to general, the first of a list decides,
// but for an exception that overrides; of equals the exception does.
func (c *File) take(ms []Match, begin int, marks []byte, m Match) []Match {
	for _, exceptions := range [2]bool{true, false} {
		for i := 0; i+1 < len(marks); i += 2 {
			mark := binary.LittleEndian.Uint16(marks[i:])
			if (mark&markException != 0) != exceptions {
				continue
			}
			if m.Name != "" && (m.Below && mark&markBelow == 0 || !m.Below && mark&markExact == 0) {
				continue
			}
			m.List = int(mark & markList)
			if m.List < len(c.lists) {
				ms = put(ms, begin, m, mark)
			}
		}
	}
	return ms
}

func put(ms []Match, begin int, m Match, mark uint16) []Match {
	list := m.List
	for i := begin; i < len(ms); i++ {
		if ms[i].List == list || ms[i].List == ^list {
			if mark&markOverrides != 0 {
				ms[i].List = ^list
			}
			return ms
		}
	}
	if mark&markException != 0 {
		m.List = ^list
	}
	return append(ms, m)
}

// settle drops the exceptions.
func (c *File) settle(ms []Match, begin int) []Match {
	kept := begin
	for i := begin; i < len(ms); i++ {
		if ms[i].List >= 0 {
			ms[kept] = ms[i]
			kept++
		}
	}
	return ms[:kept]
}
