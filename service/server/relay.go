package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sekisho/app/api"
)

const (
	// buffered is how many messages a stream may be behind.
	buffered = 1024
	// patience is how long a source that can wait does so for a slow reader.
	patience = 10 * time.Second
)

var (
	errSlow     = api.Errorf(api.Failed, "this program reads too slowly and missed events; it has to ask again")
	errStopping = status.Error(codes.Unavailable, "the Sekisho service is stopping")
)

// relay carries what source produces to send, through a bounded buffer, so that a slow
// reader is never waited for: its stream ends with errSlow. A source that may be kept
// waiting (wait) is, for as long as patience.
func relay[T any](ctx context.Context, s *Server, wait time.Duration, source func(context.Context, func(T)) error, send func(T) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &relayed[T]{ctx: ctx, wait: wait, queue: make(chan T, buffered), slow: make(chan struct{})}
	sourced := make(chan error, 1)
	go func() {
		var err error
		defer func() { sourced <- err }()
		defer s.recovered("stream", &err)
		err = source(ctx, r.push)
	}()
	sent := make(chan error, 1)
	go func() {
		var err error
		defer func() { sent <- err }()
		defer s.recovered("stream", &err)
		err = r.drain(send)
	}()
	err, running := r.watch(s.stopping, sourced, sent)
	cancel()
	if running {
		// The backend's call ends before ours does.
		if late := <-sourced; err == nil {
			err = late
		}
	}
	return err
}

type relayed[T any] struct {
	ctx   context.Context
	wait  time.Duration
	queue chan T
	slow  chan struct{}
	once  sync.Once
}

// push is what the source calls, from one goroutine.
func (r *relayed[T]) push(v T) {
	if r.ctx.Err() != nil {
		return
	}
	select {
	case r.queue <- v:
		return
	default:
	}
	if r.wait > 0 {
		t := time.NewTimer(r.wait)
		defer t.Stop()
		select {
		case r.queue <- v:
			return
		case <-r.ctx.Done():
			return
		case <-t.C:
		}
	}
	r.once.Do(func() { close(r.slow) })
}

// drain sends until the queue is closed or the stream ends.
func (r *relayed[T]) drain(send func(T) error) error {
	for {
		select {
		case v, ok := <-r.queue:
			if !ok {
				return nil
			}
			if err := send(v); err != nil {
				return err
			}
		case <-r.ctx.Done():
			return r.ctx.Err()
		}
	}
}

// watch waits for the first reason to end, and reports whether the source still runs.
// It does not wait for a send that is stuck: gRPC frees that once the handler has
// returned.
func (r *relayed[T]) watch(stopping <-chan struct{}, sourced, sent <-chan error) (err error, running bool) {
	for running = true; ; {
		select {
		case <-r.slow:
			return errSlow, running
		case <-stopping:
			return errStopping, running
		case <-r.ctx.Done():
			return r.ctx.Err(), running
		case err := <-sent:
			return err, running
		case err := <-sourced:
			if err != nil && errors.Is(err, context.Canceled) && r.ctx.Err() == nil {
				err = errStopping
			}
			if err != nil {
				return err, false
			}
			close(r.queue) // the source calls push no more
			sourced, running = nil, false
		}
	}
}
