package rpc_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/balancer"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
)

// boundWith is bound for a Conn with options.
func boundWith(t *testing.T, client *rpc.Client, opts ...rpc.ConnOption) *rpc.Conn {
	t.Helper()
	conn := rpc.NewConn("echo", opts...)
	if err := conn.Bind(client); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// servedBy tells how often each instance serves n calls.
func servedBy(t *testing.T, ctx context.Context, conn *rpc.Conn, n int) map[string]int {
	t.Helper()
	served := make(map[string]int)
	for range n {
		reply, err := callEcho(ctx, conn, addMethod, "")
		if err != nil {
			t.Fatal(err)
		}
		served[reply[:len(reply)-1]]++
	}
	return served
}

func TestFilteredConn(t *testing.T) {
	a, b := newStock(t, "a"), newStock(t, "b")
	one, two := a.instance(), b.instance()
	one.Version, two.Version = "v1", "v2"
	two.Metadata = map[string]string{"colour": "green"}
	registry := newScript(one)
	client := &rpc.Client{Registry: registry, Balancing: balancer.Policies{"echo": {Filter: balancer.Filter{Version: "v1"}}, "": {Filter: balancer.Filter{Version: "v7"}}}}
	first, green := boundWith(t, client), boundWith(t, client, rpc.WithBalancing(balancer.Policy{Filter: balancer.Filter{Labels: map[string]string{"colour": "green"}}}))

	if got := servedBy(t, t.Context(), first, 20); got["a"] != 20 {
		t.Errorf("v1: %v", got)
	}
	// What is not there yet is waited for, as a service without instances is.
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := callEcho(short, green, addMethod, "x")
	wantError(t, err, codes.DeadlineExceeded, `"echo"`, "colour=green", "1 others")
	registry.set(one, two)
	if got := servedBy(t, t.Context(), green, 20); got["b"] != 20 {
		t.Errorf("green: %v", got)
	}
	if got := servedBy(t, t.Context(), first, 20); got["a"] != 20 {
		t.Errorf("v1: %v", got)
	}
	two.Metadata = nil
	registry.set(one, two)
	until(t, "without the label", func() bool {
		short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		_, err := callEcho(short, green, addMethod, "x")
		return err != nil
	})
}

func TestPickerSeesTheCall(t *testing.T) {
	a, b, c := newStock(t, "a"), newStock(t, "b"), newStock(t, "c")
	conn := boundWith(t, &rpc.Client{
		Registry:  newScript(a.instance(), b.instance(), c.instance()),
		Balancing: balancer.Policies{"": {Picker: func() balancer.Picker { return &balancer.ConsistentHash{Key: "x-user"} }}},
	})
	until(t, "connected to all", func() bool { return len(servedBy(t, t.Context(), conn, 30)) == 3 })
	all := make(map[string]bool)
	for _, user := range []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "x-user", user)
		served := servedBy(t, ctx, conn, 10)
		if len(served) != 1 {
			t.Errorf("user %s: %v", user, served)
		}
		for name := range served {
			all[name] = true
		}
		stream, err := chatEcho(ctx, conn)
		if err != nil {
			t.Fatal(err)
		}
		for name := range served {
			exchange(t, stream, name)
		}
		stream.CloseSend()
	}
	if len(all) != 3 {
		t.Errorf("only %v serve", all)
	}
}

func TestOwnZoneFirst(t *testing.T) {
	near, far := newStock(t, "near"), newStock(t, "far")
	nearby, away := near.instance(), far.instance()
	nearby.Zone, away.Zone = "z", "y"
	conn := boundWith(t, &rpc.Client{Registry: newScript(nearby, away), Zone: "z"})
	until(t, "near", func() bool { reply, _ := callEcho(t.Context(), conn, addMethod, "x"); return reply == "near:x" })
	if got := servedBy(t, t.Context(), conn, 20); got["near"] != 20 {
		t.Errorf("%v", got)
	}
	near.server.Stop()
	for range 10 {
		if reply, err := callEcho(t.Context(), conn, readMethod, "x"); err != nil || reply != "far:x" {
			t.Fatal(reply, err)
		}
	}
}

// An instance that comes later warms up; those that were started long before the caller do not.
func TestNewInstanceWarmsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w town
		_, a := w.instance(t, "a")
		_, b := w.instance(t, "b")
		_, c := w.instance(t, "c")
		a.Started, b.Started = time.Now().Add(-time.Hour), time.Now().Add(-time.Hour)
		registry := newScript(a, b)
		client := w.client(registry, nil)
		client.Balancing = balancer.Policies{"": {WarmUp: 10 * time.Second}}
		conn := bound(t, client)
		connected(t, conn, "a")
		synctest.Wait()
		if got := servedBy(t, t.Context(), conn, 1000); got["a"] < 400 || got["b"] < 400 {
			t.Errorf("old ones: %v", got)
		}
		c.Started = time.Now().Add(-time.Hour) // it took an hour to become ready
		registry.set(a, b, c)
		synctest.Wait()
		if got := servedBy(t, t.Context(), conn, 1000); got["c"] > 100 {
			t.Errorf("a cold one: %v", got)
		}
		time.Sleep(5 * time.Second)
		c.Metadata = map[string]string{"x": "y"} // it goes on warming up
		registry.set(a, b, c)
		synctest.Wait()
		if got := servedBy(t, t.Context(), conn, 1000); got["c"] < 120 || got["c"] > 290 {
			t.Errorf("half warm: %v", got)
		}
		time.Sleep(5 * time.Second)
		if got := servedBy(t, t.Context(), conn, 1000); got["c"] < 270 {
			t.Errorf("a warm one: %v", got)
		}
		w.close(conn)
	})
}
