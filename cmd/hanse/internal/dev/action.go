package dev

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/control"
	"github.com/hanse-go/hanse/cmd/hanse/internal/manifest"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/discovery"
)

// maxCopies is how many copies of a service a slip of the finger may ask for.
const maxCopies = 100

// Do carries out a request of another terminal. It goes on when that terminal goes away.
func (s *supervisor) Do(_ context.Context, r control.Request, progress func(string)) error {
	s.mu.Lock()
	ready := s.ready && !s.stopping
	s.mu.Unlock()
	if !ready {
		return &control.Error{What: "the system is starting or stopping", Do: "try again when hanse dev says that it is ready"}
	}
	if len(r.Services) == 0 {
		return &control.Error{What: "no service was named", Do: "hanse ps lists them"}
	}
	var todo []func(context.Context) error
	for _, name := range r.Services {
		f, err := s.action(r, name, func(text string) {
			s.notef(name, "%s", text)
			progress(text)
		})
		if err != nil {
			return err
		}
		todo = append(todo, f)
	}
	errs := make([]error, len(todo))
	var wg sync.WaitGroup
	for i, f := range todo {
		wg.Go(func() { errs[i] = f(s.ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// action checks a request for one service, or process, and returns how to carry it out.
func (s *supervisor) action(r control.Request, name string, progress func(string)) (func(context.Context) error, error) {
	u := s.findUnit(name)
	if u == nil {
		return nil, &control.Error{What: fmt.Sprintf("there is no service %q in %s", name, s.Name), Do: ui.DidYouMean(name, s.names())}
	}
	s.mu.Lock()
	want, copies := u.want, max(1, u.copies)
	fixed := u.fixedPort()
	within := len(u.services) > 1 && name != u.name // one of several services of a process
	together := fmt.Sprintf("%s runs in one process with %s", name, ui.List(others(u.services, name), "and"))
	s.mu.Unlock()
	switch r.Action {
	case control.Start:
		if want > 0 {
			return func(context.Context) error {
				progress(fmt.Sprintf("%s runs already", name))
				return nil
			}, nil
		}
		return s.resizing(u, copies, progress), nil
	case control.Stop:
		if within {
			return nil, &control.Error{What: together, Do: fmt.Sprintf("hanse stop %s stops them all", u.name)}
		}
		if want == 0 {
			return func(context.Context) error {
				if list, _ := s.board.Get(); slices.ContainsFunc(list, func(i discovery.Instance) bool { return i.Service == name }) {
					progress(fmt.Sprintf("%s was started by hand: end it where that was done", name))
				} else {
					progress(fmt.Sprintf("%s does not run", name))
				}
				return nil
			}, nil
		}
		return s.resizing(u, 0, progress, s.extras(u)...), nil
	case control.Restart:
		if want == 0 {
			return nil, &control.Error{What: fmt.Sprintf("%s does not run", name), Do: "hanse start " + name}
		}
		return s.restarting(append([]*unit{u}, s.extras(u)...), progress), nil
	case control.Scale:
		switch n := r.Replicas; {
		case n < 0 || n > maxCopies:
			return nil, &control.Error{What: fmt.Sprintf("%s cannot have %d copies", name, n), Do: fmt.Sprintf("give a number from 0 to %d", maxCopies)}
		case fixed && n > 1:
			return nil, &control.Error{What: fmt.Sprintf("%d copies of %s cannot serve its one port", n, name),
				Do: fmt.Sprintf("leave port out of %s and use {port} in the command, or the variable PORT", manifest.Name)}
		case within && n < want:
			return nil, &control.Error{What: together, Do: fmt.Sprintf("scale it to %d or more, or hanse stop %s", max(1, want), u.name)}
		case within:
			return s.resizing(s.extra(u, name), n-want, progress), nil
		default:
			return s.resizing(u, n, progress), nil
		}
	}
	return nil, &control.Error{What: fmt.Sprintf("hanse dev knows no action %q", r.Action), Do: "it may be older than this command: start it again"}
}

func others(names []string, name string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == name })
}

func (s *supervisor) resizing(u *unit, n int, progress func(string), also ...*unit) func(context.Context) error {
	return func(ctx context.Context) error {
		resize := func(u *unit, n int) error {
			ctx, end, err := s.hold(ctx, u, true)
			if err != nil {
				return err
			}
			defer end()
			return s.resize(ctx, u, n, progress)
		}
		errs := make([]error, len(also))
		for i, e := range also {
			errs[i] = resize(e, 0)
		}
		return errors.Join(append(errs, resize(u, n))...)
	}
}

func (s *supervisor) restarting(units []*unit, progress func(string)) func(context.Context) error {
	return func(ctx context.Context) error {
		var errs []error
		for _, u := range units {
			errs = append(errs, func() error {
				ctx, end, err := s.hold(ctx, u, true)
				if err != nil {
					return err
				}
				defer end()
				return s.replace(ctx, u, progress)
			}())
		}
		return errors.Join(errs...)
	}
}
