package mainwindow

import (
	"context"

	"fyne.io/fyne/v2"
)

// Preview is what the window shows of a page with what the client says at this moment,
// and with choose the first connection chosen. It opens no window and follows nothing:
// it is for pictures. It must be called on Fyne's goroutine.
func Preview(ctx context.Context, client Client, clock Clock, o Options, page string, choose bool) (fyne.CanvasObject, error) {
	w := &Window{client: client, clock: clock, do: fyne.Do, calls: newCalls(), sight: newSight(), icon: o.Icon, seen: true}
	w.build(o)
	flows, err := client.Connections(ctx)
	if err != nil {
		return nil, err
	}
	status, err := client.Status(ctx)
	if err != nil {
		return nil, err
	}
	rules, err := client.Rules(ctx)
	if err != nil {
		return nil, err
	}
	for i, k := range pages {
		if r, ok := w.pages[i].(*rulesPage); ok {
			r.take(rules)
		}
		if k.key == page {
			w.turn(i)
		}
	}
	w.connections.sync(flows, nil)
	w.strip.set(status)
	if choose && w.connections.flows.Len() > 0 {
		w.connections.choose(w.connections.flows.At(0).Flow())
	}
	return w.root, nil
}
