package suites

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

// TestProxy puts nghttpx in front of our server: all cases, then what proxies are for.
func TestProxy(t *testing.T) {
	for _, tls := range []bool{false, true} {
		t.Run("cases, "+wireName(tls), func(t *testing.T) {
			t.Parallel()
			nghttpx(t)
			s := newScore(t, "nghttpx: our server, our client, "+wireName(tls))
			_, backend := startOurs(t, tls)
			addr := startProxy(t, tls, backend)
			runOurs(t, s, addr, tls, concat(required, optional, compressing, own))
			runTheirs(t, s, addr, tls, []string{"ping_pong", "custom_metadata", "special_status_message", "cancel_after_first_response"})
		})
	}
	t.Run("behaviour", func(t *testing.T) {
		t.Parallel()
		nghttpx(t)
		s := newScore(t, "nghttpx: deadlines, streams, plain HTTP, drain")
		first, firstAddr := startOurs(t, false)
		_, secondAddr := startOurs(t, false)
		addr := startProxy(t, false, firstAddr, secondAddr)
		conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		client := testpb.NewTestServiceClient(conn)
		s.run(t, "a deadline ends the handler's wait", func(t *testing.T) { proxyDeadline(t, client) })
		s.run(t, "responses come when they are sent", func(t *testing.T) { proxyStreams(t, client) })
		s.run(t, "plain HTTP beside gRPC", func(t *testing.T) { proxyHTTP(t, addr, client) })
		s.run(t, "a server drains under load", func(t *testing.T) { proxyDrain(t, client, first) })
	})
}

func nghttpx(t *testing.T) string {
	t.Helper()
	return installed(t, "nghttpx", "install it (Debian: nghttp2-proxy)")
}

// startProxy starts nghttpx and returns its address. With tls, both of its sides have it.
func startProxy(t *testing.T, tls bool, backends ...string) string {
	t.Helper()
	comma := func(addr string) string { return strings.Replace(addr, ":", ",", 1) }
	addr := freeAddr(t)
	front, back := ";no-tls", ""
	var files []string
	if tls {
		cert, key := certificate(t)
		front, back, files = "", ";tls;sni="+certName, []string{"--cacert=" + cert, key, cert}
	}
	args := []string{
		"--conf=/dev/null", "--single-process", "--workers=1", "--log-level=NOTICE", "--accesslog-file=/dev/null",
		"--frontend=" + comma(addr) + front,
	}
	for _, b := range backends {
		args = append(args, "--backend="+comma(b)+";;proto=h2"+back)
	}
	start(t, `Listening on (\S+)`, nghttpx(t), append(args, files...)...)
	return addr
}

// proxyDeadline calls a handler that would wait for a minute.
func proxyDeadline(t *testing.T, client testpb.TestServiceClient) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	stream, err := client.StreamingOutputCall(ctx, &testpb.StreamingOutputCallRequest{
		ResponseParameters: []*testpb.ResponseParameters{{Size: 1}, {Size: 1, IntervalUs: 60e6}},
	})
	if err == nil {
		if _, err = stream.Recv(); err == nil {
			_, err = stream.Recv()
		}
	}
	if status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("the call ended with %v", err)
	}
}

// proxyStreams sends and receives in turn, so that nothing may be held back on the way.
func proxyStreams(t *testing.T, client testpb.TestServiceClient) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	stream, err := client.FullDuplexCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		size := int32(i * 97)
		if err := stream.Send(&testpb.StreamingOutputCallRequest{ResponseParameters: []*testpb.ResponseParameters{{Size: size}}}); err != nil {
			t.Fatal(err)
		}
		resp, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if got := len(resp.Payload.Body); got != int(size) {
			t.Fatalf("message %d has %d bytes, want %d", i, got, size)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v", err)
	}
}

// proxyHTTP asks for pages while there are calls, on the same connections between the proxy and the server.
func proxyHTTP(t *testing.T, addr string, client testpb.TestServiceClient) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	web := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	do := func(method string, body []byte) error {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+addr+"/page", bytes.NewReader(body))
		if err != nil {
			return err
		}
		res, err := web.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		got, err := io.ReadAll(res.Body)
		if err != nil {
			return err
		}
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s: %.200s", method, res.Status, got)
		}
		if method == http.MethodGet && !strings.Contains(string(got), "GET /page over HTTP/2.0") {
			return fmt.Errorf("GET: %q", got)
		}
		if method == http.MethodPost && !bytes.Equal(got, body) {
			return fmt.Errorf("POST: sent %d bytes, got others: %d", len(body), len(got))
		}
		return nil
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 20 {
				if err := do(http.MethodGet, nil); err != nil {
					t.Error(err)
					return
				}
				if _, err := client.EmptyCall(t.Context(), &testpb.Empty{}); err != nil {
					t.Error(err)
					return
				}
			}
			if err := do(http.MethodPost, bytes.Repeat([]byte("hanse"), 1<<20)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

// proxyDrain ends one of the two servers behind the proxy. It must end well, and no call may notice.
func proxyDrain(t *testing.T, client testpb.TestServiceClient, server *process) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var calls, after atomic.Int64
	var drained atomic.Bool
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			for after.Load() < 500 {
				var err error
				if i%4 == 0 { // runs for a while, so that the server must wait for it
					err = drainStream(ctx, client)
				} else {
					_, err = client.UnaryCall(ctx, &testpb.SimpleRequest{ResponseSize: 1000})
				}
				if err != nil {
					t.Errorf("after %d calls, drained=%v: %v", calls.Load(), drained.Load(), err)
					return
				}
				calls.Add(1)
				if drained.Load() {
					after.Add(1)
				}
			}
		})
	}
	for calls.Load() < 500 && ctx.Err() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	server.terminate(t)
	select {
	case <-server.done:
		if server.err != nil {
			t.Errorf("the server ended with %v", server.err)
		}
	case <-ctx.Done():
		t.Error("the server did not drain")
	}
	drained.Store(true)
	group.Wait()
}

func drainStream(ctx context.Context, client testpb.TestServiceClient) error {
	stream, err := client.StreamingOutputCall(ctx, &testpb.StreamingOutputCallRequest{
		ResponseParameters: []*testpb.ResponseParameters{{Size: 10}, {Size: 10, IntervalUs: 50e3}, {Size: 10, IntervalUs: 50e3}},
	})
	for err == nil {
		_, err = stream.Recv()
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func concat(lists ...[]string) []string {
	var all []string
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}
