package names

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func TestPending(t *testing.T) {
	now := start
	p := NewPending(func() time.Time { return now })
	p.Asked(client4, server4, 7, "Www.Example.com", "/bin/a")
	good := Reply{Query: Query{Client: client4, Server: server4, ID: 7, Question: "wWW.example.COM."}}
	for range 2 { // a resolver may answer a repeated question twice
		if program, ok := p.Answered(good); program != "/bin/a" || !ok {
			t.Fatalf("program %q, %v", program, ok)
		}
	}
	mapped := good
	mapped.Client = netip.AddrPortFrom(netip.AddrFrom16(client4.Addr().As16()), client4.Port())
	if _, ok := p.Answered(mapped); !ok {
		t.Error("the same address in another spelling is not known")
	}
	for name, change := range map[string]func(*Reply){
		"id":          func(r *Reply) { r.ID++ },
		"name":        func(r *Reply) { r.Question = "example.com" },
		"server":      func(r *Reply) { r.Server = c4(53, "192.0.2.54") },
		"server port": func(r *Reply) { r.Server = c4(5353, "192.0.2.53") },
		"client":      func(r *Reply) { r.Client = c4(40000, "192.0.2.11") },
		"client port": func(r *Reply) { r.Client = c4(40001, "192.0.2.10") },
	} {
		r := good
		change(&r)
		if program, ok := p.Answered(r); ok {
			t.Errorf("another %s is taken for %q's", name, program)
		}
	}
	now = now.Add(PendingFor - 1)
	if _, ok := p.Answered(good); !ok {
		t.Error("forgotten too early")
	}
	now = now.Add(1)
	if _, ok := p.Answered(good); ok {
		t.Error("an answer after its time counts")
	}
	if p.Len() != 0 {
		t.Errorf("%d wait", p.Len())
	}
}

func TestPendingAskedAgainWaitsAnew(t *testing.T) {
	now := start
	p := NewPending(func() time.Time { return now })
	p.Asked(client4, server4, 7, "a.example", "/bin/a")
	now = now.Add(20 * time.Second)
	p.Asked(client4, server4, 7, "a.example", "/bin/a")
	now = now.Add(20 * time.Second)
	r := Reply{Query: Query{Client: client4, Server: server4, ID: 7, Question: "a.example"}}
	if _, ok := p.Answered(r); !ok || p.Len() != 1 {
		t.Errorf("known %v, %d wait", ok, p.Len())
	}
}

func TestPendingIsBounded(t *testing.T) {
	p := NewPending(nil)
	ask := func(program string, i int) {
		p.Asked(client4, server4, uint16(i), fmt.Sprintf("n%d.example", i), program)
	}
	answered := func(i int) bool {
		_, ok := p.Answered(Reply{Query: Query{Client: client4, Server: server4, ID: uint16(i), Question: fmt.Sprintf("n%d.example", i)}})
		return ok
	}
	ask("quiet", 0)
	for i := range MaxPendingOfOne + 10 {
		ask("loud", 1+i)
	}
	if p.Len() != MaxPendingOfOne+1 || !answered(0) || answered(1) || answered(10) || !answered(11) {
		t.Errorf("%d wait; one program pushed out what it should not", p.Len())
	}
	for i := range MaxPending {
		ask(fmt.Sprint("p", i/100), 10000+i)
	}
	if p.Len() != MaxPending || answered(0) || !answered(9999+MaxPending) {
		t.Errorf("%d wait, want %d", p.Len(), MaxPending)
	}
}
