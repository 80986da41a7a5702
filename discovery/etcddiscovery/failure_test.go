//go:build unix

package etcddiscovery_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/discoverytest"
	clientv3 "go.etcd.io/etcd/client/v3"
)

var short = discoverytest.Handle{TTL: 2 * time.Second}

// An instance whose lease was taken from it, as by an operator or a pause of the process, is back at once.
func TestLeaseRevoked(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	discoverytest.Register(t, server.Open(discoverytest.Handle{}), discoverytest.Instance("cart", "c1", discovery.Ready))
	h := discoverytest.Remember(t, server.Open(discoverytest.Handle{}), "cart")
	h.Until(t, "c1 ready")
	client := server.client()
	for range 3 {
		leases, err := client.Leases(t.Context())
		if err != nil || len(leases.Leases) != 1 {
			t.Fatalf("%v, %v, want one lease", leases, err)
		}
		if _, err := client.Revoke(t.Context(), leases.Leases[0].ID); err != nil {
			t.Fatal(err)
		}
		discoverytest.Eventually(t, "c1 has another lease", func() bool {
			res, err := client.Get(t.Context(), "/hanse/default/instances/cart/c1")
			return err == nil && len(res.Kvs) == 1 && res.Kvs[0].Lease != int64(leases.Leases[0].ID)
		})
		h.Until(t, "c1 ready")
	}
}

// A watcher that was cut off while etcd compacted what it missed begins again, and keeps what is still true.
func TestCompactedWhileCutOff(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	gate := discoverytest.NewGate(t, server.address)
	owners := server.Open(short)
	gone := discoverytest.Register(t, owners, discoverytest.Instance("cart", "c0", discovery.Ready))
	discoverytest.Register(t, owners, discoverytest.Instance("cart", "c1", discovery.Ready))
	h := discoverytest.Remember(t, server.Open(discoverytest.Handle{TTL: short.TTL, Addresses: []string{gate.Address}}), "cart")
	h.Until(t, "c0 ready, c1 ready")

	gate.Shut()
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	c2 := discoverytest.Register(t, owners, discoverytest.Instance("cart", "c2", discovery.Ready))
	if err := c2.Update(t.Context(), discoverytest.Instance("cart", "c2", discovery.Draining)); err != nil {
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
	gate.Open()
	h.Until(t, "c1 ready, c2 draining") // and c0 is gone once it had time to announce itself again
	h.Never(t, "c1 ready")
	discoverytest.Register(t, owners, discoverytest.Instance("cart", "c3", discovery.Ready))
	h.Until(t, "c1 ready, c2 draining, c3 ready")
}

// permit has users of the system shop: anna, who may read, and otto, who may write.
func permit(t *testing.T, root *clientv3.Client) {
	t.Helper()
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
}

// A registry that may only be read can be watched; who may not do what it does is told what to grant.
func TestPermissions(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	permit(t, server.client())
	as := func(user, password string) discovery.Registrar {
		return server.as(clientv3.Config{Username: user, Password: password}).Open(discoverytest.Handle{System: "shop"})
	}
	reader := as("anna", "a")
	w := discoverytest.Watch(t, reader, "cart")
	w.First()
	discoverytest.Register(t, as("otto", "o"), discoverytest.Instance("cart", "c1", discovery.Ready))
	w.Until("c1 is there", discoverytest.States("c1 ready"))
	for _, c := range []struct {
		name string
		reg  discovery.Registrar
		want string
	}{
		{"reader", reader, "readwrite --prefix=true /hanse/shop/"},
		{"nobody", server.Open(discoverytest.Handle{}), "set Username and Password"},
	} {
		if _, err := c.reg.Register(t.Context(), discoverytest.Instance("cart", "c2", discovery.Ready)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Register by the %s: %v, want an error with %q", c.name, err, c.want)
		}
	}
}

func second[T any](_ T, err error) error { return err }
