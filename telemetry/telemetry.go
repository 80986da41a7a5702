package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// Telemetry is what one process tells of its services. A nil *Telemetry is off: all its methods work, and do nothing. It is safe for
// concurrent use.
type Telemetry struct {
	config   Config
	limits   Limits
	sampling sampling

	logs *logExport // nil: none are sent

	mu       sync.Mutex
	services map[resourceKey]*Service

	refusedNames sync.Map // of numbers that Prometheus is not shown
}

// New returns the telemetry of a process. Run sends what it collects. With Config.Off it returns nil, which is off.
func New(config Config) (*Telemetry, error) {
	if err := config.Check(); err != nil {
		return nil, err
	}
	if config.Off {
		return nil, nil
	}
	config.Batch, config.LogBatch = config.Batch.withDefaults(), config.LogBatch.withDefaults()
	switch config.Slow {
	case 0:
		config.Slow = time.Second
	}
	logs, err := newLogExport(&config)
	if err != nil {
		return nil, err
	}
	return &Telemetry{
		config: config, logs: logs, limits: config.Limits.withDefaults(), sampling: newSampling(&config),
		services: make(map[resourceKey]*Service),
	}, nil
}

// flushTimeout is how long Run may take to send the last of it.
const flushTimeout = 5 * time.Second

// Run sends what is collected until ctx ends, and then the rest, for 5 s at most. Its error says what was lost at the end. It is to be called
// once.
func (t *Telemetry) Run(ctx context.Context) error {
	if t == nil {
		<-ctx.Done()
		return nil
	}
	parts := []func(context.Context) error{t.runMetrics, t.runLogs} // each until ctx ends, and then its rest
	errs := make([]error, len(parts))
	var running sync.WaitGroup
	for i, part := range parts {
		running.Go(func() { errs[i] = part(ctx) })
	}
	running.Wait()
	return errors.Join(errs...)
}

func (t *Telemetry) logger() *slog.Logger {
	if t.config.Logger != nil {
		return t.config.Logger
	}
	return slog.Default()
}
