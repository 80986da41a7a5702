package hanse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/discovery"
)

// How long a draining app waits, after it said so, before it refuses calls: time for watchers to see it and for calls that are on
// their way to arrive. It is not what keeps calls from being lost (those that come later are refused as never processed, and go
// elsewhere) but it spares them the detour, and callers that do not speak HTTP/2's GOAWAY properly an error. Folder and memory
// watchers hear within milliseconds; a network registry takes longer.
const (
	seenOnHost    = 100 * time.Millisecond
	seenOnNetwork = time.Second
)

// OnStop has f called when the service stops: after its last call has ended and all tasks have returned, in the reverse order of
// set-up; of one service the last declared first. Connections still work. The context ends at [App.DrainTimeout]. An error is part
// of what Run returns. It is also called when the set-up failed after OnStop.
func (s *Service) OnStop(f func(ctx context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stops = append(s.stops, f)
}

// stop drains and ends what start began, as far as it got.
func (r *run) stop(ctx context.Context) error {
	r.enter(discovery.Draining)
	r.fetchNoEvents()
	limit := r.newLimit(context.WithoutCancel(ctx))
	defer limit.end()

	r.announceDraining(limit.drain)
	if r.announced {
		r.waitUntilSeen(limit.drain)
	}
	r.drainPorts(limit.last)
	errs := []error{r.finishEvents(), r.tasks.stop(limit.last)}
	errs = append(errs, r.stopServices(limit))
	if limit.last.Err() != nil {
		if running := r.stillRunning(); len(running) > 0 {
			errs = append(errs, fmt.Errorf("still running %v after they were cancelled: %s", grace, strings.Join(running, ", ")))
		}
	}
	errs = append(errs, r.close())
	select {
	case err := <-r.failed: // while it stopped for another reason
		errs = append(errs, err)
	default:
	}
	return errors.Join(errs...)
}

// limit is how long a stop may take.
type limit struct {
	drain context.Context // ends at the drain timeout: what runs then is cancelled
	last  context.Context // ends when that had its time to return: the app stops without what still runs
	end   func()
}

func (r *run) newLimit(ctx context.Context) limit {
	d := orDefault(r.app.DrainTimeout, defaultDrainTimeout)
	if d == 0 {
		return limit{ctx, ctx, func() {}}
	}
	drain, cancelDrain := context.WithTimeout(ctx, d)
	last, cancelLast := context.WithTimeout(ctx, d+grace)
	unforce := context.AfterFunc(drain, func() {
		r.log.Warn("drain timeout: cancelling what still runs", "running", r.stillRunning())
		for _, m := range r.members {
			m.server.Stop()
		}
		for _, p := range r.ports {
			if p.rpc != nil {
				p.rpc.Shared.Stop()
			}
		}
		r.cancelHTTP()
		r.tasks.cancel()
	})
	return limit{drain, last, func() {
		unforce()
		cancelDrain()
		cancelLast()
	}}
}

// waitUntilSeen gives callers time to notice that the app drains.
func (r *run) waitUntilSeen(ctx context.Context) {
	var d time.Duration
	switch r.scope() {
	case discovery.ScopeHost:
		d = seenOnHost
	case discovery.ScopeNetwork:
		d = seenOnNetwork
	}
	if d == 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// drainPorts refuses calls from outside and waits for those that run. What they call in this process works on.
func (r *run) drainPorts(ctx context.Context) {
	var all sync.WaitGroup
	for _, p := range r.ports {
		if p.rpc == nil {
			continue
		}
		all.Go(func() { p.rpc.Drain(ctx) }) // its error is that of ctx; what then still runs is reported by name
	}
	all.Wait()
}

// stopServices ends the services in the reverse order of their set-up. Those whose set-up failed come first.
func (r *run) stopServices(limit limit) error {
	var errs []error
	r.mu.Lock()
	order := slices.Clone(r.order)
	r.mu.Unlock()
	for _, m := range r.members {
		if !slices.Contains(order, m) {
			order = append(order, m)
		}
	}
	for _, m := range slices.Backward(order) {
		m.server.Drain(limit.last) // its error names what still runs, and so does the caller's
		errs = append(errs, m.callStops(limit), m.closeEvents(limit.last))
	}
	return errors.Join(errs...)
}

// callStops calls the functions that the service gave to OnStop, the last one first.
func (m *member) callStops(limit limit) error {
	var errs []error
	for {
		m.Service.mu.Lock()
		n := len(m.stops)
		if n == 0 {
			m.Service.mu.Unlock()
			return errors.Join(errs...)
		}
		f := m.stops[n-1]
		m.stops = m.stops[:n-1]
		m.Service.mu.Unlock()

		ctx := limit.drain
		if ctx.Err() != nil { // it gets the time that is left
			ctx = limit.last
		}
		done := make(chan error, 1)
		go func() { done <- protect(m.log, "OnStop of "+m.Name, func() error { return f(ctx) }) }()
		select {
		case err := <-done:
			if err != nil {
				errs = append(errs, fmt.Errorf("service %s: OnStop: %w", m.Name, err))
			}
		case <-limit.last.Done():
			return errors.Join(append(errs, fmt.Errorf("service %s: OnStop has not returned: let it heed its context", m.Name))...)
		}
	}
}

// stillRunning names the calls, HTTP requests and tasks that have not ended.
func (r *run) stillRunning() []string {
	var all []string
	for _, m := range r.members {
		for _, method := range m.server.Running() {
			all = append(all, m.Name+method)
		}
		for _, what := range m.bus.Running() {
			all = append(all, m.Name+": "+what)
		}
	}
	all = append(all, r.requests.labels()...)
	return append(all, r.tasks.labels()...)
}

// close takes down what is left, now that nothing runs in it.
func (r *run) close() error {
	var errs []error
	for _, m := range r.members {
		if m.lease != nil {
			if err := m.lease.Close(); err != nil {
				errs = append(errs, fmt.Errorf("service %s: cannot withdraw from the registry: %w", m.Name, err))
			}
		}
	}
	for _, m := range r.members {
		errs = append(errs, m.closeUnbound())
		if m.client != nil {
			errs = append(errs, m.client.Close())
		}
		m.server.Stop()
	}
	for _, p := range r.ports {
		errs = append(errs, p.close())
	}
	if r.admin != nil {
		errs = append(errs, r.admin.close())
	}
	r.cancelHTTP()
	r.background.Wait()
	if r.broker != nil {
		r.broker.Close()
	}
	return errors.Join(append(errs, r.app.Close(), r.stopBackplane())...)
}
