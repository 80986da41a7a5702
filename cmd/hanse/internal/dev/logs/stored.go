package logs

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/hanse-go/hanse/telemetry"
	"github.com/hanse-go/hanse/telemetry/collector"
	"github.com/hanse-go/hanse/telemetry/filter"
)

// What of a Line has no place of its own in a [collector.Log].
const (
	instanceKey = "instance"
	replicaKey  = "hanse.replica" // of the resource
	pidKey      = "process.pid"   // of the resource
	devScope    = "hanse dev"     // hanse dev speaks
)

// Stored returns l as the collector keeps it, and as people get it by --json.
func (l Line) Stored() collector.Log {
	out := collector.Log{Time: l.Time, Service: l.Service, Level: l.Level, Message: l.Msg}
	for _, a := range l.Attrs {
		switch a.Key {
		case telemetry.LogTraceID:
			out.TraceID = a.Value
		case telemetry.LogSpanID:
			out.SpanID = a.Value
		case instanceKey:
			out.Instance = a.Value
		default:
			out.Attrs = append(out.Attrs, collector.Attr{Key: a.Key, Value: a.Value})
		}
	}
	if l.Replica > 0 {
		out.Resource = append(out.Resource, collector.Attr{Key: replicaKey, Value: int64(l.Replica)})
	}
	if l.PID > 0 {
		out.Resource = append(out.Resource, collector.Attr{Key: pidKey, Value: int64(l.PID)})
	}
	if l.Dev {
		out.Scope = devScope
	}
	return out
}

// FromStored is the opposite of [Line.Stored], for lines that came to the collector by other ways, too.
func FromStored(in collector.Log) Line {
	l := Line{Time: in.Time, Service: in.Service, Level: in.Level, Msg: in.Message, Dev: in.Scope == devScope}
	for _, a := range in.Attrs {
		l.Attrs = append(l.Attrs, Attr{a.Key, textOf(a.Value)})
	}
	if in.Instance != "" {
		l.Attrs = append(l.Attrs, Attr{instanceKey, in.Instance})
	}
	if in.TraceID != "" {
		l.Attrs = append(l.Attrs, Attr{telemetry.LogTraceID, in.TraceID})
	}
	if in.SpanID != "" {
		l.Attrs = append(l.Attrs, Attr{telemetry.LogSpanID, in.SpanID})
	}
	for _, a := range in.Resource {
		n, _ := strconv.Atoi(textOf(a.Value))
		switch a.Key {
		case replicaKey:
			l.Replica = n
		case pidKey:
			l.PID = n
		}
	}
	return l
}

// textOf is a string as it is, and JSON of anything else, as [Attr] has it.
func textOf(value any) string {
	if s, ok := value.(string); ok {
		return s
	}
	b, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(b)
}

// Texts implements [filter.Record].
func (l Line) Texts(yield func(string) bool) {
	if !yield(l.Msg) {
		return
	}
	for _, a := range l.Attrs {
		if !yield(a.Value) {
			return
		}
	}
}

// Field implements [filter.Record].
func (l Line) Field(f filter.Field) (slog.Value, bool) {
	value := ""
	switch f {
	case filter.Service:
		value = l.Service
	case filter.Message:
		return slog.StringValue(l.Msg), true
	case filter.Level:
		value = l.Level
	case filter.Trace:
		return l.Attr(telemetry.LogTraceID)
	case filter.Span:
		return l.Attr(telemetry.LogSpanID)
	case filter.Instance:
		return l.Attr(instanceKey)
	}
	return slog.StringValue(value), value != ""
}

// Attr implements [filter.Record].
func (l Line) Attr(name string) (slog.Value, bool) {
	for _, a := range l.Attrs {
		if a.Key == name {
			return slog.StringValue(a.Value), true
		}
	}
	return slog.Value{}, false
}
