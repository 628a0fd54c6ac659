package hello

import (
	"sekisho/app/flow"
)

// Kind is the protocol in which a name was said.
type Kind uint8

// The kinds.
const (
	None     Kind = iota
	TLS           // the server name of a ClientHello
	QUIC          // that of a ClientHello in QUIC initial packets, version 1 or 2
	HTTP          // Host of an HTTP/1 request that isn't encrypted
	HTTP2         // HTTP/2 that isn't encrypted, told by its preface; it has no name
	numKinds = iota
)

var kindNames = [numKinds]string{"", "tls", "quic", "http", "http2"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "?"
}

// Hello is what was said.
type Hello struct {
	Kind Kind
	// Name is the host in lower case without its last dot, as DNS carries it; empty if
	// none was said, or an address.
	Name string
	// Encrypted means that an encrypted hello came along (ECH): Name may be that of a
	// front that hides the real one. Browsers also send a sham of it, which nobody but the
	// server can tell apart, so it says nothing against Name either.
	Encrypted bool
	// Proxied means that a proxy was asked: Name is where it is to go, not who is at the
	// other end.
	Proxied bool
	Port    uint16 // the port that was named with an HTTP host; 0 if none
	Method  string // of HTTP
	Path    string // of HTTP, with the query, as it was sent
}

// State is how far a First has come.
type State uint8

// The states. Once it is Said or Nothing it stays so.
const (
	More    State = iota // what came so far is the beginning of a hello
	Said                 // Hello has what was said
	Nothing              // what came is no hello, is broken, or is larger than any honest one
)

// Side is who sent something.
type Side uint8

// The sides. The client is who opened the connection.
const (
	Client Side = iota
	Server
)

const (
	// MaxHello bounds the bytes that are looked at, and kept, of one connection.
	MaxHello = 32 << 10
	// MaxDatagrams bounds the datagrams that are looked at of one QUIC connection.
	MaxDatagrams = 16
)

// First reads the beginning of one connection.
type First struct {
	state State
	hello Hello
	read  reader // nil until the protocol is told
	quic  bool
}

// reader reads one protocol.
type reader interface {
	// add takes in what the client sent next: bytes of a stream, or one datagram.
	add(b []byte) (Hello, State)
	// kept is how many bytes it keeps.
	kept() int
}

// NewFirst makes a First for a connection over p: QUIC is looked for in UDP, the rest in
// the stream of TCP.
func NewFirst(p flow.Protocol) *First {
	switch p {
	case flow.TCP:
		return &First{}
	case flow.UDP:
		return &First{quic: true, read: &quicReader{}}
	}
	return &First{state: Nothing}
}

// Add takes in what one side sent next: of TCP the next bytes of its stream, in order and
// once, of UDP one datagram. b is not kept. A server that speaks first ends it: then the
// client's words are no hello.
func (f *First) Add(from Side, b []byte) State {
	if f.state != More || len(b) == 0 {
		return f.state
	}
	if from == Server {
		// A QUIC server may answer before the hello is whole, for the client to go on.
		if !f.quic {
			f.end(Hello{}, Nothing)
		}
		return f.state
	}
	if f.read == nil {
		if f.read = told(b[0]); f.read == nil {
			f.end(Hello{}, Nothing)
			return f.state
		}
	}
	if h, s := f.read.add(b); s != More {
		f.end(h, s)
	}
	return f.state
}

// State is what Add returned last.
func (f *First) State() State { return f.state }

// Hello is what was said; it is empty unless the state is Said.
func (f *First) Hello() Hello { return f.hello }

func (f *First) kept() int {
	if f.read == nil {
		return 0
	}
	return f.read.kept()
}

func (f *First) end(h Hello, s State) {
	f.state, f.read = s, nil
	if s == Said {
		f.hello = h
	}
}

// told says by its first byte which protocol a stream speaks; nil if none that is read
// here.
func told(b byte) reader {
	switch {
	case b == recordHandshake:
		return &tlsReader{}
	case isToken(b):
		return &httpReader{}
	}
	return nil
}
