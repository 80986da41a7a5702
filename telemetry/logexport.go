package telemetry

import (
	"context"
	"encoding"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strconv"
	"sync"
	"time"

	"github.com/hanse-go/hanse/internal/otlp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// maxLogAttributes is how many attributes a record may have that is sent, and maxLogText how long a text in it may be, in bytes.
const (
	maxLogAttributes = 128
	maxLogText       = 64 << 10
	maxLogQueue      = 16 << 20 // bytes of texts that wait, about
)

// logExport holds the records that are to be sent. Whoever logs never waits: what finds it full is dropped, and counted.
type logExport struct {
	sender *otlp.Sender
	batch  Batch

	mu      sync.Mutex
	waiting []waitingLog
	bytes   int // of their texts, about
	dropped uint64
	full    chan struct{} // has room for one: a batch is together
}

type waitingLog struct {
	service *Service
	record  otlp.LogRecord
	bytes   int
}

// newLogExport returns nil where config sends no logs.
func newLogExport(config *Config) (*logExport, error) {
	if !config.Logs.On() {
		return nil, nil
	}
	sender, err := otlp.NewSender(config.Logs.endpoint(), config.Logger)
	if err != nil {
		return nil, fmt.Errorf("telemetry: Config.Logs: %w", err)
	}
	return &logExport{sender: sender, batch: config.LogBatch, full: make(chan struct{}, 1)}, nil
}

// exportLog puts a record where it waits to be sent, if the service's are. The attributes of the record's logger come first.
func (s *Service) exportLog(span trace.SpanContext, attrs []slog.Attr, r *slog.Record) {
	if s == nil || s.telemetry.logs == nil {
		return
	}
	list := logAttributes{left: maxLogAttributes}
	for _, a := range attrs {
		list.add("", a)
	}
	r.Attrs(func(a slog.Attr) bool {
		list.add("", a)
		return true
	})
	record := otlp.LogRecord{
		Observed:          time.Now().UnixNano(),
		Severity:          severity(r.Level),
		SeverityText:      r.Level.String(),
		Body:              attribute.StringValue(cutText(r.Message, maxLogText)),
		Attributes:        list.attrs,
		DroppedAttributes: list.dropped,
		TraceID:           span.TraceID(),
		SpanID:            span.SpanID(),
		Flags:             span.TraceFlags(),
	}
	if !r.Time.IsZero() {
		record.Time = r.Time.UnixNano()
	}
	s.telemetry.logs.add(waitingLog{s, record, len(r.Message) + list.bytes})
}

func (e *logExport) add(l waitingLog) {
	e.mu.Lock()
	if len(e.waiting) >= e.batch.Queue || e.bytes+l.bytes > maxLogQueue {
		e.dropped++
		e.mu.Unlock()
		return
	}
	e.waiting = append(e.waiting, l)
	e.bytes += l.bytes
	n := len(e.waiting)
	e.mu.Unlock()
	if n == e.batch.Size {
		select {
		case e.full <- struct{}{}:
		default:
		}
	}
}

// take removes a batch from what waits.
func (e *logExport) take() []waitingLog {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := min(len(e.waiting), e.batch.Size)
	batch := e.waiting[:n:n]
	e.waiting = e.waiting[n:]
	for i := range batch {
		e.bytes -= batch[i].bytes
	}
	if len(e.waiting) == 0 {
		e.waiting = nil
	}
	return batch
}

// runLogs sends log records until ctx ends, and then what is left.
func (t *Telemetry) runLogs(ctx context.Context) error {
	if t.logs == nil {
		<-ctx.Done()
		return nil
	}
	defer t.logs.sender.Close()
	sending, cut := outlast(ctx, flushTimeout) // what is on its way when ctx ends arrives
	defer cut()
	t.logs.run(ctx, sending)
	if lost := t.logs.flush(sending); lost > 0 {
		return fmt.Errorf("telemetry: %d log records could not be sent", lost)
	}
	return nil
}

// run sends what waits until ctx ends; one request may take until sending does.
func (e *logExport) run(ctx, sending context.Context) {
	tick := time.NewTicker(e.batch.Delay)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-e.full:
		}
		e.send(ctx, sending)
	}
}

// send sends all that waits, batch after batch, until ctx ends; each may take until sending does.
func (e *logExport) send(ctx, sending context.Context) {
	for ctx.Err() == nil {
		batch := e.take()
		if len(batch) == 0 {
			return
		}
		limited, cancel := context.WithTimeout(sending, e.batch.Timeout)
		e.sender.Send(limited, logRequest(batch), len(batch)) // it counts and logs what it drops
		cancel()
	}
}

// flush sends what is left, and returns how many records are lost after all.
func (e *logExport) flush(ctx context.Context) (lost int) {
	before := e.sender.Counts().Dropped
	e.send(ctx, ctx)
	e.mu.Lock()
	lost = len(e.waiting)
	e.dropped += uint64(lost)
	e.waiting = nil
	e.mu.Unlock()
	return lost + int(e.sender.Counts().Dropped-before)
}

// LogCounts is what became of the log records that were to be sent.
type LogCounts struct {
	Sent    uint64 // taken by the receiver
	Dropped uint64 // found no room in the queue, or could not be sent
	Refused uint64 // refused by the receiver
}

// LogCounts returns what became of log records so far; zero where none are sent.
func (t *Telemetry) LogCounts() LogCounts {
	if t == nil || t.logs == nil {
		return LogCounts{}
	}
	t.logs.mu.Lock()
	dropped := t.logs.dropped
	t.logs.mu.Unlock()
	c := t.logs.sender.Counts()
	return LogCounts{Sent: c.Sent, Dropped: dropped + c.Dropped, Refused: c.Refused}
}

// logRequest writes a batch, the records of each service together and in their order.
func logRequest(batch []waitingLog) []byte {
	var all []otlp.ResourceLogs
	at := make(map[*Service]int)
	for _, l := range batch {
		i, ok := at[l.service]
		if !ok {
			i = len(all)
			at[l.service] = i
			all = append(all, otlp.ResourceLogs{Resource: l.service.otlp, Scopes: []otlp.ScopeLogs{{Scope: otlp.Scope{Name: "log/slog"}}}})
		}
		all[i].Scopes[0].Records = append(all[i].Scopes[0].Records, l.record)
	}
	return otlp.AppendLogs(nil, all)
}

// severity is OpenTelemetry's number of a level: both leave as much room between the levels that have names.
func severity(l slog.Level) int {
	return min(max(int(l)+otlp.SeverityInfo, 1), 24)
}

// logAttributes makes attributes of OpenTelemetry: groups are joined with dots, as in a query.
type logAttributes struct {
	attrs   []attribute.KeyValue
	bytes   int // of texts
	left    int
	dropped int
}

func (l *logAttributes) add(prefix string, a slog.Attr) {
	value := a.Value.Resolve()
	key := prefix + a.Key
	if value.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix = key + "."
		}
		for _, in := range value.Group() {
			l.add(prefix, in)
		}
		return
	}
	if a.Key == "" {
		return
	}
	if l.left == 0 {
		l.dropped++
		return
	}
	l.left--
	kv := attribute.KeyValue{Key: attribute.Key(key), Value: logValue(value)}
	l.bytes += len(key)
	if kv.Value.Type() == attribute.STRING {
		l.bytes += len(kv.Value.AsString())
	}
	l.attrs = append(l.attrs, kv)
}

// logValue keeps the type where OpenTelemetry has it. Durations and times are texts, as in the JSON that programs log.
func logValue(v slog.Value) attribute.Value {
	switch v.Kind() {
	case slog.KindBool:
		return attribute.BoolValue(v.Bool())
	case slog.KindInt64:
		return attribute.Int64Value(v.Int64())
	case slog.KindUint64:
		if n := v.Uint64(); n <= 1<<63-1 {
			return attribute.Int64Value(int64(n))
		}
		return attribute.StringValue(strconv.FormatUint(v.Uint64(), 10))
	case slog.KindFloat64:
		return attribute.Float64Value(v.Float64())
	case slog.KindTime:
		return attribute.StringValue(v.Time().Format(time.RFC3339Nano))
	case slog.KindAny:
		return attribute.StringValue(cutText(anyText(v.Any()), maxLogText))
	}
	return attribute.StringValue(cutText(v.String(), maxLogText))
}

// anyText is what package slog writes of a value that it knows nothing about. A panic of the value's own methods stays here: it must not end
// who logs.
func anyText(v any) (text string) {
	defer func() {
		if p := recover(); p != nil {
			if rv := reflect.ValueOf(v); rv.Kind() == reflect.Pointer && rv.IsNil() {
				text = "<nil>"
				return
			}
			text = fmt.Sprintf("!PANIC: %v", p)
		}
	}()
	switch v := v.(type) {
	case error:
		return v.Error()
	case json.Marshaler:
	case encoding.TextMarshaler:
		if b, err := v.MarshalText(); err == nil {
			return string(b)
		}
	case fmt.Stringer:
		return v.String()
	case []byte:
		return string(v)
	}
	if b, err := json.Marshal(v); err == nil {
		return string(b)
	}
	return fmt.Sprintf("%+v", v)
}
