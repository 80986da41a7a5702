package collector

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"google.golang.org/grpc"
)

// ErrNotFound is returned for a trace, a service or a metric that is not there, or not any more.
var ErrNotFound = errors.New("not found")

// Collector takes telemetry in and answers questions. Set its fields before [Collector.Run]; all methods may then be called concurrently,
// and before Run and after it, too: what comes is then counted as dropped, and questions find what is in memory.
type Collector struct {
	// Dir is the folder of its files, which nothing else uses. It is made on demand.
	Dir string

	// MaxBytes limits the files. Default 1 GiB.
	MaxBytes int64

	// MaxAge is how long spans and log lines are kept. Default 72 h.
	MaxAge time.Duration

	// Logger is told of what goes wrong. Default: slog's.
	Logger *slog.Logger
}

// Run keeps what comes until ctx ends, then writes what is in memory and returns. The error says why it cannot work: the folder is
// not to be written, or another collector has it.
func (c *Collector) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// Ready waits until Run takes in what comes.
func (c *Collector) Ready(ctx context.Context) error { return nil }

// Handler serves OTLP over HTTP: POST /v1/traces, /v1/metrics and /v1/logs, in protobuf or JSON, plain or with gzip.
func (c *Collector) Handler() http.Handler { return http.NotFoundHandler() }

// Register serves OTLP over gRPC.
func (c *Collector) Register(r grpc.ServiceRegistrar) {}

// AddLogs takes in log lines.
func (c *Collector) AddLogs(lines ...Log) {}

// Traces returns a list of traces.
func (c *Collector) Traces(ctx context.Context, q TraceQuery) (TracePage, error) {
	return TracePage{}, nil
}

// Trace returns all that is known of the trace with the ID, in hexadecimal. The error is [ErrNotFound] when that is nothing.
func (c *Collector) Trace(ctx context.Context, id string) (Trace, error) { return Trace{}, ErrNotFound }

// Logs returns log lines.
func (c *Collector) Logs(ctx context.Context, q LogQuery) (LogPage, error) { return LogPage{}, nil }

// Map returns who calls whom.
func (c *Collector) Map(ctx context.Context, w Window) (Map, error) { return Map{}, nil }

// Services returns the services that told something in the window, by name.
func (c *Collector) Services(ctx context.Context, w Window) ([]ServiceSummary, error) {
	return nil, nil
}

// Service returns what is known of one service. The error is [ErrNotFound] when that is nothing.
func (c *Collector) Service(ctx context.Context, name string, w Window) (ServiceDetail, error) {
	return ServiceDetail{}, ErrNotFound
}

// Problems returns what is wrong now.
func (c *Collector) Problems(ctx context.Context) ([]Problem, error) { return nil, nil }

// Metrics returns the metrics that there are, by name.
func (c *Collector) Metrics(ctx context.Context) ([]MetricInfo, error) { return nil, nil }

// Series returns a metric over time. The error is [ErrNotFound] when there is no such metric.
func (c *Collector) Series(ctx context.Context, q SeriesQuery) (SeriesResult, error) {
	return SeriesResult{}, ErrNotFound
}

// Attributes returns the attributes of the newest spans and lines.
func (c *Collector) Attributes(ctx context.Context, q AttributeQuery) ([]AttributeKey, error) {
	return nil, nil
}

// Stats returns the collector's own state.
func (c *Collector) Stats() Stats { return Stats{} }

// Changes returns a channel of notices, at most four a second, that is closed when ctx ends.
func (c *Collector) Changes(ctx context.Context) <-chan Change {
	ch := make(chan Change)
	context.AfterFunc(ctx, func() { close(ch) })
	return ch
}
