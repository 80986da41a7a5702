package telemetry

import (
	"context"
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

	mu       sync.Mutex
	services map[resourceKey]*Service
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
	return &Telemetry{
		config: config, limits: config.Limits.withDefaults(), sampling: newSampling(&config),
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
	return t.runMetrics(ctx)
}

func (t *Telemetry) logger() *slog.Logger {
	if t.config.Logger != nil {
		return t.config.Logger
	}
	return slog.Default()
}
