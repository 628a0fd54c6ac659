package lab

// Attacker makes a copy of the program attack (service/lab/programs/attack, which lists
// its plans) for the host. It is a program of its own: what a test allows one of them,
// the others may try to borrow.
func (h *Host) Attacker(name string) *Program {
	h.lab.t.Helper()
	return &Program{Path: h.lab.copyProgram("service/lab/programs/attack", name), host: h}
}
