package discovery

import (
	"context"
	"slices"
	"sync"
)

// board holds known instances and wakes those who watch a service that changed. The zero value is an empty board.
type board struct {
	mu        sync.Mutex
	instances map[string]Instance // by ID
	watchers  map[*boardWatcher]struct{}
}

type boardWatcher struct {
	service string        // empty: all
	changed chan struct{} // has room for one: changes that come together are one
}

// add puts a new instance on the board and reports whether its ID was free.
func (b *board) add(inst Instance) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, taken := b.instances[inst.ID]; taken {
		return false
	}
	b.setLocked(inst)
	return true
}

// set puts an instance on the board in place of the one with its ID.
func (b *board) set(inst Instance) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.setLocked(inst)
}

func (b *board) setLocked(inst Instance) {
	if b.instances == nil {
		b.instances = make(map[string]Instance)
	}
	b.instances[inst.ID] = inst
	b.wakeLocked(inst.Service)
}

// remove takes an instance off the board.
func (b *board) remove(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if inst, ok := b.instances[id]; ok {
		delete(b.instances, id)
		b.wakeLocked(inst.Service)
	}
}

func (b *board) wakeLocked(service string) {
	for w := range b.watchers {
		w.wake(service)
	}
}

// wake tells the watcher that something of the service changed.
func (w *boardWatcher) wake(service string) {
	if w.service == "" || w.service == service {
		select {
		case w.changed <- struct{}{}:
		default:
		}
	}
}

// watch is [Registry.Watch] on what the board holds.
func (b *board) watch(ctx context.Context, service string, notify func([]Instance)) {
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

// snapshot returns copies of the service's instances, in order.
func (b *board) snapshot(service string) []Instance {
	b.mu.Lock()
	var list []Instance
	for _, inst := range b.instances {
		if service == "" || service == inst.Service {
			list = append(list, inst.Clone())
		}
	}
	b.mu.Unlock()
	slices.SortFunc(list, compareInstances)
	return list
}
