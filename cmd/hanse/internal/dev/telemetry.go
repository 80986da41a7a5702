package dev

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"strings"
	"sync"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/logs"
	"github.com/hanse-go/hanse/cmd/hanse/internal/intake"
	"github.com/hanse-go/hanse/internal/rundir"
	"github.com/hanse-go/hanse/internal/systems"
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
	in := &intake.Intake{Collector: s.telemetry, Problemf: s.problemf}
	keeps, err := in.Serve(ctx, lis, services)
	if keeps {
		s.keepLines()
	}
	return err
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
