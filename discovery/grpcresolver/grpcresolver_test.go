package grpcresolver_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/grpcresolver"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a stock grpc-go server that says who it is.
type server struct {
	*grpc.Server
	t     *testing.T
	inst  discovery.Instance
	lease discovery.Lease
}

// listen starts a server on endpoints of the schemes, and does not announce it.
func listen(t *testing.T, id string, schemes ...string) *server {
	t.Helper()
	s := &server{t: t, inst: discovery.Instance{Service: "cart", ID: id, State: discovery.Ready}}
	s.Server = grpc.NewServer(grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		grpc.SetHeader(ctx, metadata.Pairs("id", id, "authority", strings.Join(md[":authority"], " ")))
		return handler(ctx, req)
	}))
	healthpb.RegisterHealthServer(s, health.NewServer())
	var wg sync.WaitGroup
	for _, scheme := range schemes {
		addr := "127.0.0.1:0"
		if scheme == "unix" {
			dir, err := os.MkdirTemp("", "gr") // shorter than t.TempDir
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			addr = filepath.Join(dir, "s")
		}
		lis, err := net.Listen(scheme, addr)
		if err != nil {
			t.Fatal(err)
		}
		s.inst.Endpoints = append(s.inst.Endpoints, scheme+"://"+lis.Addr().String())
		wg.Go(func() { s.Serve(lis) })
	}
	t.Cleanup(func() {
		s.Stop()
		wg.Wait()
	})
	return s
}

// announce puts the server into the registry until the test ends.
func (s *server) announce(reg discovery.Registrar) *server {
	s.t.Helper()
	lease, err := reg.Register(s.t.Context(), s.inst)
	if err != nil {
		s.t.Fatal(err)
	}
	s.lease = lease
	s.t.Cleanup(func() { lease.Close() })
	return s
}

func (s *server) update(state discovery.State) {
	s.t.Helper()
	s.inst.State = state
	if err := s.lease.Update(s.t.Context(), s.inst); err != nil {
		s.t.Fatal(err)
	}
}

func dial(t *testing.T, b *grpcresolver.Builder) healthpb.HealthClient {
	t.Helper()
	conn, err := grpc.NewClient("hanse:///cart", grpc.WithResolvers(b), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return healthpb.NewHealthClient(conn)
}

// answer is what a server says of a call.
type answer struct{ id, authority, network string }

func call(ctx context.Context, c healthpb.HealthClient) (answer, error) {
	var header metadata.MD
	var p peer.Peer
	_, err := c.Check(ctx, &healthpb.HealthCheckRequest{}, grpc.Header(&header), grpc.Peer(&p))
	if err != nil {
		return answer{}, err
	}
	return answer{header["id"][0], header["authority"][0], p.Addr.Network()}, nil
}

// mustCall calls with time enough for connections to be made.
func mustCall(t *testing.T, c healthpb.HealthClient) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	a, err := call(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// untilServedBy calls until exactly these servers answer.
func untilServedBy(t *testing.T, c healthpb.HealthClient, ids ...string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		counts := make(map[string]int)
		for range 4 * len(ids) {
			counts[mustCall(t, c).id]++
		}
		all := len(counts) == len(ids)
		for _, id := range ids {
			all = all && counts[id] > 0
		}
		if all {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("served by %v, want %v", counts, ids)
		}
	}
}

func TestServersComeAndGo(t *testing.T) {
	var reg discovery.Memory
	c := dial(t, &grpcresolver.Builder{Registry: &reg})
	a := listen(t, "a", "tcp").announce(&reg)
	untilServedBy(t, c, "a")
	b := listen(t, "b", "tcp").announce(&reg)
	listen(t, "c", "tcp").announce(&reg)
	untilServedBy(t, c, "a", "b", "c")
	counts := make(map[string]int)
	for range 30 {
		counts[mustCall(t, c).id]++
	}
	for id, n := range counts {
		if n != 10 {
			t.Errorf("%s got %d of 30 calls, want 10", id, n)
		}
	}
	a.update(discovery.Draining)
	untilServedBy(t, c, "b", "c")
	if err := b.lease.Close(); err != nil {
		t.Fatal(err)
	}
	untilServedBy(t, c, "c")
	a.update(discovery.Ready)
	untilServedBy(t, c, "a", "c")
}

// A call waits for the first instance; without any, after there were some, it fails with a clear status.
func TestNoInstance(t *testing.T) {
	var reg discovery.Memory
	c := dial(t, &grpcresolver.Builder{Registry: &reg})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := call(ctx, c); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("no instance yet: %v, want DeadlineExceeded", err)
	}
	waiting := make(chan answer, 1)
	go func() {
		got, err := call(t.Context(), c)
		if err != nil {
			t.Error(err)
		}
		waiting <- got
	}()
	a := listen(t, "a", "tcp")
	a.inst.State = discovery.Starting
	a.announce(&reg)
	select {
	case <-waiting:
		t.Error("an instance that starts got a call")
	case <-time.After(20 * time.Millisecond):
	}
	a.update(discovery.Ready)
	if got := <-waiting; got.id != "a" {
		t.Errorf("served by %v", got)
	}
	if err := a.lease.Close(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		if _, err := call(t.Context(), c); status.Code(err) == codes.Unavailable {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("all instances left: %v, want Unavailable", err)
		}
	}
	listen(t, "b", "tcp").announce(&reg)
	for {
		if got, err := call(t.Context(), c); err == nil && got.id == "b" {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("an instance came back: %v, %v", got, err)
		}
	}
}

func TestPathAndAuthority(t *testing.T) {
	host, err := discovery.HostID()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		builder grpcresolver.Builder
		server  func(t *testing.T) discovery.Instance
		want    answer
	}{
		{"same host", grpcresolver.Builder{}, func(t *testing.T) discovery.Instance {
			s := listen(t, "a", "unix", "tcp")
			s.inst.Host = host
			return s.inst
		}, answer{"a", "cart", "unix"}},
		{"same host, given", grpcresolver.Builder{Host: "h"}, func(t *testing.T) discovery.Instance {
			s := listen(t, "a", "unix", "tcp")
			s.inst.Host = "h"
			return s.inst
		}, answer{"a", "cart", "unix"}},
		{"other host", grpcresolver.Builder{Host: "h"}, func(t *testing.T) discovery.Instance {
			s := listen(t, "a", "unix", "tcp")
			s.inst.Host = "g"
			return s.inst
		}, answer{"a", "cart", "tcp"}},
		{"socket is gone", grpcresolver.Builder{Host: "h"}, func(t *testing.T) discovery.Instance {
			s := listen(t, "a", "tcp")
			s.inst.Host, s.inst.Endpoints = "h", append([]string{"unix:///no/such/socket", "nats://x"}, s.inst.Endpoints...)
			return s.inst
		}, answer{"a", "cart", "tcp"}},
		{"authority of its own", grpcresolver.Builder{}, func(t *testing.T) discovery.Instance {
			s := listen(t, "a", "tcp")
			s.inst.Authority = "cart.example.com"
			return s.inst
		}, answer{"a", "cart.example.com", "tcp"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var reg discovery.Memory
			lease, err := reg.Register(t.Context(), c.server(t))
			if err != nil {
				t.Fatal(err)
			}
			defer lease.Close()
			c.builder.Registry = &reg
			if got := mustCall(t, dial(t, &c.builder)); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestStatic(t *testing.T) {
	s := listen(t, "a", "tcp")
	addr := strings.TrimPrefix(s.inst.Endpoints[0], "tcp://")
	c := dial(t, &grpcresolver.Builder{Registry: discovery.Static{"cart": {addr}}})
	if got, want := mustCall(t, c), (answer{"a", addr, "tcp"}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	u := listen(t, "u", "unix")
	c = dial(t, &grpcresolver.Builder{Registry: discovery.Static{"cart": u.inst.Endpoints}})
	if got, want := mustCall(t, c), (answer{"u", "localhost", "unix"}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Servers are replaced one after the other while calls are made; none of these fails.
func TestRollingRestartLosesNoCall(t *testing.T) {
	reg := &discovery.Local{Dir: filepath.Join(t.TempDir(), "registry")}
	c := dial(t, &grpcresolver.Builder{Registry: reg})
	servers := []*server{listen(t, "a0", "tcp").announce(reg), listen(t, "b0", "tcp").announce(reg)}
	untilServedBy(t, c, "a0", "b0")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				if _, err := call(ctx, c); err != nil {
					t.Error(err)
				}
				cancel()
			}
		})
	}
	for round := range 5 {
		for i, old := range servers {
			id := fmt.Sprintf("%c%d", 'a'+i, round+1)
			servers[i] = listen(t, id, "tcp").announce(reg)
			untilServedBy(t, c, servers[0].inst.ID, servers[1].inst.ID, old.inst.ID)
			old.update(discovery.Draining)
			untilServedBy(t, c, servers[0].inst.ID, servers[1].inst.ID)
			old.GracefulStop()
			if err := old.lease.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	close(stop)
	wg.Wait()
}

type brokenRegistry struct{}

func (brokenRegistry) Watch(context.Context, string, func([]discovery.Instance)) error {
	return errors.New("registry is broken")
}

func TestMistakes(t *testing.T) {
	var reg discovery.Memory
	for _, c := range []struct {
		target  string
		builder grpcresolver.Builder
		want    string
	}{
		{"hanse:///Cart", grpcresolver.Builder{Registry: &reg}, `"Cart"`},
		{"hanse://cart", grpcresolver.Builder{Registry: &reg}, "three slashes"},
		{"hanse:///cart", grpcresolver.Builder{}, "without a Registry"},
		{"hanse:///cart", grpcresolver.Builder{Registry: &reg, ServiceConfig: "{"}, "service config"},
		{"hanse:///cart", grpcresolver.Builder{Registry: brokenRegistry{}}, "instances of cart: registry is broken"},
	} {
		conn, err := grpc.NewClient(c.target, grpc.WithResolvers(&c.builder), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := call(t.Context(), healthpb.NewHealthClient(conn)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", c.target, err, c.want)
		}
		conn.Close()
	}
}

func Example() {
	registry := discovery.Static{"cart": {"10.0.0.7:8443"}} // or another, such as new(discovery.Local)
	conn, err := grpc.NewClient("hanse:///cart",
		grpc.WithResolvers(&grpcresolver.Builder{Registry: registry}),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	fmt.Println(conn.Target()) // cartv1.NewCartServiceClient(conn) …
	// Output: hanse:///cart
}
