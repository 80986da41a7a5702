package hanse

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hanse-go/hanse/discovery"
)

// checkTimeout is what one readiness check gets. Kubernetes' probes give up after 1 s, so that the reason still arrives.
const checkTimeout = 900 * time.Millisecond

// Check declares a condition for the service to be ready, such as a database that answers. f returns nil when it is met, else the
// reason why not. It is called whenever somebody asks (/readyz on the admin address, or gRPC's health protocol), at most once at
// a time, and has 900 ms to answer.
func (s *Service) Check(name string, f func(ctx context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checks = append(s.checks, &check{name: name, f: f})
}

// check is one condition for readiness.
type check struct {
	name string
	f    func(ctx context.Context) error

	mu      sync.Mutex
	running *checkRun // shared by all who ask meanwhile
}

type checkRun struct {
	done chan struct{}
	err  error
}

// ask returns nil when the condition is met. A check that does not heed its context is left alone until it returns.
func (c *check) ask(ctx context.Context, m *member) error {
	c.mu.Lock()
	cr := c.running
	if cr == nil {
		cr = &checkRun{done: make(chan struct{})}
		c.running = cr
		go func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTimeout)
			defer cancel()
			cr.err = protect(m.log, "check "+c.name, func() error { return c.f(ctx) })
			c.mu.Lock()
			c.running = nil
			c.mu.Unlock()
			close(cr.done)
		}()
	}
	c.mu.Unlock()
	timer := time.NewTimer(checkTimeout)
	defer timer.Stop()
	select {
	case <-cr.done:
		return cr.err
	case <-timer.C:
		return fmt.Errorf("no answer within %v", checkTimeout)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Conditions that the app itself makes.
const (
	stateCheck     = "state"
	backplaneCheck = "backplane"
)

// condition is what one check said.
type condition struct {
	Service string `json:"service"`
	Check   string `json:"check"`
	Reason  string `json:"reason,omitempty"`  // why it is not met; empty when it is
	Warning bool   `json:"warning,omitempty"` // the service takes calls nevertheless
}

// readiness asks the checks of some services, all at once. The app's phase is the first condition of each.
func (r *run) readiness(ctx context.Context, members []*member) (ready bool, conditions []condition) {
	phase, _ := r.state()
	ready = phase == discovery.Ready
	var all []*condition
	var asking sync.WaitGroup
	for _, m := range members {
		state := &condition{Service: m.Name, Check: stateCheck}
		if !ready {
			state.Reason = string(phase)
		}
		all = append(all, state)
		if l := r.app.backplane(); l != nil {
			// No reason to send callers elsewhere: those who need it may be few, and the others have the same backplane.
			reason := l.reason()
			all = append(all, &condition{Service: m.Name, Check: backplaneCheck, Reason: reason, Warning: reason != ""})
		}
		m.Service.mu.Lock()
		checks := slices.Clone(m.checks)
		m.Service.mu.Unlock()
		for _, c := range checks {
			answer := &condition{Service: m.Name, Check: c.name}
			all = append(all, answer)
			asking.Go(func() {
				if err := c.ask(ctx, m); err != nil {
					answer.Reason = err.Error()
				}
			})
		}
	}
	asking.Wait()
	for _, c := range all {
		ready = ready && (c.Reason == "" || c.Warning)
		conditions = append(conditions, *c)
	}
	return ready, conditions
}
