package dev

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/process"
)

// resize starts or ends processes until the unit has n. It returns the first error of a process that does not get ready; such a
// process is started again after a while. Whoever calls it holds the unit.
func (s *supervisor) resize(ctx context.Context, u *unit, n int, progress func(string)) error {
	if n > 0 && !u.foreign() {
		if err := s.buildFirst(ctx, u.program, progress); err != nil {
			return err
		}
	}
	s.mu.Lock()
	u.want = n
	var gone []*slot
	several := len(u.slots) > 1
	for len(u.slots) > n {
		last := u.slots[len(u.slots)-1]
		u.slots = u.slots[:len(u.slots)-1]
		last.closed, last.numbered = true, several
		gone = append(gone, last)
	}
	var todo []*slot
	for len(u.slots) < n {
		u.slots = append(u.slots, &slot{unit: u, number: len(u.slots) + 1 + u.before})
	}
	for _, sl := range u.slots {
		if sl.child == nil || sl.failure != nil {
			todo = append(todo, sl)
		}
	}
	s.mu.Unlock()

	var wg sync.WaitGroup
	for _, sl := range gone {
		wg.Go(func() {
			if sl.child != nil && !ended(sl.child.process) {
				s.drain(sl.child)
				progress(fmt.Sprintf("%s has ended", s.label(sl, sl.child)))
			}
		})
	}
	errs := make([]error, len(todo))
	for i, sl := range todo {
		wg.Go(func() { errs[i] = s.startSlot(ctx, sl, progress) })
	}
	wg.Wait()
	s.updatePins()
	return first(errs)
}

// startSlot starts the process of a slot that has none and waits until it is ready.
func (s *supervisor) startSlot(ctx context.Context, sl *slot, progress func(string)) error {
	c, err := s.launch(sl, false)
	if err != nil {
		s.mu.Lock()
		sl.failure = &failure{reason: err.Error(), at: time.Now()}
		s.mu.Unlock()
		s.updatePins()
		return err
	}
	s.updatePins()
	if err := s.awaitReady(ctx, c); err != nil {
		if !errors.Is(err, errEnded) { // else attend sees to it
			s.drain(c)
			s.mu.Lock()
			sl.failure = &failure{reason: err.Error(), cause: c.why(time.Now()), last: slices.Clone(c.last), at: time.Now()}
			s.mu.Unlock()
			s.updatePins()
		}
		return fmt.Errorf("%s: %w", s.label(sl, c), err)
	}
	if u := sl.unit; u.client {
		progress(fmt.Sprintf("%s has started", s.label(sl, c)))
	} else {
		progress(fmt.Sprintf("%s is ready", s.label(sl, c)))
	}
	return nil
}

// replace gives each slot of the unit a new process, one after the other, the new one ready before the old one drains. It stops at
// the first that does not get ready; the old one stays.
func (s *supervisor) replace(ctx context.Context, u *unit, progress func(string)) error {
	s.mu.Lock()
	slots := slices.Clone(u.slots)
	s.mu.Unlock()
	for _, sl := range slots {
		if err := s.replaceSlot(ctx, sl, progress); err != nil {
			return err
		}
	}
	s.updatePins()
	return nil
}

func (s *supervisor) replaceSlot(ctx context.Context, sl *slot, progress func(string)) error {
	s.mu.Lock()
	old, failed := sl.child, sl.failure != nil
	sl.restarts, sl.crash = 0, nil
	s.mu.Unlock()
	if old == nil || failed || ended(old.process) {
		return s.startSlot(ctx, sl, progress)
	}
	if sl.unit.fixedPort() { // two cannot have the port
		s.drain(old)
		progress(fmt.Sprintf("%s has ended", s.label(sl, old)))
		return s.startSlot(ctx, sl, progress)
	}
	c, err := s.launch(sl, true)
	if err != nil {
		return err
	}
	if err := s.awaitReady(ctx, c); err != nil {
		if !errors.Is(err, errEnded) {
			s.drain(c)
		}
		return fmt.Errorf("the new %s: %w; the old one keeps running", s.label(sl, c), err)
	}
	s.mu.Lock()
	sl.child = c
	s.mu.Unlock()
	progress(fmt.Sprintf("%s is ready", s.label(sl, c)))
	s.drain(old)
	progress(fmt.Sprintf("%s has ended", s.label(sl, old)))
	return nil
}

// label names a process.
func (s *supervisor) label(sl *slot, c *child) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := sl.name()
	if c == nil || c.process == nil {
		return name
	}
	return fmt.Sprintf("%s (process %d)", name, c.process.PID())
}

func ended(p *process.Process) bool {
	select {
	case <-p.Done():
		return true
	default:
		return false
	}
}

func first(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// startAll starts what is not manual and waits until each process is ready or has failed.
func (s *supervisor) startAll(ctx context.Context) {
	bar := s.screen.progress("starting")
	defer bar.done()
	var wg sync.WaitGroup
	for _, u := range s.snapshot() {
		if u.manual {
			continue
		}
		wg.Go(func() {
			ctx, end, err := s.hold(ctx, u, false)
			if err != nil {
				return
			}
			defer end()
			bar.add(u.name)
			defer bar.remove(u.name)
			// What goes wrong is shown when it does.
			_ = s.resize(ctx, u, u.copies, func(string) {})
		})
	}
	wg.Wait()
}
