package discoverytest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery"
)

// Server is a real server of an engine, under the control of a test, which it ends with.
type Server interface {
	// Address is where clients reach it, also while it does not run.
	Address() string
	// Start starts it with what it has kept, and returns when it answers.
	Start()
	// Kill ends it as a crash does.
	Kill()
	// Wipe removes all that it has kept; it must not run.
	Wipe()
	// Open returns a new handle on a registry in it, as another process has it.
	Open(Handle) discovery.Registrar
	// Put puts records into the default system of the engine as they are, by names such as instances/cart/c1 and splits/cart.
	Put(records map[string]string)
	// Delete deletes, from the default system, what has the name and all below it. The empty name is all.
	Delete(name string)
}

// Handle says what a handle on a registry is like. The zero value is an ordinary one.
type Handle struct {
	System    string        // empty: the default
	TTL       time.Duration // how long an instance that died stays announced; 0: the registry's default
	Addresses []string      // of the servers, or ways there; none: the server's own
	Logger    *slog.Logger  // nil: of the test
}

// Engine says how to get servers of an engine whose instances have leases, for [RunFailures], [RunScale] and [BenchmarkChange].
type Engine struct {
	// New returns a server that does not run yet, or skips the test on a machine that has none.
	New func(t testing.TB) Server
	// NewCluster returns three that make one, and run.
	NewCluster func(t testing.TB) []Server
	// Advice is what an error says when no server answers.
	Advice string
}

// ttl is short enough to be waited for.
const ttl = 2 * time.Second

// RunFailures tests what a registry does when its engine fails. It runs the other suites, too.
func RunFailures(t *testing.T, engine Engine) {
	s := &failures{engine}
	for _, c := range []struct {
		name string
		test func(*testing.T)
	}{
		{"Registry", s.registry},
		{"Splits", s.splits},
		{"SplitsAfterARestart", s.splitsAfterARestart},
		{"KilledAndRestarted", s.killedAndRestarted},
		{"WipedAndRestarted", s.wipedAndRestarted},
		{"WipedByHand", s.wipedByHand},
		{"CutOffForAMoment", s.cutOffForAMoment},
		{"LeaseExpiredWhileCutOff", s.leaseExpiredWhileCutOff},
		{"AllCutOff", s.allCutOff},
		{"AwayAgain", func(t *testing.T) { s.awayAgain(t, false) }},
		{"SilentAgain", func(t *testing.T) { s.awayAgain(t, true) }},
		{"AwayAtFirst", s.awayAtFirst},
		{"CloseWhileAway", s.closeWhileAway},
		{"ForeignRecords", s.foreignRecords},
		{"Move", s.move},
		{"MembersLost", s.membersLost},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t)
		})
	}
}

type failures struct{ engine Engine }

func (s *failures) start(t *testing.T) Server {
	t.Helper()
	server := s.engine.New(t)
	server.Start()
	return server
}

// announce announces an instance of cart until the test ends.
func announce(t *testing.T, reg discovery.Registrar, id string, state discovery.State) discovery.Lease {
	t.Helper()
	lease, err := reg.Register(t.Context(), Instance("cart", id, state))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lease.Close() }) // the server may be gone
	return lease
}

func update(t *testing.T, lease discovery.Lease, id string, state discovery.State) {
	t.Helper()
	if err := lease.Update(t.Context(), Instance("cart", id, state)); err != nil {
		t.Fatal(err)
	}
}

// now returns the instances of cart as a client sees them that knew nothing before.
func now(t *testing.T, server Server) (list string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := server.Open(Handle{TTL: ttl}).Watch(ctx, "cart", func(l []discovery.Instance) { list = Format(l); cancel() }); err != nil {
		t.Error(err)
	}
	return list
}

func (s *failures) registry(t *testing.T) {
	server := s.start(t)
	var systems atomic.Int32
	peer := func(*testing.T, discovery.Registrar) discovery.Registrar {
		return server.Open(Handle{System: fmt.Sprintf("system-%d", systems.Load())})
	}
	Run(t, func(t *testing.T) discovery.Registrar {
		systems.Add(1)
		return peer(t, nil)
	}, Limits{Peer: peer})
}

func (s *failures) splits(t *testing.T) {
	server := s.start(t)
	var systems atomic.Int32
	peer := func(*testing.T, discovery.Splitter) discovery.Splitter {
		return server.Open(Handle{System: fmt.Sprintf("system-%d", systems.Load())}).(discovery.Splitter)
	}
	RunSplits(t, func(t *testing.T) discovery.Splitter {
		systems.Add(1)
		return peer(t, nil)
	}, SplitLimits{Peer: peer})
}

// Rules outlive their server's process, and what is written meanwhile is heard of.
func (s *failures) splitsAfterARestart(t *testing.T) {
	server := s.start(t)
	open := func() discovery.Splitter { return server.Open(Handle{TTL: ttl}).(discovery.Splitter) }
	reg := open()
	one, all := WatchSplits(t, reg, "cart"), WatchSplits(t, reg, "")
	both := func(what string, want ...discovery.Split) {
		t.Helper()
		one.Until(what, isSplit(want...))
		all.Until(what, isSplit(want...))
	}
	set(t, reg, split("cart", 5))
	both("it is there", split("cart", 5))
	server.Kill()
	server.Start()
	set(t, open(), split("cart", 50))
	both("it changed", split("cart", 50))
	server.Put(map[string]string{"splits/cart": "no record"})
	set(t, open(), split("other", 7))
	all.Until("the other is there, and what was known stays", isSplit(split("cart", 50), split("other", 7)))
	server.Kill()
	server.Wipe()
	server.Start()
	both("it is lost")
	set(t, reg, split("cart", 1))
	both("it is there again", split("cart", 1))
}

// While the engine is dead the last known instances stay, and nothing flaps when it is back.
func (s *failures) killedAndRestarted(t *testing.T) {
	server := s.start(t)
	open := func() discovery.Registrar { return server.Open(Handle{TTL: ttl}) }
	announce(t, open(), "c1", discovery.Ready)
	watching := open()
	h := Remember(t, watching, "cart")
	h.Until(t, "c1 ready")

	server.Kill()
	late := Watch(t, watching, "cart") // who comes late is told what is known
	late.Until("c1 is told while the server is dead", States("c1 ready"))
	<-time.After(ttl + time.Second) // leases stand still while it is dead
	server.Start()

	announce(t, open(), "c2", discovery.Ready)
	h.Until(t, "c1 ready, c2 ready")
	late.Until("both are there", States("c1 ready, c2 ready"))
	<-time.After(2 * ttl) // c1's lease was kept alive, else it would have ended
	if got := now(t, server); got != "c1 ready, c2 ready" {
		t.Errorf("in the engine: %q", got)
	}
	h.Never(t, "c1 ready")
}

// After a wipe instances announce themselves again. Watchers lose none that lives, and forget one that does not.
func (s *failures) wipedAndRestarted(t *testing.T) {
	server := s.start(t)
	open := func() discovery.Registrar { return server.Open(Handle{TTL: ttl}) }
	gate := NewGate(t, server.Address())
	announce(t, server.Open(Handle{TTL: ttl, Addresses: []string{gate.Address}}), "c0", discovery.Ready)
	announce(t, open(), "c1", discovery.Ready)
	update(t, announce(t, open(), "c2", discovery.Starting), "c2", discovery.Draining)
	for i := range 50 { // a server that was wiped has seen less than its clients
		server.Put(map[string]string{"elsewhere": fmt.Sprint(i)})
	}
	h := Remember(t, open(), "cart")
	h.Until(t, "c0 ready, c1 ready, c2 draining")

	server.Kill()
	gate.Shut() // c0 never comes back
	server.Wipe()
	server.Start()
	began := time.Now()
	// One handle looks: with some engines each new one would bring the server nearer to where its clients were.
	Remember(t, open(), "cart").Until(t, "c1 ready, c2 draining")
	t.Logf("announced again %v after the wipe", time.Since(began).Round(time.Millisecond))
	h.Until(t, "c1 ready, c2 draining")
	announce(t, open(), "c3", discovery.Ready)
	h.Until(t, "c1 ready, c2 draining, c3 ready") // changes are followed again
	h.Never(t, "c1 ready")
}

// Who deletes records by hand may delete one after the other, which looks like instances that end. They are back at once. One who watches was
// there before anybody.
func (s *failures) wipedByHand(t *testing.T) {
	server := s.start(t)
	open := func() discovery.Registrar { return server.Open(Handle{TTL: ttl}) }
	early := open()
	Watch(t, early, "other").Until("nobody is there", States(""))
	announce(t, open(), "c1", discovery.Ready)
	lease := announce(t, open(), "c2", discovery.Ready)
	one, all, first := Remember(t, open(), "cart"), Remember(t, open(), ""), Remember(t, early, "cart")
	one.Until(t, "c1 ready, c2 ready")
	all.Until(t, "c1 ready, c2 ready")
	first.Until(t, "c1 ready, c2 ready")
	for range 3 {
		server.Delete("")
		Eventually(t, "both are in the engine again", func() bool { return now(t, server) == "c1 ready, c2 ready" })
	}
	if err := lease.Close(); err != nil {
		t.Fatal(err)
	}
	one.Until(t, "c1 ready") // changes are followed again
	all.Until(t, "c1 ready")
	first.Until(t, "c1 ready")
}

// A watcher that was cut off for less than the time of a lease is told of what it missed.
func (s *failures) cutOffForAMoment(t *testing.T) {
	server := s.start(t)
	gate := NewGate(t, server.Address())
	owners := server.Open(Handle{TTL: ttl})
	gone := announce(t, owners, "c0", discovery.Draining)
	c1 := announce(t, owners, "c1", discovery.Starting)
	h := Remember(t, server.Open(Handle{Addresses: []string{gate.Address}}), "cart")
	h.Until(t, "c0 draining, c1 starting")
	for range 3 {
		gate.Shut()
		if err := gone.Close(); err != nil {
			t.Fatal(err)
		}
		update(t, c1, "c1", discovery.Ready)
		gone = announce(t, owners, "c2", discovery.Draining)
		gate.Open()
		h.Until(t, "c1 ready, c2 draining")
		update(t, c1, "c1", discovery.Starting)
		h.Until(t, "c1 starting, c2 draining")
	}
}

// An instance that was cut off for longer than its lease is dropped by others, and is back when it is reached again.
func (s *failures) leaseExpiredWhileCutOff(t *testing.T) {
	server := s.start(t)
	gate := NewGate(t, server.Address())
	lease := announce(t, server.Open(Handle{TTL: ttl, Addresses: []string{gate.Address}}), "c1", discovery.Ready)
	h := Remember(t, server.Open(Handle{TTL: ttl}), "cart")
	h.Until(t, "c1 ready")
	gate.Shut()
	h.Until(t, "")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := lease.Update(ctx, Instance("cart", "c1", discovery.Draining))
	if err == nil || !strings.Contains(err.Error(), s.engine.Advice) || !strings.Contains(err.Error(), "c1 of cart") {
		t.Errorf("Update while cut off: %v", err)
	}
	gate.Open()
	h.Until(t, "c1 draining") // what could not be told is told
}

// A watcher that was cut off while all the others were too, for longer than their leases, keeps them until they are back.
func (s *failures) allCutOff(t *testing.T) {
	server := s.start(t)
	gate := NewGate(t, server.Address())
	through := func() discovery.Registrar { return server.Open(Handle{TTL: ttl, Addresses: []string{gate.Address}}) }
	for i := range 5 {
		announce(t, through(), fmt.Sprintf("c%d", i), discovery.Ready)
	}
	h := Remember(t, through(), "cart")
	const all = "c0 ready, c1 ready, c2 ready, c3 ready, c4 ready"
	h.Until(t, all)
	outside := Remember(t, server.Open(Handle{TTL: ttl}), "cart")
	outside.Until(t, all)
	gate.Shut()
	outside.Until(t, "") // the leases have ended
	gate.Open()
	outside.Until(t, all)
	h.Until(t, all)
	h.Never(t, all)
}

// The engine loses what it knew, and is away again before an instance has announced itself again: watchers keep the instance, and forget one that
// does not come back after that. With silent, it does not answer watchers, whose connections do not break.
func (s *failures) awayAgain(t *testing.T, silent bool) {
	const ttl = 2 * ttl // so much time is there for c1 to come back
	server := s.start(t)
	watching, announcing, dead := NewGate(t, server.Address()), NewGate(t, server.Address()), NewGate(t, server.Address())
	through := func(gate *Gate) discovery.Registrar {
		return server.Open(Handle{TTL: ttl, Addresses: []string{gate.Address}})
	}
	announce(t, through(dead), "c0", discovery.Ready)
	announce(t, through(announcing), "c1", discovery.Ready)
	for i := range 50 { // a server that was wiped has seen less than its clients
		server.Put(map[string]string{"elsewhere": fmt.Sprint(i)})
	}
	h := Remember(t, through(watching), "cart")
	h.Until(t, "c0 ready, c1 ready")

	server.Kill()
	dead.Shut()
	announcing.Shut()
	server.Wipe()
	server.Start()
	announce(t, server.Open(Handle{TTL: ttl}), "c2", discovery.Ready)
	h.Until(t, "c0 ready, c1 ready, c2 ready")
	if silent {
		watching.Hold()
	} else {
		server.Kill()
	}
	<-time.After(ttl + 3*time.Second) // nobody stays for longer after the first time
	h.Never(t, "c0 ready, c1 ready")
	announcing.Open()
	if silent {
		watching.Open()
	} else {
		server.Start()
	}
	h.Until(t, "c1 ready, c2 ready")
	h.Never(t, "c1 ready")
}

// A program may start before the engine does. Who watches hears that nothing is known, and who announces is told what to do.
func (s *failures) awayAtFirst(t *testing.T) {
	server := s.engine.New(t)
	reg := server.Open(Handle{System: "shop"})
	w := Watch(t, reg, "cart")
	if first := w.First(); len(first) != 0 {
		t.Errorf("instances of a server that does not run: %v", first)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := reg.Register(ctx, Instance("cart", "c1", discovery.Ready))
	want := fmt.Sprintf("announce c1 of cart in %v: context deadline exceeded: %s", reg, s.engine.Advice)
	if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), "\n", ": "), want) || !strings.Contains(want, server.Address()) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Register: %v, want %s", err, want)
	}
	server.Start()
	announce(t, reg, "c1", discovery.Ready)
	w.Until("c1 is there", States("c1 ready"))
}

// A lease that cannot be withdrawn is an error that says when it ends, and it does, also when others of its handle go on.
func (s *failures) closeWhileAway(t *testing.T) {
	server := s.start(t)
	reg := server.Open(Handle{TTL: ttl})
	announce(t, reg, "c2", discovery.Ready)
	lease := announce(t, reg, "c1", discovery.Ready)
	server.Kill()
	if err := lease.Close(); err == nil || !strings.Contains(err.Error(), "withdraw c1 of cart") || !strings.Contains(err.Error(), "it vanishes") || !strings.Contains(err.Error(), ttl.String()) {
		t.Errorf("Close: %v", err)
	}
	if err := lease.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	server.Start()
	Watch(t, server.Open(Handle{TTL: ttl}), "cart").Until("c1 is gone", States("c2 ready"))
}

// Records that cannot be understood are passed over, with a line that names them.
func (s *failures) foreignRecords(t *testing.T) {
	server := s.start(t)
	var log Log
	w := Watch(t, server.Open(Handle{Logger: log.Logger()}), "")
	w.First()
	newer := `{"record":1,"service":"cart","instance":"c9","state":"ready","colour":"red"}`
	server.Put(map[string]string{
		"instances/Not-A-Name/c0": "no record", "instances/cart/c1": "no record", "instances/cart/c2": `{"record":7}`,
		"instances/cart/c3": newer, "instances/cart/c9": newer,
	})
	w.Until("c9 is there", States("c9 ready"))
	for _, want := range []string{"instances/cart/c1", "newer version", "record of instance c9"} {
		log.Await(t, want)
	}
}

// A system that moves from another registry has all its instances on the way, and is told of what drains while the new one is away.
func (s *failures) move(t *testing.T) {
	server := s.start(t)
	var old discovery.Memory
	next := server.Open(Handle{TTL: ttl})
	both := discovery.Merge(next, &old).(discovery.Registrar)
	announce(t, &old, "c1", discovery.Ready)
	moving := announce(t, both, "c2", discovery.Ready)
	announce(t, next, "c3", discovery.Ready)
	h, left, moved := Remember(t, both, "cart"), Remember(t, &old, "cart"), Remember(t, next, "cart")
	h.Until(t, "c1 ready, c2 ready, c3 ready")
	left.Until(t, "c1 ready, c2 ready")
	moved.Until(t, "c2 ready, c3 ready")
	server.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := moving.Update(ctx, Instance("cart", "c2", discovery.Draining)); err == nil {
		t.Error("Update while the new one is away: no error")
	}
	h.Until(t, "c1 ready, c2 draining, c3 ready")
	left.Until(t, "c1 ready, c2 draining")
	server.Start()
	moved.Until(t, "c2 draining, c3 ready")
	if err := moving.Close(); err != nil {
		t.Fatal(err)
	}
	h.Until(t, "c1 ready, c3 ready")
	h.Never(t, "c1 ready")
	h.Never(t, "c3 ready")
}

// While a member of three is gone, whichever it is, changes are heard of; and while two are gone, the last known instances stay.
func (s *failures) membersLost(t *testing.T) {
	members := s.engine.NewCluster(t)
	var addresses []string
	for _, m := range members {
		addresses = append(addresses, m.Address())
	}
	open := func() discovery.Registrar { return members[0].Open(Handle{Addresses: slices.Clone(addresses)}) } // whose leases outlast an election
	lease := announce(t, open(), "c1", discovery.Starting)
	var all []*History
	for range 4 {
		all = append(all, Remember(t, open(), "cart"))
	}
	for i, lost := range members {
		lost.Kill()
		for _, state := range []discovery.State{discovery.Ready, discovery.Starting} {
			if err := lease.Update(t.Context(), Instance("cart", "c1", state)); err != nil {
				t.Fatalf("without member %d: %v", i, err)
			}
			for _, h := range all {
				h.Until(t, "c1 "+string(state))
			}
		}
		lost.Start()
	}
	members[0].Kill()
	members[1].Kill()
	<-time.After(2 * time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := lease.Update(ctx, Instance("cart", "c1", discovery.Ready)); err == nil {
		t.Error("Update without a majority: no error")
	}
	members[0].Start()
	for _, h := range all {
		h.Until(t, "c1 ready")
		h.Never(t, "c1")
	}
}
