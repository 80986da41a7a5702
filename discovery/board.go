package discovery

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
)

// board holds what is known of services, such as their instances, and wakes those who watch one that changed. The zero value is an empty
// board.
type board[T posted[T]] struct {
	mu       sync.Mutex
	known    map[string]T // by the key of their place
	watchers map[*boardWatcher]struct{}
}

// posted is what a board holds.
type posted[T any] interface {
	Clone() T
	// place returns the service that it is about, and the key that it has on a board.
	place() (service, key string)
}

func (i Instance) place() (service, key string) { return i.Service, i.ID }

func (s Split) place() (service, key string) { return s.Service, s.Service }

type boardWatcher struct {
	service string        // empty: all
	changed chan struct{} // has room for one: changes that come together are one
}

// add puts something new on the board and reports whether its key was free.
func (b *board[T]) add(v T) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, key := v.place()
	if _, taken := b.known[key]; taken {
		return false
	}
	b.setLocked(v)
	return true
}

// set puts something on the board in place of what has its key.
func (b *board[T]) set(v T) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.setLocked(v)
}

func (b *board[T]) setLocked(v T) {
	if b.known == nil {
		b.known = make(map[string]T)
	}
	service, key := v.place()
	b.known[key] = v
	b.wakeLocked(service)
}

// remove takes what has the key off the board.
func (b *board[T]) remove(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if v, ok := b.known[key]; ok {
		delete(b.known, key)
		service, _ := v.place()
		b.wakeLocked(service)
	}
}

// wakeLocked tells who watches the service that something of it changed.
func (b *board[T]) wakeLocked(service string) {
	for w := range b.watchers {
		if w.service == "" || w.service == service {
			select {
			case w.changed <- struct{}{}:
			default:
			}
		}
	}
}

// watch is [Registry.Watch], or [Splitter.WatchSplits], on what the board holds.
func (b *board[T]) watch(ctx context.Context, service string, notify func([]T)) {
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

// snapshot returns copies of what is known of the service, in order.
func (b *board[T]) snapshot(service string) []T {
	b.mu.Lock()
	var list []T
	for _, v := range b.known {
		if of, _ := v.place(); service == "" || service == of {
			list = append(list, v.Clone())
		}
	}
	b.mu.Unlock()
	slices.SortFunc(list, func(a, b T) int {
		serviceA, keyA := a.place()
		serviceB, keyB := b.place()
		return cmp.Or(strings.Compare(serviceA, serviceB), strings.Compare(keyA, keyB))
	})
	return list
}
