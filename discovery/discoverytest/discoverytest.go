// Package discoverytest is the suite that every registry passes.
//
// A driver's test is one call:
//
//	func TestRegistry(t *testing.T) {
//		discoverytest.Run(t, func(t *testing.T) discovery.Registrar { return newRegistry(t) }, discoverytest.Limits{})
//	}
//
// What a registry does not promise is said by a field of [Limits].
package discoverytest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery"
)

// Limits says what a registry does not promise, and how to reach it. The zero value promises everything, through one handle.
type Limits struct {
	// Peer opens another handle of the registry that reg is a handle of, as another process would. Nil: there are no others.
	Peer func(t *testing.T, reg discovery.Registrar) discovery.Registrar
	// NoAll says that watching the empty name finds nothing, for the registry cannot list services.
	NoAll bool
	// NoTaken says that a second instance with a taken ID is not refused.
	NoTaken bool
}

// Run tests a registry that instances can be announced in. Each call of open returns a fresh and empty one.
func Run(t *testing.T, open func(t *testing.T) discovery.Registrar, limits Limits) {
	s := &suite{open: open, limits: limits}
	for _, c := range []struct {
		name string
		test func(*testing.T)
	}{
		{"Empty", s.empty},
		{"Scope", s.scope},
		{"RegisterThenWatch", s.registerThenWatch},
		{"WatchThenRegister", s.watchThenRegister},
		{"EveryField", s.everyField},
		{"Update", s.update},
		{"UpdateOfAnother", s.updateOfAnother},
		{"Close", s.close},
		{"Services", s.services},
		{"All", s.all},
		{"Taken", s.taken},
		{"IDAgain", s.idAgain},
		{"Malformed", s.malformed},
		{"WatchEnds", s.watchEnds},
		{"SnapshotsAreTheCallees", s.snapshots},
		{"Many", s.many},
		{"Peer", s.peer},
	} {
		t.Run(c.name, c.test)
	}
}

type suite struct {
	open   func(t *testing.T) discovery.Registrar
	limits Limits
}

func (s *suite) empty(t *testing.T) {
	w := Watch(t, s.open(t), "cart")
	if first := w.First(); len(first) != 0 {
		t.Errorf("first snapshot of an empty registry: %v", first)
	}
}

func (s *suite) scope(t *testing.T) {
	switch scope := s.open(t).Scope(); scope {
	case discovery.ScopeProcess, discovery.ScopeHost, discovery.ScopeNetwork:
	default:
		t.Errorf("unknown scope %v", scope)
	}
}

func (s *suite) registerThenWatch(t *testing.T) {
	reg := s.open(t)
	Register(t, reg, instance("cart", "c1"))
	Watch(t, reg, "cart").Until("c1 is there", IDs("c1"))
}

func (s *suite) watchThenRegister(t *testing.T) {
	reg := s.open(t)
	w := Watch(t, reg, "cart")
	w.First()
	Register(t, reg, instance("cart", "c1"))
	w.Until("c1 is there", IDs("c1"))
	Register(t, reg, instance("cart", "c2"))
	w.Until("c1 and c2 are there", IDs("c1", "c2"))
}

func (s *suite) everyField(t *testing.T) {
	reg := s.open(t)
	want := discovery.Instance{
		Service: "cart", ID: "c1-0.a_B", Version: "v1.2.3", State: discovery.Starting,
		Endpoints: []string{"unix:///run/x.sock", "tcp://[::1]:8443"},
		Host:      "h1", Authority: "cart.example.com", Zone: "eu-1", Weight: 7, PID: 4711, Admin: "127.0.0.1:9090",
		Started:   time.Date(2026, 2, 3, 4, 5, 6, 789000000, time.UTC),
		Contracts: []discovery.Contract{{Name: "shop.cart.v1.CartService", Hash: "abc"}, {Name: "shop.x.v1.X", Hash: "def"}},
		Metadata:  map[string]string{"colour": "grün", "empty": "", "quote": "a\"b\nc"},
	}
	Register(t, reg, want)
	got := Watch(t, reg, "cart").Until("the instance is there", IDs(want.ID))[0]
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func (s *suite) update(t *testing.T) {
	reg := s.open(t)
	inst := instance("cart", "c1")
	inst.State = discovery.Starting
	lease := Register(t, reg, inst)
	w := Watch(t, reg, "cart")
	for _, state := range []discovery.State{discovery.Starting, discovery.Ready, discovery.Draining} {
		inst.State = state
		inst.Metadata = map[string]string{"state": string(state)}
		if err := lease.Update(t.Context(), inst); err != nil {
			t.Fatal(err)
		}
		w.Until("c1 is "+string(state), func(l []discovery.Instance) bool {
			return len(l) == 1 && l[0].State == state && l[0].Metadata["state"] == string(state)
		})
	}
}

func (s *suite) updateOfAnother(t *testing.T) {
	reg := s.open(t)
	lease := Register(t, reg, instance("cart", "c1"))
	for _, inst := range []discovery.Instance{instance("cart", "c2"), instance("catalog", "c1"), {Service: "cart", ID: "c1", State: "dancing"}} {
		if err := lease.Update(t.Context(), inst); err == nil {
			t.Errorf("update of c1 of cart by %s of %s (%s): no error", inst.ID, inst.Service, inst.State)
		}
	}
	Watch(t, reg, "").Until("c1 is as it was", func(l []discovery.Instance) bool {
		return s.limits.NoAll || len(l) == 1 && l[0].Service == "cart" && l[0].ID == "c1" && l[0].State == discovery.Ready
	})
}

func (s *suite) close(t *testing.T) {
	reg := s.open(t)
	w := Watch(t, reg, "cart")
	c1 := Register(t, reg, instance("cart", "c1"))
	Register(t, reg, instance("cart", "c2"))
	w.Until("both are there", IDs("c1", "c2"))
	for range 2 {
		if err := c1.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	w.Until("only c2 is there", IDs("c2"))
	if err := c1.Update(t.Context(), instance("cart", "c1")); !errors.Is(err, discovery.ErrClosed) {
		t.Errorf("Update after Close: %v, want ErrClosed", err)
	}
}

func (s *suite) services(t *testing.T) {
	reg := s.open(t)
	cart, car := Watch(t, reg, "cart"), Watch(t, reg, "car")
	Register(t, reg, instance("cart", "c1"))
	Register(t, reg, instance("car", "c2"))
	Register(t, reg, instance("cart-x", "c3"))
	cart.Until("cart has c1", IDs("c1"))
	car.Until("car has c2", IDs("c2"))
}

func (s *suite) all(t *testing.T) {
	if s.limits.NoAll {
		t.Skip("this registry cannot list services")
	}
	reg := s.open(t)
	w := Watch(t, reg, "")
	Register(t, reg, instance("cart", "c1"))
	lease := Register(t, reg, instance("catalog", "c2"))
	w.Until("both are there", IDs("c1", "c2"))
	if err := lease.Close(); err != nil {
		t.Fatal(err)
	}
	w.Until("c1 is left", IDs("c1"))
}

func (s *suite) taken(t *testing.T) {
	if s.limits.NoTaken {
		t.Skip("this registry does not refuse a taken ID")
	}
	reg := s.open(t)
	lease := Register(t, reg, instance("cart", "c1"))
	for range 3 {
		if _, err := reg.Register(t.Context(), instance("catalog", "c1")); !errors.Is(err, discovery.ErrTaken) {
			t.Fatalf("second c1: %v, want ErrTaken", err)
		}
	}
	if err := lease.Update(t.Context(), instance("cart", "c1")); err != nil {
		t.Errorf("the first c1 lost its lease: %v", err)
	}
	Watch(t, reg, "cart").Until("c1 is there", IDs("c1"))
}

func (s *suite) idAgain(t *testing.T) {
	reg := s.open(t)
	for range 5 {
		lease := Register(t, reg, instance("cart", "c1"))
		Watch(t, reg, "cart").Until("c1 is there", IDs("c1"))
		if err := lease.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *suite) malformed(t *testing.T) {
	reg := s.open(t)
	for _, inst := range []discovery.Instance{
		{},
		{Service: "Cart", ID: "c1", State: discovery.Ready},
		{Service: "cart", State: discovery.Ready},
		{Service: "cart", ID: "../c1", State: discovery.Ready},
		{Service: "cart", ID: "c1"},
	} {
		if lease, err := reg.Register(t.Context(), inst); err == nil {
			t.Errorf("Register(%+v): no error", inst)
			lease.Close()
		}
	}
	if err := reg.Watch(t.Context(), "no such/name", func([]discovery.Instance) {}); err == nil {
		t.Error("Watch of a malformed name: no error")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if lease, err := reg.Register(ended, instance("cart", "c1")); err == nil {
		t.Error("Register with a context that has ended: no error")
		lease.Close()
	}
}

func (s *suite) watchEnds(t *testing.T) {
	reg := s.open(t)
	Register(t, reg, instance("cart", "c1"))
	for range 3 { // the last watcher's end must not be the registry's
		w := Watch(t, reg, "cart")
		w.Until("c1 is there", IDs("c1"))
		w.Stop()
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := reg.Watch(ended, "cart", func([]discovery.Instance) {}); err != nil {
		t.Errorf("Watch with a context that has ended: %v, want nil", err)
	}
}

func (s *suite) snapshots(t *testing.T) {
	reg := s.open(t)
	inst := instance("cart", "c1")
	inst.Metadata = map[string]string{"colour": "red"}
	lease := Register(t, reg, inst)
	inst.Metadata["colour"] = "blue" // what was announced is not shared with the announcer
	spoil := Watch(t, reg, "cart").Until("c1 is there", IDs("c1"))
	spoil[0].ID, spoil[0].Endpoints[0] = "spoiled", "spoiled"
	spoil[0].Metadata["colour"] = "spoiled"
	got := Watch(t, reg, "cart").Until("c1 is there", IDs("c1"))[0]
	if got.Metadata["colour"] != "red" || got.Endpoints[0] != inst.Endpoints[0] {
		t.Errorf("another watcher's copy was changed: %+v", got)
	}
	if err := lease.Close(); err != nil {
		t.Fatal(err)
	}
}

func (s *suite) many(t *testing.T) {
	const n = 50
	reg := s.open(t)
	var watchers []*Watcher[discovery.Instance]
	for range 5 {
		watchers = append(watchers, Watch(t, reg, "cart"))
	}
	leases := make([]discovery.Lease, n)
	var want []string
	var wg sync.WaitGroup
	for i := range n {
		want = append(want, fmt.Sprintf("c%02d", i))
		wg.Go(func() {
			lease, err := reg.Register(t.Context(), instance("cart", fmt.Sprintf("c%02d", i)))
			if err != nil {
				t.Error(err)
				return
			}
			leases[i] = lease
			inst := instance("cart", fmt.Sprintf("c%02d", i))
			inst.State = discovery.Draining
			if err := lease.Update(t.Context(), inst); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	for _, w := range watchers {
		w.Until("all are there and draining", func(l []discovery.Instance) bool {
			return IDs(want...)(l) && !slices.ContainsFunc(l, func(i discovery.Instance) bool { return i.State != discovery.Draining })
		})
	}
	for _, lease := range leases {
		wg.Go(func() {
			if err := lease.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, w := range watchers {
		w.Until("none is left", IDs())
	}
}

func (s *suite) peer(t *testing.T) {
	if s.limits.Peer == nil {
		t.Skip("this registry has no other handles")
	}
	here := s.open(t)
	there := s.limits.Peer(t, here)
	w := Watch(t, there, "cart")
	w.First()
	lease := Register(t, here, instance("cart", "c1"))
	w.Until("the peer sees c1", IDs("c1"))
	Register(t, there, instance("cart", "c2"))
	Watch(t, here, "cart").Until("both see both", IDs("c1", "c2"))
	if !s.limits.NoTaken {
		if _, err := there.Register(t.Context(), instance("cart", "c1")); !errors.Is(err, discovery.ErrTaken) {
			t.Errorf("c1 from the peer: %v, want ErrTaken", err)
		}
	}
	if err := lease.Close(); err != nil {
		t.Fatal(err)
	}
	w.Until("the peer sees c2 alone", IDs("c2"))
}

// RunReadOnly tests a registry that only tells. Each call of open returns one in which each service of the map has one instance at
// each of its addresses, which are host:port with IP addresses.
func RunReadOnly(t *testing.T, open func(t *testing.T, services map[string][]string) discovery.Registry, limits Limits) {
	services := map[string][]string{"cart": {"127.0.0.1:8443", "127.0.0.2:8443"}, "catalog": {"127.0.0.3:8443"}}
	have := func(addrs ...string) func([]discovery.Instance) bool {
		return func(l []discovery.Instance) bool {
			var got []string
			for _, inst := range l {
				if inst.State == discovery.Ready && !inst.Announced() && len(inst.Endpoints) == 1 {
					got = append(got, inst.Endpoints[0])
				}
			}
			slices.Sort(got)
			return len(got) == len(l) && slices.Equal(got, addrs)
		}
	}
	t.Run("Instances", func(t *testing.T) {
		reg := open(t, services)
		list := Watch(t, reg, "cart").Until("cart has two", have("tcp://127.0.0.1:8443", "tcp://127.0.0.2:8443"))
		for _, inst := range list {
			if inst.Service != "cart" {
				t.Errorf("instance of %q: %+v", inst.Service, inst)
			}
		}
		Watch(t, reg, "catalog").Until("catalog has one", have("tcp://127.0.0.3:8443"))
	})
	t.Run("UnknownService", func(t *testing.T) {
		if first := Watch(t, open(t, services), "payment").First(); len(first) != 0 {
			t.Errorf("instances of a service that is not there: %v", first)
		}
	})
	t.Run("All", func(t *testing.T) {
		w := Watch(t, open(t, services), "")
		if limits.NoAll {
			if first := w.First(); len(first) != 0 {
				t.Errorf("all instances: %v; then NoAll is wrong", first)
			}
			return
		}
		w.Until("three instances are there", have("tcp://127.0.0.1:8443", "tcp://127.0.0.2:8443", "tcp://127.0.0.3:8443"))
	})
	t.Run("Malformed", func(t *testing.T) {
		if err := open(t, services).Watch(t.Context(), "no such/name", func([]discovery.Instance) {}); err == nil {
			t.Error("Watch of a malformed name: no error")
		}
	})
	t.Run("WatchEnds", func(t *testing.T) {
		reg := open(t, services)
		w := Watch(t, reg, "cart")
		w.First()
		w.Stop()
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := reg.Watch(ended, "cart", func([]discovery.Instance) {}); err != nil {
			t.Errorf("Watch with a context that has ended: %v, want nil", err)
		}
	})
	t.Run("SnapshotsAreTheCallees", func(t *testing.T) {
		reg := open(t, services)
		spoil := Watch(t, reg, "catalog").Until("catalog has one", have("tcp://127.0.0.3:8443"))
		spoil[0].Endpoints[0] = "spoiled"
		Watch(t, reg, "catalog").Until("catalog has one", have("tcp://127.0.0.3:8443"))
	})
}

func instance(service, id string) discovery.Instance { return Instance(service, id, discovery.Ready) }
