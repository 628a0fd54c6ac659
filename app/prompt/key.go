package prompt

import "sekisho/app/flow"

// Key is what flows have in common that one prompt joins: a program of one user, one
// destination and service, one direction. It can be compared.
type Key struct {
	Program   string          // flow.Program.Key
	File      flow.Executable // of a program that was replaced: it is not the one that was there
	Process   flow.ProcessID  // of inline code and of processes that could not be named: each asks for itself
	UID       uint32
	Direction flow.Direction
	Host      string
	Port      uint16
	Protocol  flow.Protocol
}

// KeyOf is f's key.
func KeyOf(f flow.Flow) Key {
	k := Key{
		Direction: f.Direction, Host: Destination(f), Port: Service(f), Protocol: f.Protocol,
	}
	if p := f.Process; p != nil {
		k.Program, k.UID = p.Key(), p.UID
		if p.Replaced {
			k.File = p.Executable
		}
		if p.Inline || p.Path == "" {
			k.Process = p.ProcessID
		}
	}
	return k
}
