//go:build unix

package etcddiscovery_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/discovery/etcddiscovery"
	clientv3 "go.etcd.io/etcd/client/v3"
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

// inEtcd returns the service's instances as a client sees them that knew nothing before.
func inEtcd(t *testing.T, s *server, opts etcddiscovery.Options, service string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	var list string
	client := newClient(t, s.address)
	defer client.Close()
	if err := etcddiscovery.New(client, logged(t, opts)).Watch(ctx, service, func(l []discovery.Instance) { list = format(l); cancel() }); err != nil {
		t.Error(err)
	}
	return list
}

var short = etcddiscovery.Options{TTL: 2 * time.Second}

// While etcd is dead the last known instances stay, and nothing flaps when it is back.
func TestKilledAndRestarted(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	register(t, server.registry(short), instance("cart", "c1", discovery.Ready))
	watching := server.registry(short)
	h := remember(t, watching, "cart")
	h.until(t, "c1 ready")

	server.kill()
	late := discoverytest.Watch(t, watching, "cart") // who comes late is told what is known
	late.Until("c1 is told while etcd is dead", states("c1 ready"))
	<-time.After(short.TTL + time.Second) // etcd's leases stand still while it is dead
	server.start()

	register(t, server.registry(short), instance("cart", "c2", discovery.Ready))
	h.until(t, "c1 ready, c2 ready")
	late.Until("both are there", states("c1 ready, c2 ready"))
	<-time.After(2 * short.TTL) // c1's lease was kept alive, else it would have ended
	if got := inEtcd(t, server, short, "cart"); got != "c1 ready, c2 ready" {
		t.Errorf("in etcd: %q", got)
	}
	h.never(t, "c1 ready")
}

// After a wipe instances announce themselves again. Watchers lose none that lives, and forget one that does not.
func TestWipedAndRestarted(t *testing.T) {
	t.Parallel()
	for name, wipe := range map[string]func(*server){
		"Data": func(s *server) {
			s.kill()
			s.wipe()
			s.start()
		},
		"Keys": func(s *server) {
			if _, err := s.client().Delete(t.Context(), "/hanse/", clientv3.WithPrefix()); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := startServer(t)
			server.t = t
			doomed := server.client()
			register(t, etcddiscovery.New(doomed, logged(t, short)), instance("cart", "c0", discovery.Ready))
			register(t, server.registry(short), instance("cart", "c1", discovery.Ready))
			lease := register(t, server.registry(short), instance("cart", "c2", discovery.Starting))
			if err := lease.Update(t.Context(), instance("cart", "c2", discovery.Draining)); err != nil {
				t.Fatal(err)
			}
			for i := range 50 { // revisions that come again only after a while
				if _, err := doomed.Put(t.Context(), "/elsewhere", fmt.Sprint(i)); err != nil {
					t.Fatal(err)
				}
			}
			h := remember(t, server.registry(short), "cart")
			h.until(t, "c0 ready, c1 ready, c2 draining")
			if err := doomed.Close(); err != nil {
				t.Fatal(err)
			}

			wipe(server)
			began := time.Now()
			eventually(t, "the living are in etcd again", func() bool {
				return inEtcd(t, server, short, "cart") == "c1 ready, c2 draining"
			})
			t.Logf("announced again %v after the wipe", time.Since(began).Round(time.Millisecond))
			h.until(t, "c1 ready, c2 draining")
			register(t, server.registry(short), instance("cart", "c3", discovery.Ready))
			h.until(t, "c1 ready, c2 draining, c3 ready") // changes are followed again
			h.never(t, "c1 ready")
		})
	}
}

// An instance whose lease was taken from it, as by an operator or a pause of the process, is back at once.
func TestLeaseRevoked(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	register(t, server.registry(etcddiscovery.Options{}), instance("cart", "c1", discovery.Ready))
	h := remember(t, server.registry(etcddiscovery.Options{}), "cart")
	h.until(t, "c1 ready")
	client := server.client()
	for range 3 {
		leases, err := client.Leases(t.Context())
		if err != nil || len(leases.Leases) != 1 {
			t.Fatalf("%v, %v, want one lease", leases, err)
		}
		if _, err := client.Revoke(t.Context(), leases.Leases[0].ID); err != nil {
			t.Fatal(err)
		}
		eventually(t, "c1 has another lease", func() bool {
			res, err := client.Get(t.Context(), "/hanse/default/instances/cart/c1")
			return err == nil && len(res.Kvs) == 1 && res.Kvs[0].Lease != int64(leases.Leases[0].ID)
		})
		h.until(t, "c1 ready")
	}
}

// A watcher that was cut off while etcd compacted what it missed begins again, and keeps what is still true.
func TestCompactedWhileCutOff(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	gate := newGate(t, server.address)
	cut := newClient(t, gate.lis.Addr().String())
	defer cut.Close()
	owners := server.registry(short)
	gone := register(t, owners, instance("cart", "c0", discovery.Ready))
	register(t, owners, instance("cart", "c1", discovery.Ready))
	h := remember(t, etcddiscovery.New(cut, logged(t, short)), "cart")
	h.until(t, "c0 ready, c1 ready")

	gate.set(true)
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	c2 := register(t, owners, instance("cart", "c2", discovery.Ready))
	if err := c2.Update(t.Context(), instance("cart", "c2", discovery.Draining)); err != nil {
		t.Fatal(err)
	}
	client := server.client()
	res, err := client.Get(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Compact(t.Context(), res.Header.Revision, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	gate.set(false)
	h.until(t, "c1 ready, c2 draining") // and c0 is gone once it had time to announce itself again
	h.never(t, "c1 ready")
	register(t, owners, instance("cart", "c3", discovery.Ready))
	h.until(t, "c1 ready, c2 draining, c3 ready")
}

// An instance that was cut off for longer than its lease is dropped by others, and is back when it is reached again.
func TestLeaseExpiredWhileCutOff(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	gate := newGate(t, server.address)
	cut := newClient(t, gate.lis.Addr().String())
	defer cut.Close()
	lease := register(t, etcddiscovery.New(cut, logged(t, short)), instance("cart", "c1", discovery.Ready))
	h := remember(t, server.registry(short), "cart")
	h.until(t, "c1 ready")
	gate.set(true)
	h.until(t, "")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := lease.Update(ctx, instance("cart", "c1", discovery.Draining))
	if err == nil || !strings.Contains(err.Error(), "is etcd running") || !strings.Contains(err.Error(), "c1 of cart") {
		t.Errorf("Update while cut off: %v", err)
	}
	gate.set(false)
	h.until(t, "c1 draining") // what could not be told is told
}

// A watcher that was cut off while all the others were too, for longer than their leases, keeps them until they are back.
func TestAllCutOff(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	gate := newGate(t, server.address)
	through := func() *etcddiscovery.Registry {
		client := newClient(t, gate.lis.Addr().String())
		t.Cleanup(func() { client.Close() })
		return etcddiscovery.New(client, logged(t, short))
	}
	for i := range 5 {
		register(t, through(), instance("cart", fmt.Sprintf("c%d", i), discovery.Ready))
	}
	h := remember(t, through(), "cart")
	const all = "c0 ready, c1 ready, c2 ready, c3 ready, c4 ready"
	h.until(t, all)
	outside := remember(t, server.registry(short), "cart")
	outside.until(t, all)
	gate.set(true)
	outside.until(t, "") // the leases have ended
	gate.set(false)
	outside.until(t, all)
	eventually(t, "the watcher is back", func() bool { return h.last() == all })
	h.never(t, all)
}

// A program may start before etcd does. Who watches hears that nothing is known, and who announces is told what to do.
func TestAwayAtFirst(t *testing.T) {
	t.Parallel()
	server := newServer(t)
	reg := server.registry(etcddiscovery.Options{System: "shop"})
	w := discoverytest.Watch(t, reg, "cart")
	if first := w.First(); len(first) != 0 {
		t.Errorf("instances of an etcd that does not run: %v", first)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := reg.Register(ctx, instance("cart", "c1", discovery.Ready))
	want := fmt.Sprintf("announce c1 of cart in etcd://%s/shop: context deadline exceeded: is etcd running and reached from here? Try: etcdctl --endpoints=%[1]s endpoint health", server.address)
	if err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Register: %v, want %s", err, want)
	}
	server.start()
	register(t, reg, instance("cart", "c1", discovery.Ready))
	w.Until("c1 is there", states("c1 ready"))
}

// A registry that may only be read can be watched; who may not do what it does is told what to grant.
func TestPermissions(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	root := server.client()
	ctx := t.Context()
	for _, err := range []error{
		second(root.UserAdd(ctx, "root", "r")), second(root.UserGrantRole(ctx, "root", "root")),
		second(root.RoleAdd(ctx, "reader")), second(root.UserAdd(ctx, "anna", "a")), second(root.UserGrantRole(ctx, "anna", "reader")),
		second(root.RoleAdd(ctx, "writer")), second(root.UserAdd(ctx, "otto", "o")), second(root.UserGrantRole(ctx, "otto", "writer")),
		second(root.RoleGrantPermission(ctx, "reader", "/hanse/shop/", "/hanse/shop0", clientv3.PermissionType(clientv3.PermRead))),
		second(root.RoleGrantPermission(ctx, "writer", "/hanse/shop/", "/hanse/shop0", clientv3.PermissionType(clientv3.PermReadWrite))),
		second(root.AuthEnable(ctx)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	as := func(user, password string) *etcddiscovery.Registry {
		client, err := clientv3.New(clientv3.Config{Endpoints: []string{server.address}, Username: user, Password: password, Logger: root.GetLogger()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		return etcddiscovery.New(client, logged(t, etcddiscovery.Options{System: "shop"}))
	}
	reader := as("anna", "a")
	w := discoverytest.Watch(t, reader, "cart")
	w.First()
	register(t, as("otto", "o"), instance("cart", "c1", discovery.Ready))
	w.Until("c1 is there", states("c1 ready"))
	for _, c := range []struct {
		name string
		reg  *etcddiscovery.Registry
		want string
	}{
		{"reader", reader, "readwrite --prefix=true /hanse/shop/"},
		{"nobody", etcddiscovery.New(server.client(), etcddiscovery.Options{}), "set Username and Password"},
	} {
		if _, err := c.reg.Register(ctx, instance("cart", "c2", discovery.Ready)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Register by the %s: %v, want an error with %q", c.name, err, c.want)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// A lease that cannot be withdrawn is an error that says when it ends, and it does.
func TestCloseWhileAway(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	lease, err := server.registry(short).Register(t.Context(), instance("cart", "c1", discovery.Ready))
	if err != nil {
		t.Fatal(err)
	}
	server.kill()
	if err := lease.Close(); err == nil || !strings.Contains(err.Error(), "it vanishes in 2s") {
		t.Errorf("Close: %v", err)
	}
	if err := lease.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	server.start()
	discoverytest.Watch(t, server.registry(short), "cart").Until("c1 is gone", states(""))
}

// Records that cannot be understood are passed over, with a line that names the key.
func TestForeignRecords(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	client := server.client()
	var log lockedLog
	reg := etcddiscovery.New(client, etcddiscovery.Options{Logger: log.logger()})
	w := discoverytest.Watch(t, reg, "")
	w.First()
	newer := `{"record":1,"service":"cart","instance":"c9","state":"ready","colour":"red"}`
	for key, value := range map[string]string{
		"cart/c1": "no record", "cart/c2": `{"record":7}`, "cart/c3": newer, "cart/c9": newer, "x": "y",
	} {
		if _, err := client.Put(t.Context(), "/hanse/default/instances/"+key, value); err != nil {
			t.Fatal(err)
		}
	}
	w.Until("c9 is there", states("c9 ready"))
	eventually(t, "the log has all", func() bool {
		text := log.String()
		return !slices.ContainsFunc([]string{"instances/cart/c1", "newer version", "record of instance c9", "instances/x"}, func(want string) bool {
			return !strings.Contains(text, want)
		})
	})
}

// While a member of three is gone, whichever it is, changes are heard of; and while two are gone, the last known instances stay.
func TestMembersLost(t *testing.T) {
	t.Parallel()
	members := startCluster(t)
	registry := func() *etcddiscovery.Registry {
		client := newClient(t, members[0].address, members[1].address, members[2].address)
		t.Cleanup(func() { client.Close() })
		return etcddiscovery.New(client, logged(t, etcddiscovery.Options{})) // whose leases outlast an election
	}
	lease := register(t, registry(), instance("cart", "c1", discovery.Starting))
	var all []*history
	for range 4 {
		all = append(all, remember(t, registry(), "cart"))
	}
	for i, lost := range members {
		lost.kill()
		for _, state := range []discovery.State{discovery.Ready, discovery.Starting} {
			if err := lease.Update(t.Context(), instance("cart", "c1", state)); err != nil {
				t.Fatalf("without member %d: %v", i, err)
			}
			for _, h := range all {
				h.until(t, "c1 "+string(state))
			}
		}
		lost.start()
	}
	members[0].kill()
	members[1].kill()
	<-time.After(2 * time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := lease.Update(ctx, instance("cart", "c1", discovery.Ready)); err == nil {
		t.Error("Update without a majority: no error")
	}
	members[0].start()
	for _, h := range all {
		h.until(t, "c1 ready")
		h.never(t, "c1")
	}
}

// A system that moves from another registry to etcd has all its instances on the way, and is told of what drains while etcd is away.
func TestMove(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	var old discovery.Memory
	next := server.registry(short)
	both := discovery.Merge(next, &old).(discovery.Registrar)
	register(t, &old, instance("cart", "c1", discovery.Ready))
	moving := register(t, both, instance("cart", "c2", discovery.Ready))
	register(t, next, instance("cart", "c3", discovery.Ready))
	h, left, moved := remember(t, both, "cart"), remember(t, &old, "cart"), remember(t, next, "cart")
	h.until(t, "c1 ready, c2 ready, c3 ready")
	left.until(t, "c1 ready, c2 ready")
	moved.until(t, "c2 ready, c3 ready")
	server.kill()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := moving.Update(ctx, instance("cart", "c2", discovery.Draining)); err == nil {
		t.Error("Update while etcd is away: no error")
	}
	h.until(t, "c1 ready, c2 draining, c3 ready")
	left.until(t, "c1 ready, c2 draining")
	server.start()
	moved.until(t, "c2 draining, c3 ready")
	if err := moving.Close(); err != nil {
		t.Fatal(err)
	}
	h.until(t, "c1 ready, c3 ready")
	h.never(t, "c1 ready")
	h.never(t, "c3 ready")
}
