package telemetry

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"

	"github.com/hanse-go/hanse/internal/redact"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"
)

// Keys of attributes of log records, as OpenTelemetry names them for logs in formats of others.
const (
	LogTraceID = "trace_id"
	LogSpanID  = "span_id"
)

// maxLoggedMessage is how much of a protobuf message is logged, in bytes of JSON.
const maxLoggedMessage = 4 << 10

// Logs returns a handler that passes records on to next, together with the IDs of the trace and the span of their context, at top level
// even inside a group, and sends them where [Config.Logs] says. A protobuf message among the attributes is written as JSON without
// what is marked debug_redact in its contract, and at most 4 KiB of it. A handler that Logs made already does not have the IDs twice.
//
// What next does not want is not sent either. With a nil s nothing is sent.
func (s *Service) Logs(next slog.Handler) slog.Handler {
	switch h := next.(type) {
	case *levelHandler:
		return &levelHandler{h.levels, h.service, s.Logs(h.next)}
	case *logHandler:
		own := *h
		own.service = s
		return &own
	}
	return &logHandler{next: next, service: s}
}

// logHandler keeps attributes inside groups to itself: what it adds to a record is outside of them.
type logHandler struct {
	next    slog.Handler
	service *Service
	attrs   []slog.Attr // that next has, for what is sent
	groups  []logGroup  // open ones, that next does not know of
}

type logGroup struct {
	name  string
	attrs []slog.Attr
}

func (h *logHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	own := *h
	attrs = slices.Clone(attrs)
	for i := range attrs {
		attrs[i].Value, _ = readable(attrs[i].Value)
	}
	if len(h.groups) == 0 {
		own.next = h.next.WithAttrs(attrs)
		own.attrs = slices.Concat(h.attrs, attrs)
		return &own
	}
	own.groups = slices.Clone(h.groups)
	last := &own.groups[len(own.groups)-1]
	last.attrs = slices.Concat(last.attrs, attrs)
	return &own
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	own := *h
	own.groups = append(slices.Clip(h.groups), logGroup{name: name})
	return &own
}

func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	var span trace.SpanContext
	if ctx != nil {
		span = trace.SpanContextFromContext(ctx)
	}
	r = h.complete(r)
	h.service.exportLog(span, h.attrs, &r)
	if span.IsValid() {
		r.AddAttrs(slog.String(LogTraceID, span.TraceID().String()), slog.String(LogSpanID, span.SpanID().String()))
	}
	return h.next.Handle(ctx, r)
}

// complete returns a record of the handler's own, with the open groups around its attributes.
func (h *logHandler) complete(r slog.Record) slog.Record {
	change := len(h.groups) > 0
	r.Attrs(func(a slog.Attr) bool {
		if !change {
			_, change = readable(a.Value)
		}
		return !change
	})
	if !change {
		return r.Clone()
	}
	attrs := make([]slog.Attr, 0, r.NumAttrs())
	r.Attrs(func(a slog.Attr) bool {
		a.Value, _ = readable(a.Value)
		attrs = append(attrs, a)
		return true
	})
	for _, g := range slices.Backward(h.groups) {
		attrs = []slog.Attr{{Key: g.name, Value: slog.GroupValue(slices.Concat(g.attrs, attrs)...)}}
	}
	own := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	own.AddAttrs(attrs...)
	return own
}

// readable makes a protobuf message fit to be read, and tells whether v was or had one.
func readable(v slog.Value) (slog.Value, bool) {
	switch v.Kind() {
	case slog.KindAny:
		if m, ok := v.Any().(proto.Message); ok {
			return slog.AnyValue(loggedMessage{m}), true
		}
	case slog.KindGroup:
		group := v.Group()
		for i, a := range group {
			if _, ok := readable(a.Value); !ok {
				continue
			}
			own := slices.Clone(group)
			for j := i; j < len(own); j++ {
				own[j].Value, _ = readable(own[j].Value)
			}
			return slog.GroupValue(own...), true
		}
	}
	return v, false
}

// loggedMessage is a protobuf message as people may read it. It is written when a handler does, while the record is handled.
type loggedMessage struct{ m proto.Message }

func (l loggedMessage) String() string { return redact.JSON(l.m, maxLoggedMessage).JSON }

func (l loggedMessage) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

func (l loggedMessage) MarshalJSON() ([]byte, error) { return json.RawMessage(l.String()), nil }
