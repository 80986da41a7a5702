package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/internal/otlp"
)

// Telemetry is what one process tells of its services. A nil *Telemetry is off: all its methods work, and do nothing. It is safe for
// concurrent use.
type Telemetry struct {
	config   Config
	limits   Limits
	sampling sampling
	clock    clock
	cells    cells
	names    names
	spans    *spans  // nil: nowhere to send them to
	keeper   *keeper // nil: traces that are not recorded are not looked at

	logs *logExport // nil: none are sent

	metricSender atomic.Pointer[otlp.Sender] // nil: none are sent, or not yet

	mu       sync.Mutex
	services map[resourceKey]*Service

	refusedNames sync.Map // of numbers that Prometheus is not shown
}

// New returns the telemetry of a process. Run sends what it collects. With Config.Off it returns nil, which is off. The error says what is
// wrong with the config, or with the files that it names.
func New(config Config) (*Telemetry, error) {
	if err := config.Check(); err != nil {
		return nil, err
	}
	if config.Off {
		return nil, nil
	}
	config.Batch, config.LogBatch = config.Batch.withDefaults(), config.LogBatch.withDefaults()
	if config.Slow == 0 {
		config.Slow = time.Second
	}
	logs, err := newLogExport(&config)
	if err != nil {
		return nil, err
	}
	t := &Telemetry{
		config: config, logs: logs, limits: config.Limits.withDefaults(), sampling: newSampling(&config),
		services: make(map[resourceKey]*Service), cells: newCells(),
	}
	t.clock.init()
	if config.Traces.On() {
		sender, err := otlp.NewSender(config.Traces.endpoint(), t.logger().With("signal", "traces"))
		if err != nil {
			return nil, fmt.Errorf("telemetry: Config.Traces: %w", err)
		}
		t.spans = &spans{telemetry: t, batch: config.Batch, sender: sender, due: make(chan struct{}, 1)}
		if !config.NoKeep && config.Sampler != AlwaysOff {
			t.keeper = newKeeper(t)
		}
	}
	return t, nil
}

// flushTimeout is how long Run may take to send the last of it.
const flushTimeout = 5 * time.Second

// Run sends what is collected until ctx ends, and then the rest, for 5 s at most. Its error says why not all of that could be sent. It is to
// be called once.
func (t *Telemetry) Run(ctx context.Context) error {
	if t == nil {
		<-ctx.Done()
		return nil
	}
	parts := []func(context.Context) error{t.runMetrics, t.runLogs} // each until ctx ends, and then its rest
	if t.spans != nil {
		parts = append(parts, t.spans.run)
	}
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

// outlast returns a context that ends some time after ctx. The cancel function must be called.
func outlast(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(by, cancel) })
	return longer, func() {
		stop()
		cancel()
	}
}

// SpanCounts tells what became of spans.
type SpanCounts struct {
	Sent    uint64 // taken by the receiver
	Dropped uint64 // not sent: too many waited, or the receiver did not take them
	Waiting int64  // now

	// Of traces that are not recorded:
	Forgotten uint64 // spans that were not remembered for long enough, had their trace turned out to be worth it
	Refused   uint64 // spans that were worth it, when too many were
}

// SpanCounts returns what became of spans so far.
func (t *Telemetry) SpanCounts() (c SpanCounts) {
	if t == nil || t.spans == nil {
		return c
	}
	sent := t.spans.sender.Counts()
	c = SpanCounts{Sent: sent.Sent, Dropped: t.spans.dropped.Load() + sent.Dropped + sent.Refused, Waiting: t.spans.waiting.Load()}
	if k := t.keeper; k != nil {
		c.Forgotten, c.Refused = k.lost.Load(), k.refused.Load()
	}
	return c
}
