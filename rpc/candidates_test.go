package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/balancer"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// script is a registry whose snapshots a test sets. It counts its watches.
type script struct {
	mu        sync.Mutex
	instances []discovery.Instance
	changed   chan struct{}
	watches   atomic.Int64
	ended     atomic.Int64
}

func newScript(instances ...discovery.Instance) *script {
	return &script{instances: instances, changed: make(chan struct{})}
}

func (s *script) set(instances ...discovery.Instance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.instances = instances
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *script) Watch(ctx context.Context, service string, notify func([]discovery.Instance)) error {
	s.watches.Add(1)
	defer s.ended.Add(1)
	for {
		s.mu.Lock()
		instances, changed := slices.Clone(s.instances), s.changed
		s.mu.Unlock()
		notify(instances)
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// broken is a registry that cannot work.
type broken struct{}

func (broken) Watch(context.Context, string, func([]discovery.Instance)) error {
	return errors.New("no such thing")
}

// until calls f until it says that it is done, or the test's time is over.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !f(); {
		if time.Now().After(end) {
			t.Fatalf("never %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestCallWaitsForAReadyInstance(t *testing.T) {
	s := newStock(t, "a")
	starting := s.instance()
	starting.State = discovery.Starting
	registry := newScript(starting)
	client := &rpc.Client{Registry: registry}
	conn := bound(t, client)

	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err := callEcho(short, conn, addMethod, "x")
	wantError(t, err, codes.DeadlineExceeded, `no ready instance of "echo" is known`)

	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error)
	go func() {
		_, err := callEcho(ctx, conn, addMethod, "x")
		got <- err
	}()
	until(t, "waiting", func() bool { return slices.Equal(client.Waiting(), []string{"echo"}) })
	cancel()
	wantError(t, <-got, codes.Canceled)
	until(t, "done waiting", func() bool { return len(client.Waiting()) == 0 })

	go func() {
		_, err := callEcho(context.Background(), conn, addMethod, "x")
		got <- err
	}()
	until(t, "waiting", func() bool { return len(client.Waiting()) == 1 })
	registry.set(s.instance())
	if err := <-got; err != nil {
		t.Fatal(err)
	}
}

func TestDeadlineWhileNoInstanceIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := bound(t, &rpc.Client{Registry: &discovery.Memory{}})
		start := time.Now()
		_, err := callEcho(context.Background(), conn, addMethod, "x")
		wantError(t, err, codes.DeadlineExceeded, `no ready instance of "echo" is known`)
		if took := time.Since(start); took != rpc.DefaultTimeout {
			t.Errorf("took %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err = chatEcho(ctx, conn)
		wantError(t, err, codes.DeadlineExceeded)
		conn.Close()
	})
}

func TestInstancesComeAndGo(t *testing.T) {
	a, b, c := newStock(t, "a"), newStock(t, "b"), newStock(t, "c")
	registry := newScript(a.instance(), b.instance())
	conn := bound(t, &rpc.Client{Registry: registry, Balancing: balancer.Policies{"": {Picker: func() balancer.Picker { return &inTurn{} }}}})

	serving := func(names ...string) {
		t.Helper()
		until(t, fmt.Sprint("served by ", names), func() bool {
			seen := map[string]bool{}
			for range 6 {
				var info rpc.CallInfo
				if _, err := callEcho(t.Context(), conn, addMethod, "x", &info); err != nil {
					t.Fatal(err)
				}
				seen[info.Instance] = true
			}
			for _, n := range names {
				if !seen[n] {
					return false
				}
			}
			return len(seen) == len(names)
		})
	}
	serving("a", "b")
	registry.set(a.instance(), b.instance(), c.instance())
	serving("a", "b", "c")

	// A stream keeps the connection to an instance that leaves.
	a.hook = nil
	var info rpc.CallInfo
	registry.set(a.instance())
	serving("a")
	stream, err := chatEcho(t.Context(), conn, &info)
	if err != nil || info.Instance != "a" {
		t.Fatal(info, err)
	}
	draining := a.instance()
	draining.State = discovery.Draining
	registry.set(draining, b.instance())
	serving("b")
	exchange(t, stream, "a")
	registry.set(b.instance())
	serving("b")
	exchange(t, stream, "a")
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}

	// The registry is away: the last known instance goes on.
	if got := registry.watches.Load(); got != 1 {
		t.Errorf("%d watches", got)
	}
	conn.Close()
	if got := registry.ended.Load(); got != 1 {
		t.Errorf("%d watches ended", got)
	}
}

// inTurn is a picker that takes candidates in turn.
type inTurn struct{ n atomic.Int64 }

func (p *inTurn) Pick(c []*balancer.Candidate) *balancer.Candidate {
	return c[int(p.n.Add(1))%len(c)]
}

func exchange(t *testing.T, stream grpc.ClientStream, name string) {
	t.Helper()
	if err := stream.SendMsg(stringValue("x")); err != nil {
		t.Fatal(err)
	}
	out := stringValue("")
	if err := stream.RecvMsg(out); err != nil || out.Value != name+":x" {
		t.Fatal(out, err)
	}
}

func TestConnsShareWatchAndConnections(t *testing.T) {
	s := newStock(t, "a")
	registry := newScript(s.instance())
	client := &rpc.Client{Registry: registry}
	one, two := bound(t, client), bound(t, client)
	for _, conn := range []*rpc.Conn{one, two} {
		if _, err := callEcho(t.Context(), conn, addMethod, "x"); err != nil {
			t.Fatal(err)
		}
	}
	one.Close()
	if _, err := callEcho(t.Context(), two, addMethod, "x"); err != nil {
		t.Fatal(err)
	}
	if n := registry.watches.Load(); n != 1 {
		t.Errorf("%d watches", n)
	}
	two.Close()
	if n := registry.ended.Load(); n != 1 {
		t.Errorf("%d watches ended", n)
	}
}

func TestBrokenRegistry(t *testing.T) {
	conn := bound(t, &rpc.Client{Registry: broken{}})
	_, err := callEcho(t.Context(), conn, addMethod, "x")
	wantError(t, err, codes.Unavailable, "echo", "no such thing")
}

func TestContractThatNoInstanceHas(t *testing.T) {
	a, b := newStock(t, "a"), newStock(t, "b")
	old, other := a.instance(), b.instance()
	old.Contracts = []discovery.Contract{{Name: "shop.v1.Old"}}
	other.Contracts = []discovery.Contract{{Name: "shop.v1.New"}, {Name: echoContract}}
	registry := newScript(old)
	conn := bound(t, &rpc.Client{Registry: registry, Balancing: balancer.Policies{"": {Picker: func() balancer.Picker { return &inTurn{} }}}})
	_, err := callEcho(t.Context(), conn, addMethod, "x")
	wantError(t, err, codes.Unimplemented, echoContract, `"echo"`, "shop.v1.Old")
	if a.calls.Load() != 0 {
		t.Error("the call went out")
	}

	registry.set(old, other)
	until(t, "served", func() bool {
		reply, err := callEcho(t.Context(), conn, addMethod, "x")
		return err == nil && reply == "b:x"
	})
	for range 4 {
		if reply, err := callEcho(t.Context(), conn, addMethod, "x"); err != nil || reply != "b:x" {
			t.Fatal(reply, err)
		}
	}
}

func TestThisHostFirst(t *testing.T) {
	near, far := newStock(t, "near"), newStock(t, "far")
	nearby, away := near.instance(), far.instance()
	nearby.Host, away.Host = "here", "there"
	registry := newScript(nearby, away)
	conn := bound(t, &rpc.Client{Registry: registry, Host: "here", Balancing: balancer.Policies{"": {Picker: func() balancer.Picker { return &inTurn{} }}}})
	until(t, "near", func() bool { reply, _ := callEcho(t.Context(), conn, addMethod, "x"); return reply == "near:x" })
	for range 10 {
		if reply, err := callEcho(t.Context(), conn, addMethod, "x"); err != nil || reply != "near:x" {
			t.Fatal(reply, err)
		}
	}
	near.server.Stop()
	for range 10 {
		if reply, err := callEcho(t.Context(), conn, readMethod, "x"); err != nil || reply != "far:x" {
			t.Fatal(reply, err)
		}
	}
}

func TestEndpoints(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "a.sock")
	lis, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	newStockOn(t, lis, "unix")
	tcp := newStock(t, "tcp")
	unixURL, tcpURL, missing := "unix://"+filepath.ToSlash(socket), "tcp://"+tcp.addr, "unix:///nowhere/at/all.sock"
	if filepath.VolumeName(socket) != "" {
		unixURL = "unix:///" + filepath.ToSlash(socket)
	}
	tests := []struct {
		name      string
		endpoints []string
		host      string // of the instance; the caller's is "here"
		path      rpc.Path
		reply     string
		wantPath  rpc.Path
		err       string
	}{
		{name: "unix first", endpoints: []string{tcpURL, unixURL}, host: "here", reply: "unix:x", wantPath: rpc.Unix},
		{name: "unix of another host", endpoints: []string{unixURL, tcpURL}, host: "there", reply: "tcp:x", wantPath: rpc.TCP},
		{name: "unix fails", endpoints: []string{missing, tcpURL}, host: "here", reply: "tcp:x", wantPath: rpc.TCP},
		{name: "tcp forced", endpoints: []string{unixURL, tcpURL}, host: "here", path: rpc.TCP, reply: "tcp:x", wantPath: rpc.TCP},
		{name: "unix forced", endpoints: []string{tcpURL, unixURL}, host: "here", path: rpc.Unix, reply: "unix:x", wantPath: rpc.Unix},
		{name: "unix forced and missing", endpoints: []string{missing, tcpURL}, host: "here", path: rpc.Unix, err: "all.sock"},
		{name: "unknown schemes are skipped", endpoints: []string{"nats://x", "::", tcpURL}, reply: "tcp:x", wantPath: rpc.TCP},
		{name: "only unknown", endpoints: []string{"nats://x"}, err: `no transport for "nats"`},
		{name: "none", err: "no endpoint"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inst := discovery.Instance{Service: "echo", ID: "i1", State: discovery.Ready, Endpoints: test.endpoints, Host: test.host}
			conn := bound(t, &rpc.Client{Registry: newScript(inst), Host: "here", Path: test.path})
			var info rpc.CallInfo
			reply, err := callEcho(t.Context(), conn, addMethod, "x", &info)
			if test.err != "" {
				wantError(t, err, codes.Unavailable, test.err, "i1", `"echo"`)
				if info.Path != "" || info.Attempts != 0 {
					t.Errorf("info %+v", info)
				}
				return
			}
			if err != nil || reply != test.reply {
				t.Fatal(reply, err)
			}
			if info.Path != test.wantPath || info.Instance != "i1" {
				t.Errorf("info %+v", info)
			}
		})
	}
}

// A transport of another scheme is a path of its own.
type renamed struct{ rpc.TCPTransport }

func (renamed) Schemes() []string { return []string{"wool"} }

func (renamed) Dial(ctx context.Context, endpoint *url.URL) (net.Conn, error) {
	return rpc.TCPTransport{}.Dial(ctx, endpoint)
}

func TestOwnTransport(t *testing.T) {
	s := newStock(t, "a")
	inst := s.instance()
	inst.Endpoints = []string{"wool://" + s.addr}
	conn := bound(t, &rpc.Client{Registry: newScript(inst), Transports: []rpc.Transport{renamed{}}})
	var info rpc.CallInfo
	if _, err := callEcho(t.Context(), conn, addMethod, "x", &info); err != nil || info.Path != "wool" {
		t.Fatal(info, err)
	}
}

func TestAuthorityAndInstance(t *testing.T) {
	s := newStock(t, "a")
	type seen struct{ authority, instance []string }
	got := make(chan seen, 1)
	s.hook = func(ctx context.Context, _ string) error {
		got <- seen{incomingValues(ctx, ":authority"), incomingValues(ctx, "hanse-instance")}
		return nil
	}
	announced := s.instance()
	static := announced
	static.ID = ""
	for _, test := range []struct {
		inst      discovery.Instance
		authority string
		instance  []string
	}{
		{announced, "echo", []string{"a"}},
		{static, s.addr, nil},
	} {
		conn := bound(t, &rpc.Client{Registry: newScript(test.inst)})
		if _, err := callEcho(t.Context(), conn, addMethod, "x"); err != nil {
			t.Fatal(err)
		}
		if is := <-got; !slices.Equal(is.authority, []string{test.authority}) || !slices.Equal(is.instance, test.instance) {
			t.Errorf("%+v, want %s %s", is, test.authority, test.instance)
		}
		if _, err := callEcho(t.Context(), conn, addMethod, "x", grpc.CallAuthority("other")); err != nil {
			t.Fatal(err)
		}
		if is := <-got; !slices.Equal(is.authority, []string{"other"}) {
			t.Errorf("authority %s", is.authority)
		}
		conn.Close()
	}
}

// An instance that drained and is ready again is reached, also when its connection broke in between.
func TestInstanceIsReadyAgain(t *testing.T) {
	lis := loopback(t)
	first := newStockOn(t, lis, "a")
	registry := newScript(first.instance())
	conn := bound(t, &rpc.Client{Registry: registry})
	connected(t, conn, "a")

	ready, draining := first.instance(), first.instance()
	draining.State = discovery.Draining
	registry.set(draining)
	until(t, "drained", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		_, err := callEcho(ctx, conn, addMethod, "x")
		return status.Code(err) == codes.DeadlineExceeded
	})
	first.server.Stop()
	newStockOn(t, listenAt(t, lis.Addr().String()), "a")
	registry.set(ready)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := callEcho(ctx, conn, addMethod, "x", grpc.WaitForReady(true)); err != nil {
		t.Error(err)
	}
}
