package dev

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/control"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/process"
)

// unit is the processes that run the same services of the same program. All fields are guarded by supervisor.mu, but for gate and
// wish. Name and program of the wish, and whether that is a client, never change. To change the rest of it one must have the unit too: either is enough to read.
type unit struct {
	*wish
	want   int     // copies that should run; 0: stopped
	slots  []*slot // as many as want, but for those that come or go
	base   *unit   // for processes with one service, besides those of a unit with several: that unit
	before int     // how many copies of the service base has
	stale  string  // why the processes must be replaced by ones of the program's newest build; "" when they need not

	gate   chan struct{}      // held by whoever changes the processes
	cancel context.CancelFunc // ends what holds the gate, if that was not asked for by a user
}

func newUnit(w *wish) *unit { return &unit{wish: w, gate: make(chan struct{}, 1)} }

// identity is the name of the folder with the certificates of the unit's processes: each service finds its own.
func (u *unit) identity() string {
	if len(u.services) == 0 {
		return u.name
	}
	return "{service}"
}

// slot is the place of one copy.
type slot struct {
	unit     *unit
	number   int      // from 1
	child    *child   // that runs, or ran last; nil before the first
	failure  *failure // why there is no process now
	crash    *failure // the last one, until the process has been ready for a while
	restarts int      // in a row
	closed   bool
	numbered bool // it was one of several, so that its number belongs to its name also when the others are gone
}

// name is how people know the copy: cart, or cart.2 where there are several. The caller holds supervisor.mu.
func (sl *slot) name() string {
	if len(sl.unit.slots) > 1 || sl.number > 1 || sl.numbered {
		return fmt.Sprintf("%s.%d", sl.unit.name, sl.number)
	}
	return sl.unit.name
}

// failure is how the last process of a slot ended.
type failure struct {
	reason string   // "exit status 2"
	cause  string   // what the process said was wrong; may be ""
	last   []string // its last lines
	at     time.Time
}

// text is the failure in one line.
func (f *failure) text() string { return withCause(f.reason, f.cause) }

func withCause(reason, cause string) string {
	if cause == "" {
		return reason
	}
	return reason + ": " + cause
}

// child is a process of a slot.
type child struct {
	slot     *slot
	process  *process.Process
	services []string // as it was started; those of the unit may be others by now
	version  string   // of the program, as it was started
	state    control.State
	started  time.Time
	readyAt  time.Time
	told     bool     // to end, so that its end is no failure
	last     []string // lines that it printed last
	cause    string   // what it said last was wrong, at the time
	causeAt  time.Time
	panicked bool // the cause is its panic, whatever it prints then
}

// lastLines is how many lines are kept of a process, to be shown when it fails.
const lastLines = 12

// hold waits until nobody else changes the processes of u. A user's request interrupts what dev does by itself. The returned
// context ends when it is interrupted; end gives u free.
func (s *supervisor) hold(ctx context.Context, u *unit, user bool) (_ context.Context, end func(), err error) {
	if user {
		s.mu.Lock()
		if u.cancel != nil {
			u.cancel()
		}
		s.mu.Unlock()
	}
	select {
	case u.gate <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	if !user {
		u.cancel = cancel
	}
	s.mu.Unlock()
	return ctx, func() {
		s.mu.Lock()
		u.cancel = nil
		s.mu.Unlock()
		cancel()
		<-u.gate
	}, nil
}

// findUnit returns the unit that name stands for: its own name or that of one of its services.
func (s *supervisor) findUnit(name string) (u *unit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.units {
		if u.name == name && u.base == nil {
			return u
		}
	}
	for _, u := range s.units {
		if slices.Contains(u.services, name) && u.base == nil {
			return u
		}
	}
	return nil
}

// stopped reports whether a service could run, but nobody wants it to.
func (s *supervisor) stopped(service string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, wanted := false, !s.ready
	for _, u := range s.units {
		if slices.Contains(u.services, service) {
			known, wanted = true, wanted || u.want > 0
		}
	}
	return known && !wanted
}

// extra returns the unit of processes that run one service of u besides u's own. It makes it when it is not there.
func (s *supervisor) extra(u *unit, service string) *unit {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.units {
		if e.base == u && e.name == service {
			return e
		}
	}
	w := *u.wish
	w.name, w.services, w.copies, w.manual = service, []string{service}, 0, true
	e := newUnit(&w)
	e.base, e.before = u, u.want
	s.units = append(s.units, e)
	return e
}

// extras returns the units of processes that run one service of u each.
func (s *supervisor) extras(u *unit) (list []*unit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.units {
		if e.base == u {
			list = append(list, e)
		}
	}
	return list
}

// names returns what can be started and stopped, and all services.
func (s *supervisor) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, u := range s.units {
		names = append(names, u.name)
		names = append(names, u.services...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// snapshot returns the units.
func (s *supervisor) snapshot() []*unit {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.units)
}
