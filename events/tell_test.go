package events

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/hanse-go/hanse/telemetry"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/messagingconv"
	"go.opentelemetry.io/otel/trace"
)

// What it costs to tell of an event whose trace is not recorded: numbers and span, without the headers that carry the trace on.
func BenchmarkTell(b *testing.B) {
	tells, err := telemetry.New(telemetry.Config{})
	if err != nil {
		b.Fatal(err)
	}
	t := newTeller(tells.Service("bench", "", ""), nil)
	ctx := context.Background()
	b.Run("send", func(b *testing.B) {
		m := &Message{ID: "1", Metadata: make(map[string]string)}
		b.ReportAllocs()
		for b.Loop() {
			s := t.send(ctx, nil, "orders.placed", m, false)
			s.over(nil)
		}
	})
	b.Run("process", func(b *testing.B) {
		g := t.group("orders.placed", "mailer")
		it := &item{message: &Message{ID: "1", Metadata: map[string]string{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"}}}
		b.ReportAllocs()
		for b.Loop() {
			w := g.begin(ctx, it)
			g.over(w, nil, "")
		}
	})
}

func TestErrorType(t *testing.T) {
	for want, err := range map[string]error{
		"full": errors.Join(ErrFull), "timeout": Permanent(context.DeadlineExceeded), "panic": newPanicked("x"), "_OTHER": errors.New("x"),
		"events.BatchError": &BatchError{}, "canceled": context.Canceled,
	} {
		if got := errorType(err); got != want {
			t.Errorf("%v is of type %s, want %s", err, got, want)
		}
	}
}

// TestConventions holds names, units and descriptions of numbers, and the names of attributes, against OpenTelemetry's own.
func TestConventions(t *testing.T) {
	tells, err := telemetry.New(telemetry.Config{})
	if err != nil {
		t.Fatal(err)
	}
	te := newTeller(tells.Service("shop", "", ""), new(Memory))
	topic, group := te.topic("orders.placed"), te.group("orders.placed", "mailer")
	type named interface {
		Name() string
		Unit() string
		Description() string
	}
	for _, c := range []struct {
		as              telemetry.Durations
		duration, count named
	}{
		{topic.sent.as, messagingconv.ClientOperationDuration{}, messagingconv.ClientSentMessages{}},
		{group.handled.as, messagingconv.ProcessDuration{}, messagingconv.ClientConsumedMessages{}},
	} {
		if c.as.Name != c.duration.Name() || c.as.Description != c.duration.Description() || c.duration.Unit() != "s" {
			t.Errorf("%s, %q, is not %s, %q", c.as.Name, c.as.Description, c.duration.Name(), c.duration.Description())
		}
		if c.as.Counter != c.count.Name() || c.as.CounterIs != c.count.Description() || c.as.CounterUnit != c.count.Unit() {
			t.Errorf("%s in %s, %q, is not %s in %s, %q", c.as.Counter, c.as.CounterUnit, c.as.CounterIs, c.count.Name(), c.count.Unit(), c.count.Description())
		}
	}
	base := []attribute.Key{semconv.MessagingSystemKey, semconv.MessagingDestinationNameKey, semconv.MessagingOperationNameKey, semconv.MessagingOperationTypeKey}
	for name, c := range map[string]struct {
		attrs []attribute.KeyValue
		keys  []attribute.Key
		kind  attribute.KeyValue
	}{
		topic.name:   {topic.span, base, semconv.MessagingOperationTypeSend},
		topic.create: {topic.created, base, semconv.MessagingOperationTypeCreate},
		group.name:   {group.span, append(base[:4:4], semconv.MessagingConsumerGroupNameKey), semconv.MessagingOperationTypeProcess},
	} {
		var keys []attribute.Key
		for _, a := range c.attrs {
			keys = append(keys, a.Key)
		}
		if !slices.Equal(keys, c.keys) || c.attrs[3] != c.kind || c.attrs[0].Value.AsString() != "memory" {
			t.Errorf("%s has %v", name, c.attrs)
		}
		if op := c.attrs[2].Value.AsString(); name != op+" orders.placed" {
			t.Errorf("the span %s is of the operation %s", name, op)
		}
	}
	if got := attribute.Key("messaging.message.id"); got != semconv.MessagingMessageIDKey {
		t.Error(got)
	}
}

// TestTraceGoesOn holds that the trace of who publishes goes on in the event, below the sending, and from there in the handling of it; and that one of which the trace is
// kept by an outbox keeps it.
func TestTraceGoesOn(t *testing.T) {
	tells, err := telemetry.New(telemetry.Config{})
	if err != nil {
		t.Fatal(err)
	}
	te := newTeller(tells.Service("shop", "", ""), nil)
	above := tells.Service("shop", "", "").Scope("test").Begin(t.Context(), trace.SpanKindServer, "call", "", "")
	m := &Message{ID: "1"}
	s := te.send(above.Ctx(), nil, "orders.placed", m, false)
	sent := telemetry.RemoteContext(m.Metadata["traceparent"], "")
	if sent.TraceID() != above.Span.SpanContext().TraceID() || sent.SpanID() != s.span.SpanContext().SpanID() {
		t.Errorf("the event carries %v", m.Metadata)
	}
	s.over(nil)
	w := te.group("orders.placed", "mailer").begin(t.Context(), &item{message: m, attempt: 1})
	if w.Span.SpanContext().TraceID() != sent.TraceID() {
		t.Error("its handling is another trace")
	}
	again := m.Redelivery("mailer", "again")
	if w := te.group("orders.placed", "mailer").begin(t.Context(), &item{message: again, attempt: 1}); w.Span.SpanContext().TraceID() == sent.TraceID() {
		t.Error("one that is published once more goes on with a trace of long ago")
	}
	kept := &Message{ID: "2"}
	tellCreated(above.Ctx(), "orders.placed", kept)
	header := kept.Metadata["traceparent"]
	if c := telemetry.RemoteContext(header, ""); c.TraceID() != sent.TraceID() || c.SpanID() == above.Span.SpanContext().SpanID() {
		t.Errorf("what is kept carries %v", kept.Metadata)
	}
	if s := te.send(t.Context(), nil, "orders.placed", kept, true); kept.Metadata["traceparent"] != header || s.span.SpanContext().TraceID() != sent.TraceID() {
		t.Errorf("what was kept goes on as %v", kept.Metadata)
	}
	all := te.sendAll(above.Ctx(), "orders.placed", 2)
	one, other := &Message{ID: "3"}, &Message{ID: "4"}
	all.create(above.Ctx(), one)
	all.create(above.Ctx(), other)
	if a, b := one.Metadata["traceparent"], other.Metadata["traceparent"]; a == b || telemetry.RemoteContext(a, "").TraceID() != sent.TraceID() {
		t.Errorf("two of a batch carry %s and %s", a, b)
	}
	if te := newTeller(nil, nil); te.send(t.Context(), nil, "x", m, false) != nil || te.group("x", "y").begin(t.Context(), &item{message: m}) != nil || te.fire(t.Context(), Firing{}) != nil {
		t.Error("where telemetry is off something is told")
	}
}
