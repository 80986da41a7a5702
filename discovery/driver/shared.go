package driver

import (
	"context"
	"reflect"
	"sync"

	"github.com/hanse-go/hanse/discovery"
)

// Shared makes one watch of many: each service is watched once, however many watch it here. Each of them gets what was said last, on a
// goroutine of its own: one that is slow misses what is outdated meanwhile, and delays neither the engine nor the others. The zero value is
// ready to use. A Shared must not be copied.
type Shared struct {
	mu   sync.Mutex
	runs map[string]*sharedRun // by service
}

// sharedRun is one watch, from the first that joins to the last that leaves.
type sharedRun struct {
	users  int // guarded by Shared.mu
	cancel context.CancelFunc
	done   chan struct{} // closed when the watch has ended, with err
	err    error

	mu    sync.Mutex
	spoke bool
	list  []discovery.Instance
	next  chan struct{} // closed when there is news
}

// Watch is [discovery.Registry.Watch] by means of follow, which does the same and leaves more out: it may say again what it has said, must not
// change what it has said, and what is said is not copied.
func (s *Shared) Watch(ctx context.Context, service string, notify func([]discovery.Instance),
	follow func(ctx context.Context, service string, notify func([]discovery.Instance)) error) error {
	if service != "" {
		if err := discovery.CheckName(service); err != nil {
			return err
		}
	}
	run := s.join(service, follow)
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

func (s *Shared) join(service string, follow func(context.Context, string, func([]discovery.Instance)) error) *sharedRun {
	s.mu.Lock()
	defer s.mu.Unlock()
	run := s.runs[service]
	if run == nil {
		ctx, cancel := context.WithCancel(context.Background())
		run = &sharedRun{cancel: cancel, done: make(chan struct{}), next: make(chan struct{})}
		if s.runs == nil {
			s.runs = make(map[string]*sharedRun)
		}
		s.runs[service] = run
		go func() {
			defer close(run.done)
			run.err = follow(ctx, service, run.heard)
		}()
	}
	run.users++
	return run
}

func (s *Shared) leave(service string, run *sharedRun) {
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

func (r *sharedRun) heard(list []discovery.Instance) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.spoke && (len(list) == 0 && len(r.list) == 0 || reflect.DeepEqual(list, r.list)) {
		return // no news
	}
	r.spoke, r.list = true, list
	close(r.next)
	r.next = make(chan struct{})
}

// latest returns what was heard last, which all share, and what tells that there is more.
func (r *sharedRun) latest() (spoke bool, list []discovery.Instance, next <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.spoke, r.list, r.next
}

func cloneAll(list []discovery.Instance) []discovery.Instance {
	copies := make([]discovery.Instance, len(list))
	for i, inst := range list {
		copies[i] = inst.Clone()
	}
	return copies
}
