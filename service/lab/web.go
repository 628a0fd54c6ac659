package lab

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Web is a web server with one small page, on all addresses of its host; it lists who
// connected.
type Web struct {
	arrivals
	// Page is the text of the page; set it before anybody asks.
	Page string
	// Files are what it has beside that, by their paths; set them before anybody asks.
	Files map[string][]byte
}

// ServeWeb starts a web server without TLS on a port of the host. It ends with the lab.
func (h *Host) ServeWeb(port uint16) *Web {
	h.lab.t.Helper()
	w := &Web{Page: "Hello from " + h.Name + ".\n"}
	server := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
			if file, ok := w.Files[r.URL.Path]; ok {
				_, _ = out.Write(file)
				return
			}
			out.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = out.Write([]byte(w.Page))
		}),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			w.add(Arrival{Time: time.Now(), Protocol: "tcp", From: addrPort(c.RemoteAddr()), To: addrPort(c.LocalAddr())})
			return ctx
		},
	}
	var running sync.WaitGroup
	h.lab.onClose(func() error {
		err := server.Close()
		running.Wait()
		return err
	})
	for _, addr := range []string{fmt.Sprintf("0.0.0.0:%d", port), fmt.Sprintf("[::]:%d", port)} {
		l, err := h.Listen("tcp"+familyOf(addr), addr)
		if err != nil {
			h.lab.t.Fatalf("serve web on %s: %v", h.Name, err)
		}
		running.Go(func() { _ = server.Serve(l) })
	}
	return w
}
