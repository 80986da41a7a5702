package telemetry

import (
	"github.com/hanse-go/hanse/internal/otlp"
	"go.opentelemetry.io/otel/attribute"
)

// ownMetrics are the numbers of the telemetry itself by the conventions for otel.sdk.*: what was sent, what was not and why, and what waits. There are those of
// what is sent at all.
func (t *Telemetry) ownMetrics(r *reading) []otlp.Metric {
	w := writer{r: r}
	if s := t.spans; s != nil {
		w.queue("span", "spans", "SDK span processor", "batching_span_processor", "{span}", queueCounts{
			waiting: s.waiting.Load(), room: s.batch.Queue, full: s.dropped.Load(), sent: s.sender.Counts(),
		})
		w.exported("otel.sdk.exporter.span.exported", "spans", "otlp_http_span_exporter", "{span}", s.sender.Counts())
	}
	if l := t.logs; l != nil {
		l.mu.Lock()
		waiting, full := int64(len(l.waiting)), l.dropped
		l.mu.Unlock()
		w.queue("log", "log records", "SDK log processor", "batching_log_processor", "{log_record}", queueCounts{
			waiting: waiting, room: l.batch.Queue, full: full, sent: l.sender.Counts(),
		})
		w.exported("otel.sdk.exporter.log.exported", "log records", "otlp_http_log_exporter", "{log_record}", l.sender.Counts())
	}
	if m := t.metricSender.Load(); m != nil {
		w.exported("otel.sdk.exporter.metric_data_point.exported", "metric data points", "otlp_http_metric_exporter", "{data_point}", m.Counts())
	}
	return w.metrics
}

// queueCounts are what became of items before they were sent.
type queueCounts struct {
	waiting int64
	room    int
	full    uint64 // found no room
	sent    otlp.Counts
}

// component names the part that tells, of which a process has one.
func component(kind string) []attribute.KeyValue {
	return []attribute.KeyValue{attribute.String("otel.component.name", kind+"/0"), attribute.String("otel.component.type", kind)}
}

// because adds why items were lost.
func because(attrs []attribute.KeyValue, errorType string) []attribute.KeyValue {
	return append(attrs[:len(attrs):len(attrs)], attribute.String("error.type", errorType))
}

func (w *writer) queue(signal, items, who, kind, unit string, c queueCounts) {
	attrs, name := component(kind), "otel.sdk.processor."+signal+"."
	handedOn := c.sent.Sent + c.sent.Dropped + c.sent.Refused
	w.counter(name+"processed", "The number of "+items+" for which the processing has finished, either successful or failed.", unit,
		of(true, float64(handedOn), attrs...), of(true, float64(c.full), because(attrs, "queue_full")...))
	w.current(name+"queue.size", "The number of "+items+" in the queue of a given instance of an "+who+".", unit, of(true, float64(c.waiting), attrs...))
	if signal == "log" {
		who = "SDK Log Record processor" // as the conventions have it
	}
	w.current(name+"queue.capacity", "The maximum number of "+items+" the queue of a given instance of an "+who+" can hold.", unit, of(true, float64(c.room), attrs...))
}

func (w *writer) exported(name, items, kind, unit string, c otlp.Counts) {
	attrs := component(kind)
	w.counter(name, "The number of "+items+" for which the export has finished, either successful or failed.", unit,
		of(true, float64(c.Sent), attrs...), of(true, float64(c.Refused), because(attrs, "rejected")...), of(true, float64(c.Dropped), because(attrs, otherCode)...))
}
