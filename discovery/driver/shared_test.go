package driver_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/discovery/driver"
)

// sharing is a registry whose watches are shared, and counted.
type sharing struct {
	discovery.Memory
	shared         driver.Shared[discovery.Instance]
	running, begun atomic.Int32
}

func (s *sharing) Watch(ctx context.Context, service string, notify func([]discovery.Instance)) error {
	return s.shared.Watch(ctx, service, notify, func(ctx context.Context, service string, notify func([]discovery.Instance)) error {
		s.begun.Add(1)
		s.running.Add(1)
		defer s.running.Add(-1)
		return s.Memory.Watch(ctx, service, notify)
	})
}

func TestShared(t *testing.T) {
	discoverytest.Run(t, func(t *testing.T) discovery.Registrar { return new(sharing) },
		discoverytest.Limits{Peer: func(_ *testing.T, reg discovery.Registrar) discovery.Registrar { return reg }})
}

func TestSharedWatchesOnce(t *testing.T) {
	var reg sharing
	var all []*discoverytest.Watcher[discovery.Instance]
	for range 10 {
		w := discoverytest.Watch(t, &reg, "cart")
		w.First()
		all = append(all, w)
	}
	discoverytest.Watch(t, &reg, "catalog").First()
	if n := reg.begun.Load(); n != 2 {
		t.Errorf("%d watches for two services", n)
	}
	for _, w := range all {
		w.Stop()
	}
	if n := reg.running.Load(); n != 1 {
		t.Errorf("%d watches run after the last watcher of cart has left, want that of catalog", n)
	}
	discoverytest.Watch(t, &reg, "cart").First()
	if n := reg.begun.Load(); n != 3 {
		t.Errorf("%d watches were begun after cart was watched again, want 3", n)
	}
}

// A watcher that does not return delays nobody, and gets what is true then, not all that was.
func TestSharedWithASlowWatcher(t *testing.T) {
	var reg sharing
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
	w := discoverytest.Watch(t, &reg, "cart")
	for i := range 20 {
		if _, err := reg.Register(t.Context(), discovery.Instance{Service: "cart", ID: fmt.Sprintf("c%02d", i), State: discovery.Ready}); err != nil {
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

// What is said again is no news.
func TestSharedTellsNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared driver.Shared[discovery.Instance]
		say := make(chan []discovery.Instance)
		follow := func(ctx context.Context, _ string, notify func([]discovery.Instance)) error {
			for list := range say {
				notify(list)
			}
			return nil
		}
		told := ""
		ended := make(chan error, 1)
		go func() {
			ended <- shared.Watch(t.Context(), "cart", func(list []discovery.Instance) { told += fmt.Sprint(len(list)) }, follow)
		}()
		for _, list := range [][]discovery.Instance{nil, {}, {}, {{ID: "a"}}, {{ID: "a"}}, {{ID: "b"}}, {{ID: "b"}, {ID: "c"}}, nil} {
			say <- list
			synctest.Wait()
		}
		close(say)
		if err := <-ended; err != nil || told != "01120" {
			t.Errorf("%v; told of %s, want each change once", err, told)
		}
	})
}

func TestSharedOfABrokenOne(t *testing.T) {
	broken := errors.New("broken")
	err := new(driver.Shared[discovery.Instance]).Watch(t.Context(), "cart", nil, func(context.Context, string, func([]discovery.Instance)) error { return broken })
	if err != broken {
		t.Errorf("%v, want that of the registry", err)
	}
}
