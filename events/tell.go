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
	topics sync.Map // name → *toldTopic
}

func newTeller(s *telemetry.Service, broker Broker) *teller {
	if s == nil {
		return nil
	}
	system := "hanse"
	if named, ok := broker.(System); ok {
		system = named.MessagingSystem()
	}
	return &teller{scope: s.Scope(scopeName), system: attribute.String("messaging.system", system)}
}

// describe returns the attributes of what is done with a topic.
func (t *teller) describe(topic, name, kind string) []attribute.KeyValue {
	return []attribute.KeyValue{
		t.system, attribute.String("messaging.destination.name", topic), attribute.String("messaging.operation.name", name), attribute.String("messaging.operation.type", kind),
	}
}

// outcomes are numbers of one operation, by how it ended.
type outcomes struct {
	scope *telemetry.Scope
	as    telemetry.Durations
	ok    *telemetry.Durations
	other sync.Map // error.type → *telemetry.Durations
}

func newOutcomes(scope *telemetry.Scope, as telemetry.Durations) *outcomes {
	return &outcomes{scope: scope, as: as, ok: scope.Durations(as)}
}

// of returns the numbers of what ended with an error of a type, or well, which is "".
func (o *outcomes) of(errorType string) *telemetry.Durations {
	if errorType == "" {
		return o.ok
	}
	d, known := o.other.Load(errorType)
	if !known {
		as := o.as
		as.Attributes = append(as.Attributes[:len(as.Attributes):len(as.Attributes)], attribute.String("error.type", errorType))
		d, _ = o.other.LoadOrStore(errorType, o.scope.Durations(as))
	}
	return d.(*telemetry.Durations)
}

// toldTopic is what is told of a topic each time it is published to.
type toldTopic struct {
	name, create  string // of spans
	span, created []attribute.KeyValue
	sent          *outcomes
}

func (t *teller) topic(name string) *toldTopic {
	if known, ok := t.topics.Load(name); ok {
		return known.(*toldTopic)
	}
	told := &toldTopic{name: opSend + " " + name, create: opCreate + " " + name, span: t.describe(name, opSend, opSend), created: t.describe(name, opCreate, opCreate)}
	of := telemetry.Durations{
		Name: "messaging.client.operation.duration", Description: "Duration of messaging operation initiated by a producer or consumer client.",
		Counter: "messaging.client.sent.messages", CounterUnit: "{message}", CounterIs: "Number of messages producer attempted to send to the broker.",
		Attributes: told.span,
	}
	told.sent = newOutcomes(t.scope, of)
	known, _ := t.topics.LoadOrStore(name, told)
	return known.(*toldTopic)
}

// sending is an event, or several, on the way to the broker. A nil *sending is not told.
type sending struct {
	t     *teller
	topic *toldTopic
	span  telemetry.Span
}

// send begins to tell that an event is published, whose trace goes on below it from then on. One that was created before, says created, and has a trace
// keeps it. s, unless it is nil, is memory for what is returned.
func (t *teller) send(ctx context.Context, s *sending, topic string, m *Message, created bool) *sending {
	if t == nil {
		return nil
	}
	if s == nil {
		s = new(sending)
	}
	s.t, s.topic = t, t.topic(topic)
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
	s := &sending{t: t, topic: t.topic(topic)}
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

// over tells how it ended.
func (s *sending) over(err error) {
	if s == nil {
		return
	}
	kind := ""
	if err != nil {
		kind = errorType(err)
		fail(&s.span, kind, err)
	}
	s.span.EndIn(s.topic.sent.of(kind))
}

// stored counts one of several events.
func (s *sending) stored(err error) {
	if s == nil {
		return
	}
	kind := ""
	if err != nil {
		kind = errorType(err)
	}
	s.topic.sent.of(kind).Record(s.span.Took(), nil)
}

// allOver tells how several events ended, each of which was counted by stored.
func (s *sending) allOver(err error) {
	if s == nil {
		return
	}
	if err != nil {
		fail(&s.span, errorType(err), err)
	}
	s.span.End()
}

// fail has a span tell of an error.
func fail(span *telemetry.Span, kind string, err error) {
	span.SetAttributes(attribute.String("error.type", kind))
	span.SetStatus(codes.Error, err.Error())
}

// toldGroup is what is told of a subscription each time an event is handled.
type toldGroup struct {
	t       *teller
	name    string // of spans
	span    []attribute.KeyValue
	handled *outcomes
}

func (t *teller) group(topic, group string) *toldGroup {
	if t == nil {
		return nil
	}
	g := &toldGroup{t: t, name: opProcess + " " + topic, span: t.describe(topic, opProcess, opProcess)}
	if group != "" {
		g.span = append(g.span, attribute.String("messaging.consumer.group.name", group))
	}
	g.handled = newOutcomes(t.scope, telemetry.Durations{
		Name: "messaging.process.duration", Description: "Duration of processing operation.",
		Counter: "messaging.client.consumed.messages", CounterUnit: "{message}", CounterIs: "Number of messages that were delivered to the application.",
		Attributes: g.span,
	})
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

// over tells how the handler ended, and what follows.
func (g *toldGroup) over(w *telemetry.Work, err error, what string, attrs ...attribute.KeyValue) {
	kind := ""
	if err != nil {
		kind = errorType(err)
		fail(&w.Span, kind, err)
	}
	if what != "" && w.Span.IsRecording() {
		w.Span.AddEvent("hanse.event."+what, trace.WithAttributes(attrs...))
	}
	w.Span.EndIn(g.handled.of(kind))
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
