package dev

import (
	"context"
	"sync"

	"github.com/hanse-go/hanse/discovery"
)

// board is the last known content of the registry. The zero value is empty.
type board struct {
	mu        sync.Mutex
	instances []discovery.Instance
	changed   chan struct{} // closed at the next change
}

func (b *board) set(list []discovery.Instance) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.instances = list
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

// get returns the instances and a channel that is closed when there are others.
func (b *board) get() ([]discovery.Instance, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changed == nil {
		b.changed = make(chan struct{})
	}
	return b.instances, b.changed
}

// await waits until cond holds for the instances, and returns false when ctx or stop ended before.
func (b *board) await(ctx context.Context, stop <-chan struct{}, cond func([]discovery.Instance) bool) bool {
	for {
		list, changed := b.get()
		if cond(list) {
			return true
		}
		select {
		case <-changed:
		case <-stop:
			return false
		case <-ctx.Done():
			return false
		}
	}
}
