package hello

import (
	"bytes"
	"strings"
	"testing"

	"sekisho/app/flow"
	"sekisho/service/names/stream"
)

func TestConns(t *testing.T) {
	c := NewConns[uint64]()
	tls, http := recorded(t, "curl.tls"), recorded(t, "curl.http")
	const first = 1<<32 - 100
	c.Begin(1, flow.TCP, first)
	c.Begin(2, flow.TCP, 7)
	c.Begin(3, flow.UDP, 0)
	part := func(key uint64, from uint32, b []byte, at, n int, want State) Hello {
		t.Helper()
		h, s := c.Segment(key, &stream.Segment{Seq: from + uint32(at), Payload: b[at : at+n]})
		if s != want {
			t.Errorf("connection %d at %d: %v, want %v", key, at, s, want)
		}
		return h
	}
	part(1, first, tls, 200, 317, More)
	part(2, 7, http, 0, 20, More)
	if h := part(1, first, tls, 0, 250, Said); h.Name != "www.example.com" {
		t.Errorf("%+v", h)
	}
	part(2, 7, http, 0, 20, More)
	if h := part(2, 7, http, 20, len(http)-20, Said); h.Path != "/a/b?c=d" {
		t.Errorf("%+v", h)
	}
	if _, s := c.Datagram(3, bytes.Join(hexLines(t, "rfc9001-a2.hex"), nil)); s != Said {
		t.Errorf("a datagram: %v", s)
	}
	for key := range uint64(5) {
		c.End(key)
	}
	if len(c.conns) != 0 || c.used.Len() != 0 || c.kept != 0 {
		t.Errorf("%d connections, %d bytes", len(c.conns), c.kept)
	}
	part(1, first, tls, 0, 100, Nothing)
}

func TestConnsThatSayNothing(t *testing.T) {
	tls := recorded(t, "curl.tls")
	for name, f := range map[string]func(*Conns[int]) State{
		"cut off": func(c *Conns[int]) State {
			_, s := c.Segment(1, &stream.Segment{Payload: tls[:100], Cut: true})
			return s
		},
		"too scattered": func(c *Conns[int]) (s State) {
			for i := range uint32(100) {
				_, s = c.Segment(1, &stream.Segment{Seq: 2 + 2*i, Payload: []byte{1}})
			}
			return s
		},
		"the server spoke": func(c *Conns[int]) State {
			c.ServerSpoke(1)
			_, s := c.Segment(1, &stream.Segment{Payload: tls})
			return s
		},
		"a datagram": func(c *Conns[int]) State { _, s := c.Datagram(1, tls); return s },
	} {
		c := NewConns[int]()
		c.Begin(1, flow.TCP, 0)
		if s := f(c); s != Nothing {
			t.Errorf("%s: %v", name, s)
		}
	}
}

func TestConnsAreBounded(t *testing.T) {
	c := NewConns[int]()
	long := []byte("GET /" + strings.Repeat("a", MaxHello-1000))
	for i := range 2 * MaxConns {
		c.Begin(i, flow.TCP, 0)
		c.Segment(i, &stream.Segment{Payload: long})
		if len(c.conns) > MaxConns || c.kept > MaxKept || c.used.Len() != len(c.conns) {
			t.Fatalf("%d connections, %d bytes", len(c.conns), c.kept)
		}
	}
	sum := 0
	for _, n := range c.conns {
		sum += n.kept()
	}
	if sum != c.kept || sum == 0 {
		t.Errorf("%d bytes are kept, %d counted", sum, c.kept)
	}
	for i := range 2 * MaxConns {
		c.End(i)
	}
	if c.kept != 0 {
		t.Errorf("%d bytes of nothing", c.kept)
	}
}
