package blocklist

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"sekisho/service/blocklist/format"
)

// outward marks the context of a request that may only reach the Internet.
type outward struct{}

var errInward = &Problem{Why: "the server redirects into the local network or to this machine",
	Do: "don't use this list"}

// NewTransport makes what a Book fetches with: no proxy, no connection kept, and a
// request that was redirected doesn't reach this machine or its local network, whatever
// name leads there.
func NewTransport() *http.Transport {
	d := &net.Dialer{Timeout: 15 * time.Second}
	inner := &net.Dialer{Timeout: d.Timeout, Control: func(_, address string, _ syscall.RawConn) error {
		a, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		if format.OfNoHost(a.Addr()) {
			return errInward
		}
		return nil
	}}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if ctx.Value(outward{}) != nil {
				return inner.DialContext(ctx, network, address)
			}
			return d.DialContext(ctx, network, address)
		},
		DisableKeepAlives:      true, // a kept connection would be one that wasn't judged
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    15 * time.Second,
		ResponseHeaderTimeout:  30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}
