package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/balancer"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/internal/memnet"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

// town is a network in memory with instances of "echo" on hosts of their own. All in it runs within one bubble of virtual time.
type town struct {
	net     memnet.Network
	ports   []*rpc.Port
	servers []*rpc.Server
}

func (w *town) instance(t *testing.T, id string) (*echoService, discovery.Instance) {
	t.Helper()
	e := &echoService{name: id}
	srv := &rpc.Server{Name: "echo", Instance: id}
	e.register(srv)
	srv.Start()
	lis, err := w.net.Host(id).Listen("1")
	if err != nil {
		t.Fatal(err)
	}
	port := &rpc.Port{Servers: []*rpc.Server{srv}}
	go port.Serve(lis)
	w.ports, w.servers = append(w.ports, port), append(w.servers, srv)
	return e, discovery.Instance{Service: "echo", ID: id, State: discovery.Ready, Endpoints: []string{"mem://" + id + ":1"}}
}

func (w *town) client(registry discovery.Registry, picker balancer.Picker) *rpc.Client {
	return &rpc.Client{
		Registry:   registry,
		Transports: []rpc.Transport{memory{w.net.Host("caller")}},
		Balancing:  balancer.Policies{"": {Picker: func() balancer.Picker { return picker }}},
	}
}

func (w *town) close(conn *rpc.Conn) {
	conn.Close()
	for i := range w.ports {
		w.ports[i].Close()
		w.servers[i].Stop()
	}
}

func TestEverythingInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w town
		w.net.SetLatency(10 * time.Millisecond)
		e, inst := w.instance(t, "a")
		e.hook = func(ctx context.Context, _ string) error {
			select {
			case <-time.After(time.Minute):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		conn := bound(t, w.client(newScript(inst), new(balancer.P2C)))
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if reply, err := callEcho(ctx, conn, addMethod, "x"); err != nil || reply != "a:x" {
			t.Fatal(reply, err)
		}
		if took := time.Since(start); took < time.Minute || took > time.Minute+time.Second {
			t.Errorf("took %v", took)
		}
		_, err := callEcho(t.Context(), conn, addMethod, "x")
		wantError(t, err, codes.DeadlineExceeded)
		w.close(conn)
	})
}

// After a connection broke, calls wait a moment for it, for another instance, or for news; then they fail at once.
func TestLostInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w town
		_, inst := w.instance(t, "a")
		registry := newScript(inst)
		conn := bound(t, w.client(registry, new(balancer.P2C)))
		if _, err := callEcho(t.Context(), conn, addMethod, "x"); err != nil {
			t.Fatal(err)
		}
		w.ports[0].Close()
		synctest.Wait()
		start := time.Now()
		_, err := callEcho(t.Context(), conn, addMethod, "x")
		wantError(t, err, codes.Unavailable, "a at mem://a:1")
		if took := time.Since(start); took < 900*time.Millisecond || took > time.Second {
			t.Errorf("the first call took %v", took)
		}
		start = time.Now()
		_, err = callEcho(t.Context(), conn, addMethod, "x")
		wantError(t, err, codes.Unavailable, "a at mem://a:1")
		if took := time.Since(start); took > 0 {
			t.Errorf("the second call took %v", took)
		}

		// It comes back where it was.
		lis, err := w.net.Host("a").Listen("1")
		if err != nil {
			t.Fatal(err)
		}
		port := &rpc.Port{Servers: w.servers[:1]}
		go port.Serve(lis)
		start = time.Now()
		if _, err := callEcho(t.Context(), conn, addMethod, "x", grpc.WaitForReady(true)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 4*time.Second {
			t.Errorf("connecting again took %v", took)
		}

		// Another one comes in the moment in which it is lost.
		port.Close()
		synctest.Wait()
		_, second := w.instance(t, "b")
		time.AfterFunc(500*time.Millisecond, func() { registry.set(second) })
		if reply, err := callEcho(t.Context(), conn, addMethod, "x"); err != nil || reply != "b:x" {
			t.Fatal(reply, err)
		}
		w.close(conn)
	})
}

// A host that swallows everything is left alone, and noticed by the pings of a call that waits on it.
func TestSilentHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w town
		_, a := w.instance(t, "a")
		_, b := w.instance(t, "b")
		conn := bound(t, w.client(newScript(a, b), prefer{"a"}))
		synctest.Wait()
		if reply, err := callEcho(t.Context(), conn, addMethod, "x"); err != nil || reply != "a:x" {
			t.Fatal(reply, err)
		}
		w.net.Isolate("a")
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		reply, err := callEcho(ctx, conn, readMethod, "x")
		if err != nil || reply != "b:x" {
			t.Fatal(reply, err)
		}
		if took := time.Since(start); took > time.Minute {
			t.Errorf("took %v", took)
		}
		for range 5 {
			start = time.Now()
			if reply, err := callEcho(t.Context(), conn, addMethod, "x"); err != nil || reply != "b:x" || time.Since(start) > time.Second {
				t.Fatal(reply, err, time.Since(start))
			}
		}
		w.net.Heal()
		w.close(conn)
	})
}

// A call counts against no instance when its caller gives up, and against the one that failed it.
func TestOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w town
		e, a := w.instance(t, "a")
		e.hook = func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }
		spy := &spy{}
		conn := bound(t, w.client(newScript(a), spy))
		for range 20 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := callEcho(ctx, conn, addMethod, "x")
			wantError(t, err, codes.DeadlineExceeded)
			cancel()
		}
		err := conn.Invoke(t.Context(), addMethod, stringValue("x"), stringValue(""), grpc.PerRPCCredentials(lostKey{})) // is not sent
		wantError(t, err, codes.Internal)
		if c := spy.last; c.InFlight() != 0 || c.Latency() != 0 {
			t.Errorf("in flight %d, latency %v", c.InFlight(), c.Latency())
		}
		stream, err := chatEcho(t.Context(), conn)
		if err != nil {
			t.Fatal(err)
		}
		if n := spy.last.InFlight(); n != 1 {
			t.Errorf("in flight %d", n)
		}
		w.net.Kill("a")
		if err := stream.RecvMsg(stringValue("")); err == nil {
			t.Error("no error")
		}
		if c := spy.last; c.InFlight() != 0 || c.Latency() == 0 {
			t.Errorf("in flight %d, latency %v", c.InFlight(), c.Latency())
		}
		w.close(conn)
	})
}

// A request that was sent to a port before it drained is answered, although the port had not read a byte of it, and a connection that
// stays silent does not hold the port up.
func TestDrainTakesWhatIsOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n memnet.Network
		n.SetLatency(50 * time.Millisecond)
		lis, err := n.Host("shop").Listen("80")
		if err != nil {
			t.Fatal(err)
		}
		port := &rpc.Port{HTTP: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "still here") })}
		defer port.Close()
		go port.Serve(lis)
		dial := func() net.Conn {
			conn, err := n.Host("browser").Dial(t.Context(), "shop:80")
			if err != nil {
				t.Fatal(err)
			}
			return conn
		}
		silent, browser := dial(), dial()
		defer silent.Close()
		defer browser.Close()
		synctest.Wait() // both are accepted
		if _, err := io.WriteString(browser, "GET / HTTP/1.1\r\nHost: shop\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		answer := make(chan string, 1)
		go func() {
			all, err := io.ReadAll(browser)
			answer <- fmt.Sprint(string(all), err)
		}()
		start := time.Now()
		if err := port.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took < 400*time.Millisecond || took > time.Second {
			t.Errorf("drained in %v", took)
		}
		if got := <-answer; !strings.HasPrefix(got, "HTTP/1.1 200") || !strings.HasSuffix(got, "still here<nil>") {
			t.Errorf("the answer: %q", got)
		}
		if _, err := silent.Read(make([]byte, 1)); err == nil {
			t.Error("the silent connection was not closed")
		}
	})
}

// Close ends a drain that waits for what is on its way.
func TestCloseDoesNotWaitForWhatIsOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n memnet.Network
		lis, err := n.Host("shop").Listen("80")
		if err != nil {
			t.Fatal(err)
		}
		var port rpc.Port
		go port.Serve(lis)
		silent, err := n.Host("browser").Dial(t.Context(), "shop:80")
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		synctest.Wait()
		drained := make(chan error, 1)
		go func() { drained <- port.Drain(t.Context()) }()
		synctest.Wait()
		start := time.Now()
		port.Close()
		if err := <-drained; err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took > 0 {
			t.Errorf("took %v", took)
		}
	})
}

// Close leaves nothing behind that waits for time to pass, not even after a drain that was given up: in a bubble, where time stops with
// the test, that would never end.
func TestCloseAfterADrainThatWasGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n memnet.Network
		lis, err := n.Host("shop").Listen("80")
		if err != nil {
			t.Fatal(err)
		}
		running := make(chan struct{})
		port := &rpc.Port{HTTP: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(running)
			<-r.Context().Done()
		})}
		go port.Serve(lis)
		browser, err := n.Host("browser").Dial(t.Context(), "shop:80")
		if err != nil {
			t.Fatal(err)
		}
		defer browser.Close()
		if _, err := io.WriteString(browser, "GET / HTTP/1.1\r\nHost: shop\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		<-running
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := port.Drain(short); err == nil {
			t.Error("drained while a request ran")
		}
		port.Close()
	})
}

// lostKey is a credential that cannot be had, which takes a while to find out.
type lostKey struct{}

func (lostKey) RequireTransportSecurity() bool { return false }

func (lostKey) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	time.Sleep(time.Second)
	return nil, errors.New("the key is lost")
}

type spy struct{ last *balancer.Candidate }

func (s *spy) Pick(c []*balancer.Candidate) *balancer.Candidate {
	s.last = c[0]
	return c[0]
}
