// Package intake is where programs send their traces, logs and numbers: one port that takes OTLP over HTTP and over gRPC.
package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/rpc"
	"github.com/hanse-go/hanse/telemetry/collector"
)

// Intake gives what comes to a collector. Set its fields before [Intake.Serve].
type Intake struct {
	Collector *collector.Collector

	// Problemf is told what people should know: that something is not kept, and why.
	Problemf func(format string, args ...any)
}

// Serve takes in what comes to lis, and runs the collector, in goroutines of work, until ctx ends. It returns when the collector takes what
// comes, true, or when it cannot, which is a problem of which people were told: everything else goes on.
func (i *Intake) Serve(ctx context.Context, lis net.Listener, work *sync.WaitGroup) (keeps bool, err error) {
	quiet := slog.New(slog.DiscardHandler)
	server := &rpc.Server{Name: "telemetry", Logger: quiet}
	i.Collector.Register(server)
	if err := server.Err(); err != nil {
		return false, errors.Join(fmt.Errorf("taking in telemetry: %w", err), lis.Close())
	}
	server.Start()
	handler := i.Collector.Handler()
	if at, ok := lis.Addr().(*net.TCPAddr); ok && at.IP.IsLoopback() {
		handler = localOnly(handler)
	}
	port := &rpc.Port{Shared: server, HTTP: handler, Logger: quiet}
	ended, over := context.WithCancel(ctx)
	work.Go(func() {
		defer over()
		if err := i.Collector.Run(ctx); err != nil {
			i.Problemf("traces and logs are not kept: %v", err)
		}
	})
	keeps = i.Collector.Ready(ended) == nil // else it has ended and said why
	work.Go(func() {
		if err := port.Serve(lis); err != nil && ctx.Err() == nil {
			i.Problemf("telemetry is not taken in any more: %v", err)
		}
	})
	work.Go(func() {
		<-ctx.Done()
		server.Stop()
		_ = port.Close() // nothing is to be saved of it
	})
	work.Go(func() { i.tellDrops(ctx) })
	return keeps, nil
}

// localOnly refuses requests that name another machine: a page of a name that was made to point here.
func localOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if ip := net.ParseIP(strings.Trim(host, "[]")); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			http.Error(w, "telemetry is taken from programs of this machine", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// dropsEvery is how often it is told that telemetry was dropped.
const dropsEvery = time.Minute

// tellDrops tells what the collector did not keep.
func (i *Intake) tellDrops(ctx context.Context) {
	var last time.Time
	for c := range i.Collector.Changes(ctx) {
		if c.Dropped == 0 || time.Since(last) < dropsEvery {
			continue
		}
		last = time.Now()
		var newest collector.Drop
		for _, d := range i.Collector.Stats().Dropped {
			if d.Last.After(newest.Last) {
				newest = d
			}
		}
		i.Problemf("some telemetry is not kept: %d %s so far, because %s", newest.Count, newest.Signal, newest.Reason)
	}
}
