package rpc_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc/connectivity"
)

// become waits until the state is want, and fails when it is not within the given time, or passes through another one.
func become(t *testing.T, conn *rpc.Conn, from, want connectivity.State, within time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if got := conn.GetState(); got != from && got != want {
		t.Fatalf("state %v, want %v", got, from)
	}
	if !conn.WaitForStateChange(ctx, from) {
		t.Fatalf("still %v after %v, want %v", from, within, want)
	}
	if got := conn.GetState(); got != want {
		t.Fatalf("%v became %v, want %v", from, got, want)
	}
}

func wantState(t *testing.T, conn *rpc.Conn, want connectivity.State) {
	t.Helper()
	if got := conn.GetState(); got != want {
		t.Fatalf("state %v, want %v", got, want)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if conn.WaitForStateChange(ctx, want) {
		t.Fatalf("%v became %v by itself", want, conn.GetState())
	}
}

func TestState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w town
		registry := new(discovery.Memory)
		conn := rpc.NewConn("echo")
		wantState(t, conn, connectivity.Idle)
		client := w.client(registry, nil)
		client.Balancing = nil
		if err := conn.Bind(client); err != nil {
			t.Fatal(err)
		}
		wantState(t, conn, connectivity.Connecting)

		_, inst := w.instance(t, "a")
		lease, err := registry.Register(t.Context(), inst)
		if err != nil {
			t.Fatal(err)
		}
		become(t, conn, connectivity.Connecting, connectivity.Ready, time.Second)
		wantState(t, conn, connectivity.Ready)
		w.ports[0].Close()
		become(t, conn, connectivity.Ready, connectivity.Connecting, time.Second)
		become(t, conn, connectivity.Connecting, connectivity.TransientFailure, 10*time.Second)
		if err := lease.Close(); err != nil {
			t.Fatal(err)
		}
		become(t, conn, connectivity.TransientFailure, connectivity.Connecting, time.Second)
		w.close(conn)
		wantState(t, conn, connectivity.Shutdown)
		client.Close()
	})
}

func TestStateInProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &rpc.Server{Name: "echo"}
		client := &rpc.Client{Local: map[string]*rpc.Server{"echo": srv}}
		conn := rpc.NewConn("echo")
		if err := conn.Bind(client); err != nil {
			t.Fatal(err)
		}
		wantState(t, conn, connectivity.Connecting)
		srv.Start()
		wantState(t, conn, connectivity.Ready)
		changed := make(chan struct{})
		go func() {
			become(t, conn, connectivity.Ready, connectivity.TransientFailure, time.Hour)
			close(changed)
		}()
		synctest.Wait()
		if err := srv.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-changed
		srv.Stop()
		wantState(t, conn, connectivity.TransientFailure)
		client.Close()
		wantState(t, conn, connectivity.Shutdown)

		nowhere := rpc.NewConn("echo")
		if err := nowhere.Bind(new(rpc.Client)); err != nil {
			t.Fatal(err)
		}
		wantState(t, nowhere, connectivity.TransientFailure)
		nowhere.Close()
	})
}
