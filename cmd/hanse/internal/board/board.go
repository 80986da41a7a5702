// Package board is what a registry knew last.
package board

import (
	"context"
	"strings"
	"sync"

	"github.com/hanse-go/hanse/cmd/hanse/internal/member"
	"github.com/hanse-go/hanse/dashboard"
	"github.com/hanse-go/hanse/discovery"
)

// Board is the last known content of a registry. The zero value is empty; its methods are safe for concurrent use.
type Board struct {
	mu        sync.Mutex
	instances []discovery.Instance
	changed   chan struct{} // closed at the next change
}

// Set replaces the instances. The board keeps the slice.
func (b *Board) Set(list []discovery.Instance) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.instances = list
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

// Get returns the instances and a channel that is closed when there are others.
func (b *Board) Get() ([]discovery.Instance, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changed == nil {
		b.changed = make(chan struct{})
	}
	return b.instances, b.changed
}

// Await waits until cond holds for the instances, and returns false when ctx or stop ended before.
func (b *Board) Await(ctx context.Context, stop <-chan struct{}, cond func([]discovery.Instance) bool) bool {
	for {
		list, changed := b.Get()
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

// Instance is an instance as the dashboard shows it.
func Instance(i discovery.Instance) dashboard.Instance {
	shown := dashboard.Instance{
		ID: i.ID, State: string(i.State), Version: i.Version, PID: i.PID, Host: i.Host, Zone: i.Zone, Endpoints: i.Endpoints, Admin: i.Admin,
		Metadata: i.Metadata, Command: i.Metadata[member.CommandLabel], Started: i.Started,
	}
	if shown.ID == "" {
		shown.ID = strings.Join(i.Endpoints, " ")
	}
	for _, c := range i.Contracts {
		shown.Contracts = append(shown.Contracts, c.Name)
	}
	return shown
}
