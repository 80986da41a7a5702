package dev

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/logs"
	"github.com/hanse-go/hanse/internal/rundir"
	"github.com/hanse-go/hanse/internal/systems"
	"github.com/hanse-go/hanse/rpc"
	"github.com/hanse-go/hanse/telemetry/collector"
)

// telemetryName is under which the port of the collector is remembered, so that a program in another terminal goes on after a restart.
const telemetryName = "(telemetry)"

// openTelemetry makes the collector. Its data are in a folder of that name, and outlive hanse dev.
func (s *supervisor) openTelemetry(folder string) error {
	dir, err := rundir.State("dev", folder, "telemetry")
	if err != nil {
		return fmt.Errorf("no folder for traces and logs: %w", err)
	}
	s.telemetry = &collector.Collector{Dir: dir, Logger: slog.New(slog.NewJSONHandler(lines{s: s, unkept: true}, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	return nil
}

// serveTelemetry runs the collector until ctx ends. Traces, metrics and logs come to one port, by OTLP over HTTP and over gRPC.
func (s *supervisor) serveTelemetry(ctx context.Context, services *sync.WaitGroup) error {
	lis, err := s.doors.listen(telemetryName)
	if err != nil {
		return fmt.Errorf("taking in telemetry: %w", err)
	}
	s.telemetryURL = "http://" + lis.Addr().String()
	quiet := slog.New(slog.DiscardHandler)
	server := &rpc.Server{Name: "telemetry", Logger: quiet}
	s.telemetry.Register(server)
	if err := server.Err(); err != nil {
		return errors.Join(fmt.Errorf("taking in telemetry: %w", err), lis.Close())
	}
	server.Start()
	port := &rpc.Port{Shared: server, HTTP: localOnly(s.telemetry.Handler()), Logger: quiet}
	ended, over := context.WithCancel(ctx)
	services.Go(func() {
		defer over()
		// Without it everything else works, so the system goes on.
		if err := s.telemetry.Run(ctx); err != nil {
			s.problemf("traces and logs are not kept: %v", err)
		}
	})
	if s.telemetry.Ready(ended) == nil { // else it has ended and said why
		s.keepLines()
	}
	services.Go(func() {
		if err := port.Serve(lis); err != nil && ctx.Err() == nil {
			s.problemf("telemetry is not taken in any more: %v", err)
		}
	})
	services.Go(func() {
		<-ctx.Done()
		server.Stop()
		_ = port.Close() // nothing is to be saved of it
	})
	services.Go(func() { s.tellDrops(ctx) })
	return nil
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
func (s *supervisor) tellDrops(ctx context.Context) {
	var last time.Time
	for c := range s.telemetry.Changes(ctx) {
		if c.Dropped == 0 || time.Since(last) < dropsEvery {
			continue
		}
		last = time.Now()
		var newest collector.Drop
		for _, d := range s.telemetry.Stats().Dropped {
			if d.Last.After(newest.Last) {
				newest = d
			}
		}
		s.problemf("some telemetry is not kept: %d %s so far, because %s", newest.Count, newest.Signal, newest.Reason)
	}
}

// telemetryEnv adds the variables that send a unit's telemetry to the collector, unless the user has it sent elsewhere.
func (s *supervisor) telemetryEnv(u *unit, set map[string]string) {
	for _, e := range os.Environ() {
		if strings.HasPrefix(e, "OTEL_") && strings.Contains(e, "_ENDPOINT=") {
			return
		}
	}
	if s.telemetryURL == "" {
		return
	}
	all := systems.TelemetryEnv(s.telemetryURL)
	if u.foreign() {
		all["OTEL_SERVICE_NAME"] = cmp.Or(strings.Join(u.services[:min(1, len(u.services))], ""), u.name)
	} else {
		all["OTEL_LOGS_EXPORTER"] = "none" // its output is read
		if len(u.services) == 0 {          // it only calls
			all["OTEL_SERVICE_NAME"] = u.name
		}
	}
	maps.DeleteFunc(all, func(name, _ string) bool { _, given := os.LookupEnv(name); return given })
	maps.Copy(set, all)
}

// tell adds a line to what hanse dev remembers, and hands it to the collector.
func (s *supervisor) tell(l logs.Line) {
	s.ring.Add(l)
	if s.keepsLines.Load() {
		s.telemetry.AddLogs(l.Stored())
	}
}

// keepLines begins to hand lines to the collector, those of before first.
func (s *supervisor) keepLines() {
	before, _ := s.ring.Last(ringLines, nil)
	for _, l := range before {
		s.telemetry.AddLogs(l.Stored())
	}
	s.keepsLines.Store(true)
}
