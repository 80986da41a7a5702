package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/discoverytest"
)

func TestMergeIsARegistrar(t *testing.T) {
	discoverytest.Run(t, func(t *testing.T) discovery.Registrar {
		return discovery.Merge(new(discovery.Memory), discovery.Static(nil), new(discovery.Memory)).(discovery.Registrar)
	}, discoverytest.Limits{})
	discoverytest.RunReadOnly(t, func(_ *testing.T, services map[string][]string) discovery.Registry {
		return discovery.Merge(discovery.Static(services), discovery.Static(nil), discovery.Static{"cart": services["cart"][:1]})
	}, discoverytest.Limits{})
}

// While a system moves, some instances are in the old registry, some in the new one and some in both.
func TestMergeDuringAMove(t *testing.T) {
	var old, new discovery.Memory
	both := discovery.Merge(&new, &old).(discovery.Registrar)
	announce := func(reg discovery.Registrar, id string) discovery.Lease {
		t.Helper()
		lease, err := reg.Register(t.Context(), instance1(id, discovery.Ready))
		if err != nil {
			t.Fatal(err)
		}
		return lease
	}
	w := discoverytest.Watch(t, both, "cart")
	c1, c2, c3 := announce(&old, "c1"), announce(both, "c2"), announce(&new, "c3")
	w.Until("all are there, once", states("c1 ready, c2 ready, c3 ready"))
	discoverytest.Watch(t, &old, "cart").Until("who has not moved sees those of the old one", states("c1 ready, c2 ready"))

	if err := c2.Update(t.Context(), instance1("c2", discovery.Draining)); err != nil {
		t.Fatal(err)
	}
	w.Until("c2 drains", states("c1 ready, c2 draining, c3 ready"))
	for _, lease := range []discovery.Lease{c1, c2} {
		if err := lease.Close(); err != nil {
			t.Fatal(err)
		}
	}
	w.Until("the new one is left", states("c3 ready"))
	discoverytest.Watch(t, &old, "cart").Until("c2 has left the old one too", states(""))
	if err := c3.Close(); err != nil {
		t.Fatal(err)
	}
}

// What one registry has not heard yet does not take back what another has.
func TestMergeTakesTheLatestState(t *testing.T) {
	var a, b discovery.Memory
	w := discoverytest.Watch(t, discovery.Merge(&a, &b), "cart")
	for _, c := range []struct {
		reg   *discovery.Memory
		state discovery.State
	}{{&a, discovery.Ready}, {&b, discovery.Draining}} {
		lease, err := c.reg.Register(t.Context(), instance1("c1", c.state))
		if err != nil {
			t.Fatal(err)
		}
		defer lease.Close()
	}
	w.Until("c1 drains", states("c1 draining"))
}

// A service must not be taken for smaller than it is because a registry is slow to speak.
func TestMergeWaitsForAll(t *testing.T) {
	slow := slowRegistry{may: make(chan struct{}), list: discovery.Static{"cart": {"10.0.0.1:1"}}}
	spoke := make(chan struct{})
	quick := spokenRegistry{discovery.Static{"cart": {"10.0.0.2:1"}}, spoke}
	w := discoverytest.Watch(t, discovery.Merge(quick, slow), "cart")
	<-spoke
	close(slow.may)
	if first := w.First(); !endpoints("tcp://10.0.0.1:1", "tcp://10.0.0.2:1")(first) {
		t.Errorf("first snapshot: %v, want those of both", first)
	}
}

// blockedLease is one whose registry is away.
type blockedLease struct{}

func (blockedLease) Update(ctx context.Context, _ discovery.Instance) error {
	<-ctx.Done()
	return ctx.Err()
}
func (blockedLease) Close() error { return nil }

type awayRegistrar struct{ discovery.Static }

func (awayRegistrar) Scope() discovery.Scope { return discovery.ScopeNetwork }
func (awayRegistrar) Register(context.Context, discovery.Instance) (discovery.Lease, error) {
	return blockedLease{}, nil
}

// An instance that drains while one registry is away tells the other at once.
func TestUpdateWhileOneIsAway(t *testing.T) {
	for name, combine := range map[string]func(...discovery.Registry) discovery.Registry{"First": discovery.First, "Merge": discovery.Merge} {
		t.Run(name, func(t *testing.T) {
			var mem discovery.Memory
			lease, err := combine(awayRegistrar{}, &mem).(discovery.Registrar).Register(t.Context(), instance1("c1", discovery.Ready))
			if err != nil {
				t.Fatal(err)
			}
			defer lease.Close()
			ctx, cancel := context.WithCancel(t.Context())
			updated := make(chan error, 1)
			go func() { updated <- lease.Update(ctx, instance1("c1", discovery.Draining)) }()
			discoverytest.Watch(t, &mem, "cart").Until("c1 drains", states("c1 draining"))
			cancel()
			if err := <-updated; !errors.Is(err, context.Canceled) {
				t.Errorf("Update: %v, want that of the registry that is away", err)
			}
		})
	}
}

func TestMergeOfFew(t *testing.T) {
	if list := discoverytest.Watch(t, discovery.Merge(), "cart").First(); len(list) != 0 {
		t.Errorf("Merge of none: %v", list)
	}
	var mem discovery.Memory
	if discovery.Merge(&mem) != discovery.Registry(&mem) {
		t.Error("Merge of one is another")
	}
	reg := discovery.Merge(&mem, brokenRegistrar{}).(discovery.Registrar)
	if _, err := reg.Register(t.Context(), instance1("c1", discovery.Ready)); !errors.Is(err, errBroken) {
		t.Errorf("Register: %v, want that of the broken one", err)
	}
	if list := discoverytest.Watch(t, &mem, "").First(); len(list) != 0 {
		t.Errorf("announced in one of two: %v", list)
	}
	if got := fmt.Sprint(discovery.Merge(&mem, discovery.Static{"cart": {"a:1"}})); got != "memory: static:cart=a:1" {
		t.Errorf("String: %s", got)
	}
}

func instance1(id string, state discovery.State) discovery.Instance {
	return discovery.Instance{Service: "cart", ID: id, State: state, Endpoints: []string{"tcp://127.0.0.1:1"}}
}

// states returns a condition: exactly these instances are there, in these states.
func states(want string) func([]discovery.Instance) bool {
	return func(l []discovery.Instance) bool {
		var got string
		for i, inst := range l {
			if i > 0 {
				got += ", "
			}
			got += inst.ID + " " + string(inst.State)
		}
		return got == want
	}
}
