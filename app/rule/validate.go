package rule

import "sekisho/app/flow"

const (
	maxID   = 64
	maxNote = 1000
)

// Validate says in one line what is wrong with r and what to do; its errors are
// *OperandError. It judges r in the form that Normal gives it, so that spelling alone
// is no error.
func Validate(r Rule) error {
	r = Normal(r)
	if err := validateOperands(&r); err != nil {
		return err
	}
	if err := r.Lifetime.check(); err != nil {
		return &OperandError{"lifetime", err}
	}
	return nil
}

// ValidateOperands is Validate for a rule whose lifetime the service has yet to begin.
func ValidateOperands(r Rule) error {
	r = Normal(r)
	return validateOperands(&r)
}

func validateOperands(r *Rule) error {
	if r.Action != Allow && r.Action != Block {
		return &OperandError{"action", badf("want allow or block")}
	}
	if r.Direction > Both {
		return &OperandError{"direction", badf("want out, in or both")}
	}
	if err := r.Program.check(); err != nil {
		return err
	}
	if r.Lifetime.Kind == Quit && r.Program.Path != "" && !(flow.Program{Path: r.Program.Path}).IsFile() {
		return &OperandError{"lifetime", badf("%s never quits: choose boot, until or always", r.Program.Path)}
	}
	if err := r.Remote.check(); err != nil {
		return err
	}
	for _, o := range []struct {
		name string
		err  error
	}{
		{"user", checkUser(r.User)}, {"ports", checkPortsOf(r)}, {"network_profile", checkNetwork(r.Network)},
		{"id", checkText(r.ID, maxID)}, {"note", checkText(r.Note, maxNote)}, {"by", checkText(r.By, maxUser)},
		{"origin", checkOrigin(r.Origin)}, {"created", checkTime(plainYear(r.Created))},
		{"last_used", checkTime(plainYear(r.LastUsed))},
	} {
		if o.err != nil {
			return &OperandError{o.name, o.err}
		}
	}
	return nil
}

func checkPortsOf(r *Rule) error {
	if len(r.Ports) > 0 && r.Protocol != 0 && !r.Protocol.HasPorts() {
		return badf("%s has no ports: leave them out, or choose tcp or udp", r.Protocol)
	}
	return checkPorts(r.Ports)
}

func checkOrigin(o Origin) error {
	if o.valid() {
		return nil
	}
	return badf("%q is unknown: want answer, editor, command, import, preset or learn", string(o))
}

func checkTime(ok bool) error {
	if ok {
		return nil
	}
	return badf("the year is not between 1 and 9999")
}
