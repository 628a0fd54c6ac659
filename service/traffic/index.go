package traffic

import "maps"

// index finds flows by K. It takes as much room as what it has needs: a map of Go's would
// stay as large as it once was.
type index[K comparable] struct {
	flows map[K]*Live
	most  int // how many there were since it was made anew
}

func newIndex[K comparable]() index[K] { return index[K]{flows: map[K]*Live{}} }

func (x *index[K]) get(k K) *Live { return x.flows[k] }

func (x *index[K]) set(k K, l *Live) {
	x.flows[k] = l
	x.most = max(x.most, len(x.flows))
}

func (x *index[K]) remove(k K) {
	delete(x.flows, k)
	const small = 1024 // not worth it
	if x.most > small && len(x.flows) < x.most/8 {
		x.flows, x.most = maps.Collect(maps.All(x.flows)), len(x.flows)
	}
}
