package driver

import (
	"context"
	"reflect"
	"sync"

	"github.com/hanse-go/hanse/discovery"
)

// Shared makes one watch of many, of instances or of split rules: each service is watched once, however many watch it here. Each of them gets what was said last, on a
// goroutine of its own: one that is slow misses what is outdated meanwhile, and delays neither the engine nor the others. The zero value is
// ready to use. A Shared must not be copied.
type Shared[T interface{ Clone() T }] struct {
	mu   sync.Mutex
	runs map[string]*sharedRun[T] // by service
}

// sharedRun is one watch, from the first that joins to the last that leaves.
type sharedRun[T interface{ Clone() T }] struct {
	users  int // guarded by Shared.mu
	cancel context.CancelFunc
	done   chan struct{} // closed when the watch has ended, with err
	err    error

	mu    sync.Mutex
	spoke bool
	list  []T
	next  chan struct{} // closed when there is news
}

// Watch is [discovery.Registry.Watch], or [discovery.Splitter.WatchSplits], by means of follow, which does the same and leaves more out: it may say again what it has said, must not
// change what it has said, and what is said is not copied.
func (s *Shared[T]) Watch(ctx context.Context, service string, notify func([]T),
	follow func(ctx context.Context, service string, notify func([]T)) error) error {
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

func (s *Shared[T]) join(service string, follow func(context.Context, string, func([]T)) error) *sharedRun[T] {
	s.mu.Lock()
	defer s.mu.Unlock()
	run := s.runs[service]
	if run == nil {
		ctx, cancel := context.WithCancel(context.Background())
		run = &sharedRun[T]{cancel: cancel, done: make(chan struct{}), next: make(chan struct{})}
		if s.runs == nil {
			s.runs = make(map[string]*sharedRun[T])
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

func (s *Shared[T]) leave(service string, run *sharedRun[T]) {
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

func (r *sharedRun[T]) heard(list []T) {
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
func (r *sharedRun[T]) latest() (spoke bool, list []T, next <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.spoke, r.list, r.next
}

func cloneAll[T interface{ Clone() T }](list []T) []T {
	copies := make([]T, len(list))
	for i, one := range list {
		copies[i] = one.Clone()
	}
	return copies
}
