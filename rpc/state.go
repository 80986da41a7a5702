package rpc

import (
	"context"
	"slices"

	"github.com/hanse-go/hanse/rpc/internal/wire"
	"google.golang.org/grpc/connectivity"
)

// GetState says whether a call would go out now, as that of a grpc.ClientConn does:
//
//   - Idle: the Conn is not bound yet. Calls wait.
//   - Connecting: no instance is known to be ready, or none is connected yet, or the service runs in this process and is not started.
//     Calls wait.
//   - Ready: at least one instance is connected, or the service runs in this process.
//   - TransientFailure: instances are known, and none can be reached; or none can be found. Calls fail, unless they have the option
//     [grpc.WaitForReady], and links go on to connect.
//   - Shutdown: the Conn is closed.
//
// It is for health checks and for programs that wait before they begin; calls need no look at it, and may find another state.
func (c *Conn) GetState() connectivity.State {
	state, _ := c.state()
	return state
}

// WaitForStateChange returns true when the state is another than source, and false when ctx ends before. Changes that were undone
// meanwhile may go unseen.
func (c *Conn) WaitForStateChange(ctx context.Context, source connectivity.State) bool {
	for {
		state, changed := c.state()
		if state != source {
			return true
		}
		closed := c.ctx.Done()
		if state == connectivity.Shutdown {
			closed = nil // the last state
		}
		select {
		case <-changed:
		case <-closed:
		case <-ctx.Done():
			return false
		}
	}
}

// state returns the state, and what is closed when it may have changed otherwise than by Close.
func (c *Conn) state() (connectivity.State, <-chan struct{}) {
	b := c.use.Load()
	switch {
	case c.ctx.Err() != nil:
		return connectivity.Shutdown, nil
	case b == nil:
		return connectivity.Idle, c.bound
	case b.pool != nil:
		v := b.pool.view.Load()
		return v.state(), v.changed
	}
	if in, ok := b.local.(*inProcess); ok {
		return in.srv.state()
	}
	return connectivity.TransientFailure, nil // it leads nowhere
}

func (v *view) state() connectivity.State {
	is := func(state wire.State) bool {
		return slices.ContainsFunc(v.seats, func(s seat) bool { return s.state == state })
	}
	switch {
	case v.err != nil:
		return connectivity.TransientFailure
	case is(wire.Ready):
		return connectivity.Ready
	case len(v.seats) == 0 || is(wire.Connecting):
		return connectivity.Connecting
	}
	return connectivity.TransientFailure
}

// state is the state of a Conn to this server in the same process.
func (s *Server) state() (connectivity.State, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.init()
	switch s.phase.Load() {
	case fresh:
		return connectivity.Connecting, s.started
	case serving:
		return connectivity.Ready, s.refusing
	}
	return connectivity.TransientFailure, nil
}
