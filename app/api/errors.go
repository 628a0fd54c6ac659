package api

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ErrorCode says what kind of failure an Error is; the command line turns it into
// its exit code.
type ErrorCode int

const (
	Failed       ErrorCode = 1
	BadRequest   ErrorCode = 2
	NoService    ErrorCode = 3
	NotPermitted ErrorCode = 4
	NotFound     ErrorCode = 5
)

// Error is a failure that a person can read: Message says in one line what is wrong
// and what to do.
type Error struct {
	Code    ErrorCode
	Message string

	cause error
}

func (e *Error) Error() string { return e.Message }

// Unwrap gives context.Canceled or context.DeadlineExceeded when that ended the call.
func (e *Error) Unwrap() error { return e.cause }

// Errorf makes an Error.
func Errorf(code ErrorCode, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// CodeOf is the code of the Error that err is or wraps; any other error has Failed.
func CodeOf(err error) ErrorCode {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Failed
}

// maxMessage bounds what of an error's text travels, in bytes: it is sent as a header.
const maxMessage = 2048

var statusCodes = map[ErrorCode]codes.Code{
	Failed:       codes.Unknown,
	BadRequest:   codes.InvalidArgument,
	NoService:    codes.Unavailable,
	NotPermitted: codes.PermissionDenied,
	NotFound:     codes.NotFound,
}

// ToStatus writes an error as the gRPC status that carries it to a client; a status
// stays as it is.
func ToStatus(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	code := codes.Unknown
	var e *Error
	switch {
	case errors.As(err, &e):
		code = statusCodes[e.Code]
	case errors.Is(err, context.Canceled):
		code = codes.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		code = codes.DeadlineExceeded
	}
	message := text(err.Error())
	if len(message) > maxMessage {
		message = text(message[:maxMessage]) + "…"
	}
	return status.Error(code, message)
}

// fromStatus reads what a call returned. dial is the reason for which the last
// connection could not be made, if it could not.
func fromStatus(ctx context.Context, socket string, err error, dial *Error) error {
	if err == nil {
		return nil
	}
	if cause := ctx.Err(); cause != nil {
		message := "the call was given up before the service answered"
		if errors.Is(cause, context.DeadlineExceeded) {
			message = "the Sekisho service did not answer in time; see its log (journalctl -u sekishod)"
		}
		return &Error{Code: Failed, Message: message, cause: cause}
	}
	s, ok := status.FromError(err)
	if !ok {
		var e *Error
		if errors.As(err, &e) {
			return e
		}
		return &Error{Code: Failed, Message: err.Error()}
	}
	switch s.Code() {
	case codes.Unavailable, codes.Canceled:
		if dial != nil {
			return dial
		}
		// What gRPC says of it is of no use to a person.
		return Errorf(NoService, "The Sekisho service at %s ended the connection; it may be restarting, or you have too many connections open: try again", socket)
	case codes.PermissionDenied, codes.Unauthenticated:
		return &Error{Code: NotPermitted, Message: s.Message()}
	case codes.InvalidArgument:
		return &Error{Code: BadRequest, Message: s.Message()}
	case codes.NotFound:
		return &Error{Code: NotFound, Message: s.Message()}
	case codes.Unimplemented:
		return Errorf(Failed, "The Sekisho service at %s does not know this call (%s); it is of another version, restart it after an update", socket, s.Message())
	}
	return &Error{Code: Failed, Message: s.Message()}
}
