package discoverytest

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery"
)

// History keeps all that a watch said, each time as [Format] writes it.
type History struct {
	mu        sync.Mutex
	snapshots []string
	more      chan struct{} // closed when there is more
}

// Remember watches a service until the test ends.
func Remember(t testing.TB, reg discovery.Registry, service string) *History {
	t.Helper()
	h := &History{more: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := reg.Watch(ctx, service, h.add); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return h
}

func (h *History) add(list []discovery.Instance) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.snapshots = append(h.snapshots, Format(list))
	close(h.more)
	h.more = make(chan struct{})
}

// Until returns when the last that was said is as wanted. The test fails when that is not so in 30 s.
func (h *History) Until(t testing.TB, want string) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		h.mu.Lock()
		last, more := slices.Clone(h.snapshots[max(0, len(h.snapshots)-1):]), h.more
		h.mu.Unlock()
		if slices.Equal(last, []string{want}) {
			return
		}
		select {
		case <-more:
		case <-deadline:
			t.Fatalf("not in 30 s: the watch says %q; it says %q", want, last)
		}
	}
}

// Never checks that, from the first snapshot with the text on, none lacks it.
func (h *History) Never(t testing.TB, lost string) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	has := func(s string) bool { return strings.Contains(s, lost) }
	first := max(0, slices.IndexFunc(h.snapshots, has))
	if slices.ContainsFunc(h.snapshots[first:], func(s string) bool { return !has(s) }) {
		t.Errorf("%s was lost for a while: %q", lost, h.snapshots)
	}
}

// Format writes the IDs and states of instances, such as "c1 ready, c2 draining".
func Format(list []discovery.Instance) string {
	var all []string
	for _, inst := range list {
		all = append(all, inst.ID+" "+string(inst.State))
	}
	return strings.Join(all, ", ")
}

// States returns a condition: these instances are there, in these states, and no others.
func States(want string) func([]discovery.Instance) bool {
	return func(list []discovery.Instance) bool { return Format(list) == want }
}

// IDs returns a condition: exactly these instances are there.
func IDs(want ...string) func([]discovery.Instance) bool {
	return func(l []discovery.Instance) bool {
		var got []string
		for _, inst := range l {
			got = append(got, inst.ID)
		}
		slices.Sort(got)
		return slices.Equal(got, want)
	}
}

// Instance returns one that can be announced.
func Instance(service, id string, state discovery.State) discovery.Instance {
	return discovery.Instance{Service: service, ID: id, State: state, Endpoints: []string{"tcp://127.0.0.1:8443"}}
}

// Register announces the instance until the test ends.
func Register(t testing.TB, reg discovery.Registrar, inst discovery.Instance) discovery.Lease {
	t.Helper()
	lease, err := reg.Register(t.Context(), inst)
	if err != nil {
		t.Fatalf("Register %s of %s: %v", inst.ID, inst.Service, err)
	}
	t.Cleanup(func() {
		if err := lease.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return lease
}
