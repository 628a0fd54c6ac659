// Package engine is the one path of a flow, readable from top to bottom in judge.go:
// capture → identify → name → decide → ask → remember → enforce → publish.
//
// The Engine owns what is decided: the rules, the mode, the flows that wait and those
// that live. Everything of it is guarded by one mutex; packets are judged on the queues'
// goroutines, answers come in on the server's. It declares the interfaces that it needs of
// its neighbours and knows none of them; daemon wires them together.
package engine
