package lab

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// ServeSecure serves h over TLS, with HTTP/2, on a port of the host and all its addresses,
// under a certificate that nobody vouches for. It ends with the lab.
func (h *Host) ServeSecure(port uint16, handler http.Handler) {
	h.lab.t.Helper()
	cert, err := certificate()
	if err != nil {
		h.lab.t.Fatalf("make a certificate: %v", err)
	}
	server := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler:           handler,
		ErrorLog:          log.New(io.Discard, "", 0), // clients that end early are part of the tests
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}},
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
			h.lab.t.Fatalf("serve %s: %v", addr, err)
		}
		running.Go(func() { _ = server.ServeTLS(l, "", "") })
	}
}

func certificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "lab"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		DNSNames: []string{"*.lab", "lab"}, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// SecurePath is where DNS over HTTPS is answered.
const SecurePath = "/dns-query"

// ServeSecure answers DNS over HTTPS (RFC 8484) as well, on a port of the name server's
// host.
func (d *DNS) ServeSecure(port uint16) {
	d.host.lab.t.Helper()
	d.host.ServeSecure(port, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		question, err := secureQuestion(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		from, err := net.ResolveTCPAddr("tcp", r.RemoteAddr)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		reply, delay := d.answer(question, from)
		select {
		case <-time.After(delay):
		case <-d.closed:
			return
		}
		b, err := reply.Pack()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/dns-message")
		_, _ = w.Write(b) // who asked may be gone by now
	}))
}

func secureQuestion(r *http.Request) (*dns.Msg, error) {
	if r.URL.Path != SecurePath || r.Method != http.MethodPost {
		return nil, fmt.Errorf("%s %s: questions are posted to %s", r.Method, r.URL.Path, SecurePath)
	}
	b, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	if err != nil {
		return nil, err
	}
	q := new(dns.Msg)
	return q, q.Unpack(b)
}
