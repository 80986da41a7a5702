package events

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/telemetry"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
)

// System is a broker that has a name in OpenTelemetry's semantic conventions, the attribute messaging.system: "kafka", "rabbitmq", "nats". Others are
// "hanse".
type System interface{ MessagingSystem() string }

const scopeName = "github.com/hanse-go/hanse/events"

// The operations of the conventions.
const (
	opSend    = "send"
	opCreate  = "create"
	opProcess = "process"
)

// teller tells OpenTelemetry what a bus does, by the semantic conventions for messaging. A nil *teller is off.
type teller struct {
	scope  *telemetry.Scope
	system attribute.KeyValue

	sent, consumed     metric.Int64Counter
	operation, process metric.Float64Histogram

	topics sync.Map // name → *toldTopic
}

// bounds are the upper bounds of durations that the conventions name, in seconds.
var bounds = metric.WithExplicitBucketBoundaries(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)

func newTeller(s *telemetry.Service, broker Broker) *teller {
	if s == nil {
		return nil
	}
	system := "hanse"
	if named, ok := broker.(System); ok {
		system = named.MessagingSystem()
	}
	t := &teller{scope: s.Scope(scopeName), system: attribute.String("messaging.system", system)}
	m := meters(s).Meter(scopeName)
	// An instrument that cannot be made is one that does nothing, so its error changes nothing.
	t.sent, _ = m.Int64Counter("messaging.client.sent.messages", metric.WithUnit("{message}"), metric.WithDescription("Number of messages producer attempted to send to the broker."))
	t.consumed, _ = m.Int64Counter("messaging.client.consumed.messages", metric.WithUnit("{message}"), metric.WithDescription("Number of messages that were delivered to the application."))
	t.operation, _ = m.Float64Histogram("messaging.client.operation.duration", metric.WithUnit("s"),
		metric.WithDescription("Duration of messaging operation initiated by a producer or consumer client."), bounds)
	t.process, _ = m.Float64Histogram("messaging.process.duration", metric.WithUnit("s"), metric.WithDescription("Duration of processing operation."), bounds)
	return t
}

func meters(s *telemetry.Service) metric.MeterProvider {
	if p, ok := any(s).(interface{ MeterProvider() metric.MeterProvider }); ok {
		return p.MeterProvider()
	}
	return noop.NewMeterProvider()
}

// toldTopic is what is told of a topic each time it is published to.
type toldTopic struct {
	name, create  string // of spans
	span, created []attribute.KeyValue
	sent          []metric.AddOption    // for a success
	operation     []metric.RecordOption // for a success
}

func (t *teller) topic(name string) *toldTopic {
	if known, ok := t.topics.Load(name); ok {
		return known.(*toldTopic)
	}
	attrs := func(op, kind string) []attribute.KeyValue {
		return []attribute.KeyValue{
			t.system, attribute.String("messaging.destination.name", name), attribute.String("messaging.operation.name", op), attribute.String("messaging.operation.type", kind),
		}
	}
	told := &toldTopic{name: opSend + " " + name, create: opCreate + " " + name, span: attrs(opSend, opSend), created: attrs(opCreate, opCreate)}
	told.sent = []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(told.span...))}
	told.operation = []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(told.span...))}
	known, _ := t.topics.LoadOrStore(name, told)
	return known.(*toldTopic)
}

// sending is an event, or several, on the way to the broker. A nil *sending is not told.
type sending struct {
	t     *teller
	topic *toldTopic
	span  telemetry.Span
	began time.Time
}

// send begins to tell that an event is published, whose trace goes on below it from then on. One that was created before, says created, and has a trace
// keeps it.
func (t *teller) send(ctx context.Context, topic string, m *Message, created bool) *sending {
	if t == nil {
		return nil
	}
	s := &sending{t: t, topic: t.topic(topic), began: time.Now()}
	parent, state := m.Metadata[traceHeaders[0]], m.Metadata[traceHeaders[1]]
	created = created && parent != ""
	kind := trace.SpanKindProducer
	if created {
		kind = trace.SpanKindClient
	}
	t.scope.BeginSpan(ctx, &s.span, kind, s.topic.name, parent, state)
	if !created {
		m.setTrace(&s.span)
	}
	if s.span.IsRecording() {
		s.span.SetAttributes(s.topic.span...)
		describe(&s.span, m)
		if created {
			s.span.AddLink(trace.Link{SpanContext: telemetry.RemoteContext(parent, state)})
		}
	}
	return s
}

// describe tells of the one event of a span that is recorded.
func describe(span trace.Span, m *Message) {
	span.SetAttributes(attribute.String("messaging.message.id", m.ID), attribute.String("cloudevents.event_type", m.Type))
	if !m.Due.IsZero() {
		span.AddEvent("hanse.event.delayed", trace.WithAttributes(attribute.String("hanse.event.due", m.Due.UTC().Format(time.RFC3339Nano))))
	}
}

// sendAll begins to tell that several events are published: see create.
func (t *teller) sendAll(ctx context.Context, topic string, n int) *sending {
	if t == nil {
		return nil
	}
	s := &sending{t: t, topic: t.topic(topic), began: time.Now()}
	t.scope.BeginSpan(ctx, &s.span, trace.SpanKindClient, s.topic.name, "", "")
	if s.span.IsRecording() {
		s.span.SetAttributes(s.topic.span...)
		s.span.SetAttributes(attribute.Int("messaging.batch.message_count", n))
	}
	return s
}

// create tells of one of several events, which has a span of its own, where its trace goes on.
func (s *sending) create(ctx context.Context, m *Message) {
	var span telemetry.Span
	s.t.scope.BeginSpan(ctx, &span, trace.SpanKindProducer, s.topic.create, m.Metadata[traceHeaders[0]], m.Metadata[traceHeaders[1]])
	m.setTrace(&span)
	if span.IsRecording() {
		span.SetAttributes(s.topic.created...)
		describe(&span, m)
	}
	if s.span.IsRecording() {
		s.span.AddLink(trace.Link{SpanContext: span.SpanContext()})
	}
	span.End()
}

// stored tells what became of one of several events.
func (s *sending) stored(err error) {
	if s != nil {
		s.count(context.Background(), err)
	}
}

// count counts an event, and returns what is said of its failure.
func (s *sending) count(ctx context.Context, err error) (failure attribute.KeyValue, of metric.MeasurementOption) {
	if err == nil {
		s.t.sent.Add(ctx, 1, s.topic.sent...)
		return failure, nil
	}
	failure = attribute.String("error.type", errorType(err))
	of = metric.WithAttributes(append(s.topic.span[:len(s.topic.span):len(s.topic.span)], failure)...)
	s.t.sent.Add(ctx, 1, of)
	return failure, of
}

// setTrace has the trace of a message go on below a span.
func (m *Message) setTrace(span *telemetry.Span) {
	parent, state := span.Sent()
	if parent == "" {
		return
	}
	m.SetMetadata(traceHeaders[0], parent)
	if state != "" {
		m.SetMetadata(traceHeaders[1], state)
	} else {
		delete(m.Metadata, traceHeaders[1])
	}
}

// over tells how it ended.
func (s *sending) over(err error) {
	if s == nil {
		return
	}
	took := time.Since(s.began).Seconds()
	ctx := s.ctx()
	failure, of := s.count(ctx, err)
	s.ended(ctx, took, failure, of, err)
}

// allOver tells how several events ended, of which each was told by stored.
func (s *sending) allOver(err error) {
	if s == nil {
		return
	}
	took := time.Since(s.began).Seconds()
	var failure attribute.KeyValue
	var of metric.MeasurementOption
	if err != nil {
		failure = attribute.String("error.type", errorType(err))
		of = metric.WithAttributes(append(s.topic.span[:len(s.topic.span):len(s.topic.span)], failure)...)
	}
	s.ended(s.ctx(), took, failure, of, err)
}

// ctx returns what the numbers find the span in, for exemplars.
func (s *sending) ctx() context.Context {
	if !s.span.IsRecording() {
		return context.Background()
	}
	return trace.ContextWithSpan(context.Background(), &s.span)
}

func (s *sending) ended(ctx context.Context, took float64, failure attribute.KeyValue, of metric.MeasurementOption, err error) {
	if err == nil {
		s.t.operation.Record(ctx, took, s.topic.operation...)
	} else {
		s.t.operation.Record(ctx, took, of)
		s.span.SetAttributes(failure)
		s.span.SetStatus(codes.Error, err.Error())
	}
	s.span.End()
}

// toldGroup is what is told of a subscription each time an event is handled.
type toldGroup struct {
	t        *teller
	name     string // of spans
	span     []attribute.KeyValue
	consumed []metric.AddOption
	process  []metric.RecordOption // for a success
}

func (t *teller) group(topic, group string) *toldGroup {
	if t == nil {
		return nil
	}
	g := &toldGroup{t: t, name: opProcess + " " + topic, span: []attribute.KeyValue{
		t.system, attribute.String("messaging.destination.name", topic), attribute.String("messaging.operation.name", opProcess),
		attribute.String("messaging.operation.type", opProcess),
	}}
	if group != "" {
		g.span = append(g.span, attribute.String("messaging.consumer.group.name", group))
	}
	set := metric.WithAttributeSet(attribute.NewSet(g.span...))
	g.consumed, g.process = []metric.AddOption{set}, []metric.RecordOption{set}
	return g
}

// begin begins to tell that an event is handled: below the span that published it, unless it is one that is published once more, long after.
func (g *toldGroup) begin(ctx context.Context, it *item) *telemetry.Work {
	if g == nil {
		return nil
	}
	m := it.message
	parent, state := m.Metadata[traceHeaders[0]], m.Metadata[traceHeaders[1]]
	from := parent
	if _, again := m.OnlyFor(); again {
		parent = ""
	}
	w := g.t.scope.Begin(ctx, trace.SpanKindConsumer, g.name, parent, state)
	if w.Span.IsRecording() {
		w.Span.SetAttributes(g.span...)
		w.Span.SetAttributes(attribute.String("messaging.message.id", m.ID), attribute.String("cloudevents.event_type", m.Type),
			attribute.String("cloudevents.event_source", m.Source), attribute.Int("hanse.event.attempt", it.attempt))
		if from != "" {
			if c := telemetry.RemoteContext(from, state); c.IsValid() {
				w.Span.AddLink(trace.Link{SpanContext: c})
			}
		}
	}
	return w
}

// over tells how the handler ended, after so long.
func (g *toldGroup) over(w *telemetry.Work, took time.Duration, err error) {
	process := g.process
	if err != nil {
		kind := attribute.String("error.type", errorType(err))
		process = []metric.RecordOption{metric.WithAttributes(append(g.span[:len(g.span):len(g.span)], kind)...)}
		w.Span.SetAttributes(kind)
		w.Span.SetStatus(codes.Error, err.Error())
	}
	ctx := context.Background()
	if w.Span.IsRecording() {
		ctx = w
	}
	g.t.consumed.Add(ctx, 1, g.consumed...)
	g.t.process.Record(ctx, took.Seconds(), process...)
}

// errorType is error.type of an error: few different texts.
func errorType(err error) string {
	if _, ok := errors.AsType[*panicked](err); ok {
		return "panic"
	}
	for _, known := range [...]struct {
		err  error
		name string
	}{
		{ErrFull, "full"}, {ErrTooLarge, "too_large"}, {ErrSchema, "schema"}, {ErrDrift, "drift"}, {ErrUnsupported, "unsupported"}, {ErrLost, "lost"},
		{context.DeadlineExceeded, "timeout"}, {context.Canceled, "canceled"},
	} {
		if errors.Is(err, known.err) {
			return known.name
		}
	}
	for { // the type of the innermost error says most
		var inner error
		switch e := err.(type) {
		case interface{ Unwrap() error }:
			inner = e.Unwrap()
		case interface{ Unwrap() []error }:
			if all := e.Unwrap(); len(all) > 0 {
				inner = all[0]
			}
		}
		if inner == nil {
			break
		}
		err = inner
	}
	if name := strings.TrimPrefix(fmt.Sprintf("%T", err), "*"); name != "errors.errorString" && name != "fmt.wrapError" {
		return name
	}
	return "_OTHER"
}
