package discovery

import (
	"context"
	"sync"
)

// Share returns a registry that watches each service in reg once, however many watch it here. Each of them gets what reg said last, on a
// goroutine of its own: one that is slow misses what is outdated meanwhile, and delays neither reg nor the others. It is for who writes
// a [Registry] over an engine where a watch costs something.
func Share(reg Registry) Registry {
	return &shared{registry: reg, runs: make(map[string]*sharedRun)}
}

type shared struct {
	registry Registry
	mu       sync.Mutex
	runs     map[string]*sharedRun // by service
}

// sharedRun is one watch, from the first that joins to the last that leaves.
type sharedRun struct {
	users  int // guarded by shared.mu
	cancel context.CancelFunc
	done   chan struct{} // closed when the watch has ended, with err
	err    error

	mu    sync.Mutex
	spoke bool
	list  []Instance
	next  chan struct{} // closed when there is news
}

func (s *shared) Watch(ctx context.Context, service string, notify func([]Instance)) error {
	if err := checkWatch(service); err != nil {
		return err
	}
	run := s.join(service)
	defer s.leave(service, run)
	for {
		spoke, list, next := run.latest()
		if spoke {
			notify(cloneAll(list))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-run.done:
			return run.err
		case <-next:
		}
	}
}

func (s *shared) join(service string) *sharedRun {
	s.mu.Lock()
	defer s.mu.Unlock()
	run := s.runs[service]
	if run == nil {
		ctx, cancel := context.WithCancel(context.Background())
		run = &sharedRun{cancel: cancel, done: make(chan struct{}), next: make(chan struct{})}
		s.runs[service] = run
		go func() {
			defer close(run.done)
			run.err = s.registry.Watch(ctx, service, run.heard)
		}()
	}
	run.users++
	return run
}

func (s *shared) leave(service string, run *sharedRun) {
	s.mu.Lock()
	run.users--
	last := run.users == 0
	if last {
		delete(s.runs, service)
	}
	s.mu.Unlock()
	if last {
		run.cancel()
		<-run.done
	}
}

func (r *sharedRun) heard(list []Instance) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spoke, r.list = true, list
	close(r.next)
	r.next = make(chan struct{})
}

// latest returns what was heard last, which all share, and what tells that there is more.
func (r *sharedRun) latest() (spoke bool, list []Instance, next <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.spoke, r.list, r.next
}

func cloneAll(list []Instance) []Instance {
	copies := make([]Instance, len(list))
	for i, inst := range list {
		copies[i] = inst.Clone()
	}
	return copies
}
