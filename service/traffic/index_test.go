package traffic

import "testing"

// An index that was large is made anew when little is left in it, and loses nothing.
func TestIndexShrinks(t *testing.T) {
	x := newIndex[int]()
	l := &Live{}
	for i := range 10_000 {
		x.set(i, l)
	}
	for i := range 10_000 {
		if i%100 != 0 {
			x.remove(i)
		}
	}
	if x.most >= 10_000 || len(x.flows) != 100 {
		t.Errorf("%d are left, of %d at most", len(x.flows), x.most)
	}
	for i := range 100 {
		if x.get(i*100) != l {
			t.Errorf("%d is gone", i*100)
		}
	}
}
