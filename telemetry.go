package hanse

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"sync"

	"github.com/hanse-go/hanse/internal/systems"
	"github.com/hanse-go/hanse/telemetry"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
)

// telling is the telemetry of an App, from when the first of its callers or services needs it to the end.
type telling struct {
	once sync.Once
	it   *telemetry.Telemetry // nil: off
	err  error
	end  func()
}

// telemetry returns what the app tells with; nil is off. It sends until endTelemetry.
func (a *App) telemetry() (*telemetry.Telemetry, error) {
	t := &a.telling
	t.once.Do(func() {
		t.end = func() {}
		config := a.Telemetry
		config.Off = config.Off || a.NoTelemetry
		if config.Logger == nil {
			config.Logger = a.logger()
		}
		if t.it, t.err = telemetry.New(config); t.it == nil {
			return
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if err := t.it.Run(ctx); err != nil {
				config.Logger.Warn("not all telemetry was sent", "error", err)
			}
		}()
		t.end = func() {
			cancel()
			<-ended
		}
	})
	return t.it, t.err
}

// endTelemetry sends what was not sent yet.
func (a *App) endTelemetry() {
	a.telling.once.Do(func() { a.telling.end = func() {} }) // nobody needs it any more
	a.telling.end()
}

// Telemetry is what the service is told of with, for its databases and its own spans and numbers. It is nil, which is off, before Setup, and where
// telemetry is off.
func (s *Service) Telemetry() *telemetry.Service { return s.telemetry() }

// CallerTelemetry is what the calls of [App.Conn] are told of with, for what a program that is no service does besides. It is nil, which is off, where telemetry is off
// or App.Telemetry has mistakes, which the first call or Run tells.
func (a *App) CallerTelemetry() *telemetry.Service {
	t, err := a.telemetry()
	if err != nil {
		return nil
	}
	return t.Service("", buildVersion(), "")
}

// telemetry is what the service is told of with; nil before it runs, and where telemetry is off.
func (s *Service) telemetry() *telemetry.Service {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.member == nil {
		return nil
	}
	return s.member.tells
}

// offerTelemetry has libraries that ask OpenTelemetry's global providers told of with s, unless the program has set providers itself.
func offerTelemetry(s *telemetry.Service) {
	if s == nil {
		return
	}
	if isPlaceholder(otel.GetTracerProvider()) {
		otel.SetTracerProvider(s.SharedTracerProvider())
	}
	if isPlaceholder(otel.GetMeterProvider()) {
		otel.SetMeterProvider(s.MeterProvider())
	}
	if isPlaceholder(otel.GetTextMapPropagator()) {
		otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
	}
}

// isPlaceholder reports whether what OpenTelemetry has is its own, which waits for another one to be set.
func isPlaceholder(global any) bool {
	t := reflect.TypeOf(global)
	return t != nil && t.Kind() == reflect.Pointer && t.Elem().PkgPath() == "go.opentelemetry.io/otel/internal/global"
}

// joinTelemetry tells the collector of a running system, unless it was said where to tell, or that nothing is to be told.
func (v *values) joinTelemetry(url string) {
	a := v.app
	c := a.Telemetry
	if url == "" || a.NoTelemetry || c.Off || c.Traces.URL+c.Metrics.URL+c.Logs.URL != "" {
		return
	}
	joined, err := telemetry.FromEnv(systems.LookupTelemetry(url))
	if err == nil { // what is wrong in the environment was told before
		a.Telemetry = joined.Over(c)
	}
}

// telemetryFromEnv reads the variables of OpenTelemetry, which come before the fields.
func (a *App) telemetryFromEnv() error {
	config, err := telemetry.FromEnv(os.LookupEnv)
	if err != nil {
		return fmt.Errorf("in the environment: %w", err)
	}
	a.Telemetry = config.Over(a.Telemetry)
	return nil
}
