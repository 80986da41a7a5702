package discovery

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// splitBoard holds known splits and wakes those who watch one that changed. The zero value is an empty board.
type splitBoard struct {
	mu       sync.Mutex
	splits   map[string]Split // by service
	watchers map[*boardWatcher]struct{}
}

// set puts a split on the board in place of that of its service; one without rules takes it off.
func (b *splitBoard) set(s Split) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.splits == nil {
		b.splits = make(map[string]Split)
	}
	if s.Off() {
		delete(b.splits, s.Service)
	} else {
		b.splits[s.Service] = s
	}
	for w := range b.watchers {
		w.wake(s.Service)
	}
}

// watch is [Splitter.WatchSplits] on what the board holds.
func (b *splitBoard) watch(ctx context.Context, service string, notify func([]Split)) {
	w := &boardWatcher{service: service, changed: make(chan struct{}, 1)}
	b.mu.Lock()
	if b.watchers == nil {
		b.watchers = make(map[*boardWatcher]struct{})
	}
	b.watchers[w] = struct{}{}
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		delete(b.watchers, w)
		b.mu.Unlock()
	}()
	for {
		notify(b.snapshot(service))
		select {
		case <-ctx.Done():
			return
		case <-w.changed:
		}
	}
}

// snapshot returns copies of the service's splits, in order.
func (b *splitBoard) snapshot(service string) []Split {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []Split
	for _, name := range slices.Sorted(maps.Keys(b.splits)) {
		if service == "" || service == name {
			list = append(list, b.splits[name].Clone())
		}
	}
	return list
}
