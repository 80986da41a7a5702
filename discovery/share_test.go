package discovery_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/discoverytest"
)

// counted counts the watches of a registry.
type counted struct {
	discovery.Registrar
	running, begun atomic.Int32
}

func (c *counted) Watch(ctx context.Context, service string, notify func([]discovery.Instance)) error {
	c.begun.Add(1)
	c.running.Add(1)
	defer c.running.Add(-1)
	return c.Registrar.Watch(ctx, service, notify)
}

// sharing is a Registrar whose watches are shared.
type sharing struct {
	discovery.Registry
	discovery.Registrar
}

func (s sharing) Watch(ctx context.Context, service string, notify func([]discovery.Instance)) error {
	return s.Registry.Watch(ctx, service, notify)
}

func TestShare(t *testing.T) {
	discoverytest.Run(t, func(t *testing.T) discovery.Registrar {
		mem := new(discovery.Memory)
		return sharing{discovery.Share(mem), mem}
	}, discoverytest.Limits{Peer: func(_ *testing.T, reg discovery.Registrar) discovery.Registrar { return reg }})
}

func TestShareWatchesOnce(t *testing.T) {
	source := &counted{Registrar: new(discovery.Memory)}
	reg := discovery.Share(source)
	var all []*discoverytest.Watcher
	for range 10 {
		w := discoverytest.Watch(t, reg, "cart")
		w.First()
		all = append(all, w)
	}
	discoverytest.Watch(t, reg, "catalog").First()
	if n := source.begun.Load(); n != 2 {
		t.Errorf("%d watches for two services", n)
	}
	for _, w := range all {
		w.Stop()
	}
	if n := source.running.Load(); n != 1 {
		t.Errorf("%d watches run after the last watcher of cart has left, want that of catalog", n)
	}
	discoverytest.Watch(t, reg, "cart").First()
	if n := source.begun.Load(); n != 3 {
		t.Errorf("%d watches were begun after cart was watched again, want 3", n)
	}
}

// A watcher that does not return delays nobody, and gets what is true then, not all that was.
func TestShareWithASlowWatcher(t *testing.T) {
	var mem discovery.Memory
	reg := discovery.Share(&mem)
	ctx, cancel := context.WithCancel(t.Context())
	busy, goOn, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	var snapshots []string
	go func() {
		ended <- reg.Watch(ctx, "cart", func(list []discovery.Instance) {
			if len(snapshots) == 0 {
				close(busy)
				<-goOn
			}
			snapshots = append(snapshots, fmt.Sprint(len(list)))
			if len(list) == 20 {
				cancel()
			}
		})
	}()
	<-busy
	w := discoverytest.Watch(t, reg, "cart")
	for i := range 20 {
		if _, err := mem.Register(t.Context(), discovery.Instance{Service: "cart", ID: fmt.Sprintf("c%02d", i), State: discovery.Ready}); err != nil {
			t.Fatal(err)
		}
		w.Until("the change is there", func(l []discovery.Instance) bool { return len(l) == i+1 })
	}
	close(goOn)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(snapshots); got != "[0 20]" {
		t.Errorf("the slow watcher saw %s instances, want none and then all", got)
	}
}

func TestShareOfABrokenOne(t *testing.T) {
	if err := discovery.Share(brokenRegistrar{}).Watch(t.Context(), "cart", func([]discovery.Instance) {}); err != errBroken {
		t.Errorf("%v, want that of the registry", err)
	}
}
