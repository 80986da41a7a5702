//go:build unix

package zkdiscovery_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/discovery/zkdiscovery"
)

// history keeps all that a watch said.
type history struct {
	mu        sync.Mutex
	snapshots []string
}

// remember watches a service until the test ends.
func remember(t *testing.T, reg discovery.Registry, service string) *history {
	t.Helper()
	h := new(history)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := reg.Watch(ctx, service, func(l []discovery.Instance) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.snapshots = append(h.snapshots, format(l))
		}); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return h
}

func (h *history) last() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.snapshots) == 0 {
		return "nothing was said"
	}
	return h.snapshots[len(h.snapshots)-1]
}

// never checks that, from the first snapshot with the text on, none lacks it.
func (h *history) never(t *testing.T, text string) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	seen := false
	for _, s := range h.snapshots {
		if has := strings.Contains(s, text); seen && !has {
			t.Errorf("%s was lost for a while: %q", text, h.snapshots)
			return
		} else if has {
			seen = true
		}
	}
}

func (h *history) until(t *testing.T, want string) {
	t.Helper()
	eventually(t, "the watch says "+want, func() bool { return h.last() == want })
}

var short = zkdiscovery.Options{SessionTimeout: 2 * time.Second}

// While ZooKeeper is dead the last known instances stay, and nothing flaps when it is back.
func TestKilledAndRestarted(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	register(t, server.registry(short), instance("cart", "c1", discovery.Ready))
	watching := server.registry(short)
	h := remember(t, watching, "cart")
	h.until(t, "c1 ready")

	server.kill()
	late := discoverytest.Watch(t, watching, "cart") // who comes late is told what is known
	late.Until("c1 is told while ZooKeeper is dead", states("c1 ready"))
	<-time.After(short.SessionTimeout + time.Second) // sessions stand still while ZooKeeper is dead
	server.start()

	register(t, server.registry(short), instance("cart", "c2", discovery.Ready))
	h.until(t, "c1 ready, c2 ready")
	late.Until("both are there", states("c1 ready, c2 ready"))
	<-time.After(2 * short.SessionTimeout) // c1's session lives, else it would have ended
	if got := inZooKeeper(t, server, short, "cart"); got != "c1 ready, c2 ready" {
		t.Errorf("in ZooKeeper: %q", got)
	}
	h.never(t, "c1 ready")
}

// inZooKeeper returns the service's instances as a client sees them that knew nothing before.
func inZooKeeper(t *testing.T, s *server, opts zkdiscovery.Options, service string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	var list string
	if err := s.registry(opts).Watch(ctx, service, func(l []discovery.Instance) { list = format(l); cancel() }); err != nil {
		t.Error(err)
	}
	return list
}

// through returns a registry whose connections go through a gate.
func through(t *testing.T, g *gate) *zkdiscovery.Registry {
	return zkdiscovery.New([]string{g.lis.Addr().String()}, logged(t, short))
}

// deleteAll deletes a node and all below it, as an operator does.
func deleteAll(t *testing.T, conn *zk.Conn, node string) {
	t.Helper()
	names, _, err := conn.Children(node)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		deleteAll(t, conn, node+"/"+name)
	}
	if err := conn.Delete(node, -1); err != nil && !errors.Is(err, zk.ErrNotEmpty) { // an instance is quick to announce itself again
		t.Fatal(err)
	}
}

// After a wipe instances announce themselves again. Watchers lose none that lives, and forget one that does not.
func TestWipedAndRestarted(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	gate := newGate(t, server.address)
	register(t, through(t, gate), instance("cart", "c0", discovery.Ready))
	register(t, server.registry(short), instance("cart", "c1", discovery.Ready))
	lease := register(t, server.registry(short), instance("cart", "c2", discovery.Starting))
	if err := lease.Update(t.Context(), instance("cart", "c2", discovery.Draining)); err != nil {
		t.Fatal(err)
	}
	conn := server.conn()
	for i := range 50 { // a server that was wiped has seen less than its clients, and refuses them
		if _, err := conn.Create(fmt.Sprintf("/x%d", i), nil, 0, zk.WorldACL(zk.PermAll)); err != nil {
			t.Fatal(err)
		}
	}
	h := remember(t, server.registry(short), "cart")
	h.until(t, "c0 ready, c1 ready, c2 draining")

	server.kill()
	gate.set(true) // c0 never comes back
	server.wipe()
	server.start()
	began := time.Now()
	// One session looks: each new one would bring the server nearer to where its clients were.
	remember(t, server.registry(short), "cart").until(t, "c1 ready, c2 draining")
	t.Logf("announced again %v after the wipe", time.Since(began).Round(time.Millisecond))
	h.until(t, "c1 ready, c2 draining")
	register(t, server.registry(short), instance("cart", "c3", discovery.Ready))
	h.until(t, "c1 ready, c2 draining, c3 ready") // changes are followed again
	h.never(t, "c1 ready")
}

// Who deletes nodes by hand deletes one after the other, which looks like instances that end. They are back at once.
func TestWipedByHand(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	register(t, server.registry(short), instance("cart", "c1", discovery.Ready))
	lease := register(t, server.registry(short), instance("cart", "c2", discovery.Ready))
	h, all := remember(t, server.registry(short), "cart"), remember(t, server.registry(short), "")
	h.until(t, "c1 ready, c2 ready")
	all.until(t, "c1 ready, c2 ready")
	conn := server.conn()
	for range 3 {
		deleteAll(t, conn, "/hanse/default")
		eventually(t, "both are in ZooKeeper again", func() bool {
			return inZooKeeper(t, server, short, "cart") == "c1 ready, c2 ready"
		})
	}
	if err := lease.Close(); err != nil {
		t.Fatal(err)
	}
	h.until(t, "c1 ready") // changes are followed again
	all.until(t, "c1 ready")
}

// An instance whose session was ended, as by a pause of the process, is back at once in another.
func TestSessionExpired(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	gate := newGate(t, server.address)
	lease := register(t, through(t, gate), instance("cart", "c1", discovery.Ready))
	h := remember(t, server.registry(short), "cart")
	h.until(t, "c1 ready")
	conn := server.conn()
	_, before, err := conn.Get("/hanse/default/instances/cart/c1")
	if err != nil {
		t.Fatal(err)
	}
	gate.set(true)
	h.until(t, "")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err = lease.Update(ctx, instance("cart", "c1", discovery.Draining))
	if err == nil || !strings.Contains(err.Error(), "is ZooKeeper running") || !strings.Contains(err.Error(), "c1 of cart") {
		t.Errorf("Update while cut off: %v", err)
	}
	gate.set(false)
	h.until(t, "c1 draining") // what could not be told is told
	_, after, err := conn.Get("/hanse/default/instances/cart/c1")
	if err != nil || after.EphemeralOwner == before.EphemeralOwner {
		t.Errorf("%v, %v: want another session", after, err)
	}
}

// A watcher that was cut off for less than its session's time is told of what it missed.
func TestCutOffForAMoment(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	gate := newGate(t, server.address)
	owners := server.registry(short)
	gone := register(t, owners, instance("cart", "c0", discovery.Draining))
	c1 := register(t, owners, instance("cart", "c1", discovery.Starting))
	opts := short
	opts.SessionTimeout = 10 * time.Second
	h := remember(t, zkdiscovery.New([]string{gate.lis.Addr().String()}, logged(t, opts)), "cart")
	h.until(t, "c0 draining, c1 starting")
	for range 3 {
		gate.set(true)
		if err := gone.Close(); err != nil {
			t.Fatal(err)
		}
		if err := c1.Update(t.Context(), instance("cart", "c1", discovery.Ready)); err != nil {
			t.Fatal(err)
		}
		gone = register(t, owners, instance("cart", "c2", discovery.Draining))
		gate.set(false)
		h.until(t, "c1 ready, c2 draining")
		if err := c1.Update(t.Context(), instance("cart", "c1", discovery.Starting)); err != nil {
			t.Fatal(err)
		}
		h.until(t, "c1 starting, c2 draining")
	}
}

// A watcher that was cut off while all the others were too, for longer than their sessions, keeps them until they are back.
func TestAllCutOff(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	gate := newGate(t, server.address)
	for i := range 5 {
		register(t, through(t, gate), instance("cart", fmt.Sprintf("c%d", i), discovery.Ready))
	}
	h := remember(t, through(t, gate), "cart")
	const all = "c0 ready, c1 ready, c2 ready, c3 ready, c4 ready"
	h.until(t, all)
	outside := remember(t, server.registry(short), "cart")
	outside.until(t, all)
	gate.set(true)
	outside.until(t, "") // the sessions have ended
	gate.set(false)
	outside.until(t, all)
	eventually(t, "the watcher is back", func() bool { return h.last() == all })
	h.never(t, all)
}

// A program may start before ZooKeeper does. Who watches hears that nothing is known, and who announces is told what to do.
func TestAwayAtFirst(t *testing.T) {
	t.Parallel()
	server := newServer(t)
	reg := server.registry(zkdiscovery.Options{System: "shop"})
	w := discoverytest.Watch(t, reg, "cart")
	if first := w.First(); len(first) != 0 {
		t.Errorf("instances of a ZooKeeper that does not run: %v", first)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := reg.Register(ctx, instance("cart", "c1", discovery.Ready))
	want := fmt.Sprintf("announce c1 of cart in zk://%s/shop: context deadline exceeded: is ZooKeeper running and reached from here? Try: zkCli.sh -server %[1]s ls /", server.address)
	if err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Register: %v, want %s", err, want)
	}
	server.start()
	register(t, reg, instance("cart", "c1", discovery.Ready))
	w.Until("c1 is there", states("c1 ready"))
}

// Nodes are made for who has the same credentials; who has not is told what to set.
func TestCredentials(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	auth := []zkdiscovery.Auth{{Scheme: "digest", Credential: []byte("shop:secret")}}
	w := discoverytest.Watch(t, server.registry(zkdiscovery.Options{}), "cart") // reading is for all
	w.First()
	register(t, server.registry(zkdiscovery.Options{Auth: auth}), instance("cart", "c1", discovery.Ready))
	register(t, server.registry(zkdiscovery.Options{Auth: auth}), instance("cart", "c2", discovery.Ready))
	w.Until("both are there", states("c1 ready, c2 ready"))
	_, err := server.registry(zkdiscovery.Options{}).Register(t.Context(), instance("cart", "c3", discovery.Ready))
	if err == nil || !strings.Contains(err.Error(), "set Options.Auth") {
		t.Errorf("Register without credentials: %v", err)
	}
}

// A lease that cannot be withdrawn is an error that says when it ends, and it does, though the session lives on.
func TestCloseWhileAway(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	reg := server.registry(zkdiscovery.Options{})
	register(t, reg, instance("cart", "c2", discovery.Ready))
	lease, err := reg.Register(t.Context(), instance("cart", "c1", discovery.Ready))
	if err != nil {
		t.Fatal(err)
	}
	server.kill()
	if err := lease.Close(); err == nil || !strings.Contains(err.Error(), "it vanishes within 10s after ZooKeeper is back") {
		t.Errorf("Close: %v", err)
	}
	if err := lease.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	server.start()
	discoverytest.Watch(t, server.registry(short), "cart").Until("c1 is gone", states("c2 ready"))
}

// Records that cannot be understood are passed over, with a line that names the node.
func TestForeignRecords(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	conn := server.conn()
	var log lockedLog
	reg := zkdiscovery.New([]string{server.address}, zkdiscovery.Options{Logger: log.logger()})
	w := discoverytest.Watch(t, reg, "")
	w.First()
	newer := `{"record":1,"service":"cart","instance":"c9","state":"ready","colour":"red"}`
	for _, node := range [][2]string{
		{"", ""}, {"/default", ""}, {"/default/instances", ""}, {"/default/instances/Not-A-Name", ""}, {"/default/instances/cart", ""},
		{"/default/instances/cart/c1", "no record"}, {"/default/instances/cart/c2", `{"record":7}`},
		{"/default/instances/cart/c3", newer}, {"/default/instances/cart/c9", newer},
	} {
		if _, err := conn.Create("/hanse"+node[0], []byte(node[1]), 0, zk.WorldACL(zk.PermAll)); err != nil {
			t.Fatal(err)
		}
	}
	w.Until("c9 is there", states("c9 ready"))
	eventually(t, "the log has all", func() bool {
		text := log.String()
		return !slices.ContainsFunc([]string{"instances/cart/c1", "newer version", "record of instance c9"}, func(want string) bool {
			return !strings.Contains(text, want)
		})
	})
}
