//go:build unix

package rpc_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hanse-go/hanse/rpc"
	pb "github.com/hanse-go/hanse/rpc/internal/paritypb"
	"github.com/hanse-go/hanse/telemetry"
)

// BenchmarkTelemetry makes unary calls with telemetry off, with traces that are not recorded, and with all of them recorded and sent, to a
// receiver that throws them away. Allocations are those of both sides.
func BenchmarkTelemetry(b *testing.B) {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }))
	defer receiver.Close()
	for _, mode := range []struct {
		name   string
		config telemetry.Config
	}{
		{"off", telemetry.Config{Off: true}},
		{"unsampled", telemetry.Config{Traces: telemetry.Export{URL: receiver.URL}, Sampler: telemetry.ParentBasedOff}},
		{"sampled", telemetry.Config{Traces: telemetry.Export{URL: receiver.URL}, Sampler: telemetry.AlwaysOn, Batch: telemetry.Batch{Queue: 1 << 17}}},
	} {
		t, err := telemetry.New(mode.config)
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- t.Run(ctx) }()
		srv := &rpc.Server{Name: "parity", Telemetry: t.Service("parity", "", "p1")}
		client := &rpc.Client{Telemetry: t.Service("caller", "", "c1")}
		run := func(name string, conn *rpc.Conn, callers int) {
			b.Run(name+"/"+mode.name, func(b *testing.B) {
				c := pb.NewParityClient(conn)
				in := &pb.Request{Data: bytes.Repeat([]byte("x"), 100)}
				b.ReportAllocs()
				before := cpu(b)
				var wg sync.WaitGroup
				var done atomic.Int64
				for range callers {
					wg.Go(func() {
						for done.Add(1) <= int64(b.N) {
							ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
							if _, err := c.Unary(ctx, in); err != nil {
								b.Error(err)
							}
							cancel()
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
			})
		}
		pb.RegisterParityServer(srv, benchEcho{})
		srv.Start()
		client.Local = map[string]*rpc.Server{"parity": srv}
		local := rpc.NewConn("parity")
		if err := local.Bind(client); err != nil {
			b.Fatal(err)
		}
		run("inprocess", local, 1)

		lis := loopback(b)
		port := &rpc.Port{Servers: []*rpc.Server{srv}}
		served := make(chan error, 1)
		go func() { served <- port.Serve(lis) }()
		remote := &rpc.Client{Registry: known("tcp://" + lis.Addr().String()), Telemetry: client.Telemetry}
		conn := rpc.NewConn("parity")
		if err := conn.Bind(remote); err != nil {
			b.Fatal(err)
		}
		run("tcp", conn, 1)
		run("tcp-64", conn, 64)
		client.Close()
		remote.Close()
		port.Close()
		<-served
		srv.Stop()
		cancel()
		<-done
		if c := t.SpanCounts(); c.Dropped > 0 {
			b.Logf("%s: %+v", mode.name, c)
		}
	}
}

// cpu is the processor time that the program has had: of both sides, and of the receiver.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
