package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"

	"github.com/miekg/dns"
)

// tlsHello is what a client of TLS says first to a server of that name.
func tlsHello(name string) []byte {
	here, there := net.Pipe()
	go func() {
		_ = tls.Client(here, &tls.Config{ServerName: name}).Handshake() // ends with there
	}()
	defer there.Close()
	b := make([]byte, 16<<10)
	n, _ := there.Read(b)
	return b[:n]
}

// secureLookup looks names up by DNS over HTTPS (RFC 8484), as browsers do.
func secureLookup(server string) func(ctx context.Context, network, host string) ([]netip.Addr, error) {
	return func(ctx context.Context, network, host string) ([]netip.Addr, error) {
		kind := dns.TypeA
		if network == "ip6" {
			kind = dns.TypeAAAA
		}
		question, err := new(dns.Msg).SetQuestion(dns.Fqdn(host), kind).Pack()
		if err != nil {
			return nil, err
		}
		client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+server+"/dns-query", bytes.NewReader(question))
		if err != nil {
			return nil, err
		}
		request.Header.Set("Content-Type", "application/dns-message")
		response, err := client.Do(request)
		if err != nil {
			return nil, err
		}
		defer response.Body.Close()
		b, err := io.ReadAll(response.Body)
		if err != nil {
			return nil, err
		}
		var answer dns.Msg
		if err := answer.Unpack(b); err != nil {
			return nil, fmt.Errorf("%s: %w", response.Status, err)
		}
		var found []netip.Addr
		for _, rr := range answer.Answer {
			switch rr := rr.(type) {
			case *dns.A:
				a, _ := netip.AddrFromSlice(rr.A.To4())
				found = append(found, a)
			case *dns.AAAA:
				a, _ := netip.AddrFromSlice(rr.AAAA)
				found = append(found, a)
			}
		}
		if len(found) == 0 {
			return nil, errors.New("no such host")
		}
		return found, nil
	}
}
