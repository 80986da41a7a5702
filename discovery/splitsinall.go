package discovery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// WatchSplits implements [Splitter]: the rules of a service are those of the first registry that has some.
func (f first) WatchSplits(ctx context.Context, service string, notify func([]Split)) error {
	if err := checkWatch(service); err != nil {
		return err
	}
	var splitters []Splitter
	for _, r := range f {
		if s, ok := r.(Splitter); ok {
			splitters = append(splitters, s)
		}
	}
	return watchFirstSplits(ctx, splitters, service, notify)
}

// SetSplit implements [Splitter]. The rules are set in all that can hold them, for there are callers that know only one.
func (f first) SetSplit(ctx context.Context, split Split) error {
	held := false
	var errs []error
	for _, r := range f {
		s, ok := r.(Splitter)
		if !ok {
			continue
		}
		err := s.SetSplit(ctx, split)
		if errors.Is(err, errors.ErrUnsupported) {
			continue
		}
		held = true
		errs = append(errs, err)
	}
	if !held {
		return noSplits(f)
	}
	return errors.Join(errs...)
}

// noSplits is the error for rules that r cannot hold.
func noSplits(r Registry) error {
	return fmt.Errorf("discovery: the registry %v cannot hold split rules: %w", r, errors.ErrUnsupported)
}

// watchFirstSplits tells, for each service, the rules of the first that has some. Like watchSources it waits for those before one that has
// spoken.
func watchFirstSplits(ctx context.Context, splitters []Splitter, service string, notify func([]Split)) error {
	switch len(splitters) {
	case 0:
		notify(nil)
		<-ctx.Done()
		return nil
	case 1:
		return splitters[0].WatchSplits(ctx, service, notify)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		mu    sync.Mutex
		lists = make([][]Split, len(splitters))
		spoke = make([]bool, len(splitters))
		wg    sync.WaitGroup
		errs  = make([]error, len(splitters))
	)
	heard := func(i int, list []Split) {
		mu.Lock()
		defer mu.Unlock()
		lists[i], spoke[i] = list, true
		if slices.Contains(spoke[:i], false) {
			return
		}
		var told []Split
		for i, list := range lists {
			if !spoke[i] {
				break
			}
			for _, s := range list {
				if !slices.ContainsFunc(told, func(t Split) bool { return t.Service == s.Service }) {
					told = append(told, s.Clone())
				}
			}
		}
		notify(told)
	}
	for i, s := range splitters {
		wg.Go(func() {
			errs[i] = s.WatchSplits(ctx, service, func(list []Split) { heard(i, list) })
			if errs[i] != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// splitterOf returns the registry as one that holds rules, or one that has none.
func splitterOf(r Registry) Splitter {
	if s, ok := r.(Splitter); ok {
		return s
	}
	return first{r}
}

// WatchSplits implements [Splitter].
func (a *inAll) WatchSplits(ctx context.Context, service string, notify func([]Split)) error {
	return splitterOf(a.Registry).WatchSplits(ctx, service, notify)
}

// SetSplit implements [Splitter].
func (a *inAll) SetSplit(ctx context.Context, split Split) error {
	return splitterOf(a.Registry).SetSplit(ctx, split)
}

// WatchSplits implements [Splitter]. Nothing rules over a service that has a target: the caller says where it is, and that is all.
func (o *overridden) WatchSplits(ctx context.Context, service string, notify func([]Split)) error {
	if o.targets[service] != nil {
		notify(nil)
		<-ctx.Done()
		return nil
	}
	return splitterOf(o.base).WatchSplits(ctx, service, func(list []Split) {
		notify(slices.DeleteFunc(list, func(s Split) bool { return o.targets[s.Service] != nil }))
	})
}

// SetSplit implements [Splitter]: for callers that have no target.
func (o *overridden) SetSplit(ctx context.Context, split Split) error {
	return splitterOf(o.base).SetSplit(ctx, split)
}
