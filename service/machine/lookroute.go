package machine

import (
	"errors"
	"strconv"

	"golang.org/x/sys/unix"
)

// route notes which way packets take; it is false if there is none.
func (l *look) route(q routeQuery) (route, bool) {
	way, err := l.ways.ask(q)
	values := map[string]string{"to": q.to.String()}
	if err != nil {
		values["error"] = err.Error()
		if r := l.ways.refusal(q.to); r != "" {
			values["route"] = r
		}
		l.add(Step{Code: refusalCode(err), Outcome: Dropped, Values: values})
		return way, false
	}
	link, up, carrier := l.ways.link(way.out)
	values["interface"] = link.Name
	hop := q.to
	if way.gateway.IsValid() {
		values["gateway"], hop = way.gateway.String(), way.gateway
	}
	if way.source.IsValid() {
		values["source"] = way.source.String()
	}
	if r := l.ways.ruleFor(way.table); r != "" {
		values["table"], values["rule"] = strconv.Itoa(int(way.table)), r
	}
	s := Step{Code: RouteFound, Outcome: Passes, Values: values}
	switch {
	case way.kind == unix.RTN_LOCAL:
	case !up:
		s.Code, s.Outcome = LinkDown, Dropped
	case !carrier:
		s.Code, s.Outcome = LinkNoCarrier, Dropped
	case l.ways.hopState(way.out, hop) == unix.NUD_FAILED:
		// It is asked for anew with every packet, so it may be back.
		s.Code, s.Outcome = NeighbourFailed, Perhaps
	}
	l.add(s)
	return way, s.Outcome == Passes || s.Outcome == Perhaps
}

func refusalCode(err error) Code {
	switch {
	case errors.Is(err, unix.ENETUNREACH):
		return RouteMissing
	case errors.Is(err, unix.EHOSTUNREACH):
		return RouteUnreachable
	case errors.Is(err, unix.EACCES):
		return RouteProhibited
	case errors.Is(err, unix.EINVAL):
		return RouteBlackhole
	}
	return RouteError
}
