package engine

import "sekisho/app/flow"

// maxUnsaved bounds the flows that wait to be written.
const maxUnsaved = 20_000

// unsaved is the flows that are to be written into the history, each as it was last.
type unsaved struct {
	flows []flow.Flow
	at    map[string]int // by id
}

// add takes a flow in, or reports that there is no room.
func (u *unsaved) add(f *flow.Flow) bool {
	if i, ok := u.at[f.ID]; ok {
		u.flows[i] = *f
		return true
	}
	if len(u.flows) >= maxUnsaved {
		return false
	}
	if u.at == nil {
		u.at = map[string]int{}
	}
	u.at[f.ID] = len(u.flows)
	u.flows = append(u.flows, *f)
	return true
}

// take empties it.
func (u *unsaved) take() []flow.Flow {
	all := u.flows
	*u = unsaved{}
	return all
}

// putBack takes in again what could not be written, within bounds; what came meanwhile is
// newer.
func (u *unsaved) putBack(flows []flow.Flow) {
	later := u.take()
	for i := range flows {
		u.add(&flows[i])
	}
	for i := range later {
		u.add(&later[i])
	}
}
