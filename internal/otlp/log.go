package otlp

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/encoding/protowire"
)

// ResourceLogs are the log records of one resource.
type ResourceLogs struct {
	Resource *Resource
	Scopes   []ScopeLogs
}

// ScopeLogs are the log records that came through one library.
type ScopeLogs struct {
	Scope   Scope
	Records []LogRecord
}

// Severities of log records: the numbers that OpenTelemetry gives to the levels of log/slog. A level between two of them has the
// numbers between: each of them is a range of four.
const (
	SeverityTrace = 1
	SeverityDebug = 5
	SeverityInfo  = 9
	SeverityWarn  = 13
	SeverityError = 17
	SeverityFatal = 21
)

// LogRecord is one line of a log.
type LogRecord struct {
	Time              int64 // Unix time in nanoseconds; 0 is unknown
	Observed          int64 // when it was seen by whoever sends it; 0 is Time
	Severity          int   // 1 to 24; 0 is unknown
	SeverityText      string
	EventName         string
	Body              attribute.Value
	Attributes        []attribute.KeyValue
	DroppedAttributes int
	TraceID           trace.TraceID // zero outside of a trace
	SpanID            trace.SpanID
	Flags             trace.TraceFlags
}

// AppendLogs appends an ExportLogsServiceRequest.
func AppendLogs(b []byte, all []ResourceLogs) []byte {
	var resource, scope int
	for i := range all {
		rl := &all[i]
		b, resource = openField(b, 1)
		b = appendResource(b, rl.Resource)
		for j := range rl.Scopes {
			sl := &rl.Scopes[j]
			b, scope = openField(b, 2)
			b = appendScope(b, &sl.Scope)
			for k := range sl.Records {
				b = appendLog(b, 2, &sl.Records[k])
			}
			b = stringField(b, 3, sl.Scope.SchemaURL)
			b = closeField(b, scope)
		}
		b = stringField(b, 3, rl.Resource.schemaURL())
		b = closeField(b, resource)
	}
	return b
}

func appendLog(b []byte, num protowire.Number, r *LogRecord) []byte {
	observed := r.Observed
	if observed == 0 {
		observed = r.Time
	}
	b, start := openField(b, num)
	b = fixed64Field(b, 1, uint64(r.Time))
	b = varintField(b, 2, uint64(r.Severity))
	b = stringField(b, 3, r.SeverityText)
	if r.Body.Type() != attribute.EMPTY {
		b = appendValue(b, 5, r.Body)
	}
	b = appendAttributes(b, 6, r.Attributes)
	b = varintField(b, 7, uint64(r.DroppedAttributes))
	b = fixed32Field(b, 8, uint32(r.Flags))
	if r.TraceID.IsValid() {
		b = bytesAlways(b, 9, r.TraceID[:])
	}
	if r.SpanID.IsValid() {
		b = bytesAlways(b, 10, r.SpanID[:])
	}
	b = fixed64Field(b, 11, uint64(observed))
	b = stringField(b, 12, r.EventName)
	return closeField(b, start)
}
