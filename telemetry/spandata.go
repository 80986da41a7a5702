package telemetry

import (
	"fmt"
	"reflect"
	"runtime/debug"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/hanse-go/hanse/internal/otlp"
	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// more is what only some spans have: what was said of them.
type more struct {
	name       string // set instead of the span's
	status     otelcodes.Code
	message    string // of the status
	attributes list
	events     []otlp.Event
	links      []otlp.Link

	droppedEvents, droppedLinks int
}

// list holds attributes, each key once, up to a limit.
type list struct {
	attributes []attribute.KeyValue
	dropped    int
}

// set adds attributes. The last of those with the same key counts.
func (l *list) set(attrs []attribute.KeyValue, limit, length int) {
	l.attributes = slices.Grow(l.attributes, max(min(len(attrs), limit-len(l.attributes)), 0))
next:
	for _, a := range attrs {
		if !a.Valid() {
			l.dropped++
			continue
		}
		if length < noLimit {
			a.Value = cut(a.Value, length)
		}
		for i := range l.attributes {
			if l.attributes[i].Key == a.Key {
				l.attributes[i].Value = a.Value
				continue next
			}
		}
		if len(l.attributes) >= limit {
			l.dropped++
			continue
		}
		l.attributes = append(l.attributes, a)
	}
}

// cut bounds the characters of texts.
func cut(v attribute.Value, length int) attribute.Value {
	switch v.Type() {
	case attribute.STRING:
		if s := v.AsString(); len(s) > length {
			return attribute.StringValue(cutText(s, length))
		}
	case attribute.STRINGSLICE:
		all := v.AsStringSlice() // a copy
		for i := range all {
			all[i] = cutText(all[i], length)
		}
		return attribute.StringSliceValue(all)
	}
	return v
}

func cutText(s string, length int) string {
	if len(s) <= length {
		return s
	}
	end := 0
	for range length {
		if end == len(s) {
			break
		}
		_, size := utf8.DecodeRuneInString(s[end:])
		end += size
	}
	return s[:end]
}

// change calls f with what is said of the span, if that is kept and the span has not ended.
func (s *Span) change(f func(m *more, l *Limits)) {
	if !s.IsRecording() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.IsRecording() {
		return
	}
	if s.more == nil {
		s.more = new(more)
	}
	f(s.more, &s.scope.service.telemetry.limits)
}

// SetAttributes implements [trace.Span].
func (s *Span) SetAttributes(attrs ...attribute.KeyValue) {
	s.change(func(m *more, l *Limits) { m.attributes.set(attrs, l.Attributes, l.AttributeLength) })
}

// SetName implements [trace.Span].
func (s *Span) SetName(name string) {
	s.change(func(m *more, _ *Limits) { m.name = name })
}

// SetStatus implements [trace.Span]. A span whose status is an error is kept, whether its trace is recorded or not.
func (s *Span) SetStatus(code otelcodes.Code, message string) {
	if code == otelcodes.Error {
		for {
			phase := s.phase.Load()
			if !s.Begun() || phase&ended != 0 || s.phase.CompareAndSwap(phase, phase|failed) {
				break
			}
		}
	}
	s.change(func(m *more, _ *Limits) { m.setStatus(code, message) })
}

// setStatus keeps the highest status.
func (m *more) setStatus(code otelcodes.Code, message string) {
	if rank(code) < rank(m.status) {
		return
	}
	m.status, m.message = code, ""
	if code == otelcodes.Error {
		m.message = message
	}
}

// rank orders what a status may become: unset, an error, well.
func rank(code otelcodes.Code) int {
	switch code {
	case otelcodes.Error:
		return 1
	case otelcodes.Ok:
		return 2
	}
	return 0
}

// AddEvent implements [trace.Span].
func (s *Span) AddEvent(name string, options ...trace.EventOption) {
	if !s.IsRecording() {
		return
	}
	c := trace.NewEventConfig(options...)
	attrs := c.Attributes()
	if c.StackTrace() {
		attrs = append(attrs[:len(attrs):len(attrs)], attribute.String("exception.stacktrace", string(debug.Stack())))
	}
	s.change(func(m *more, l *Limits) { m.event(l, name, c.Timestamp(), attrs) })
}

// event adds one; of too many the oldest is dropped.
func (m *more) event(l *Limits, name string, at time.Time, attrs []attribute.KeyValue) {
	if len(m.events) >= l.Events {
		m.droppedEvents++
		copy(m.events, m.events[1:])
		m.events = m.events[:len(m.events)-1]
	}
	var kept list
	kept.set(attrs, l.AttributesPerEvent, l.AttributeLength)
	m.events = append(m.events, otlp.Event{Name: name, Time: at.UnixNano(), Attributes: kept.attributes, DroppedAttributes: kept.dropped})
}

// RecordError implements [trace.Span].
func (s *Span) RecordError(err error, options ...trace.EventOption) {
	if err == nil || !s.IsRecording() {
		return
	}
	t := reflect.TypeOf(err)
	kind := t.String()
	if t.PkgPath() != "" && t.Name() != "" {
		kind = t.PkgPath() + "." + t.Name()
	}
	s.AddEvent("exception", append(options[:len(options):len(options)], trace.WithAttributes(
		attribute.String("exception.type", kind),
		attribute.String("exception.message", text(err)),
	))...)
}

// text is what an error says, also one whose Error panics.
func text(err error) (s string) {
	defer func() {
		if p := recover(); p != nil {
			s = fmt.Sprintf("%T, whose Error panics: %v", err, p)
		}
	}()
	return err.Error()
}

// AddLink implements [trace.Span].
func (s *Span) AddLink(l trace.Link) {
	if !l.SpanContext.IsValid() && len(l.Attributes) == 0 && l.SpanContext.TraceState().Len() == 0 {
		return
	}
	s.change(func(m *more, limits *Limits) { m.link(limits, l) })
}

func (m *more) link(limits *Limits, l trace.Link) {
	if len(m.links) >= limits.Links {
		m.droppedLinks++
		copy(m.links, m.links[1:])
		m.links = m.links[:len(m.links)-1]
	}
	var kept list
	kept.set(l.Attributes, limits.AttributesPerLink, limits.AttributeLength)
	m.links = append(m.links, otlp.Link{SpanContext: l.SpanContext, Attributes: kept.attributes, DroppedAttributes: kept.dropped})
}

// TracerProvider implements [trace.Span].
func (s *Span) TracerProvider() trace.TracerProvider {
	if !s.Begun() {
		return (*Service)(nil).TracerProvider()
	}
	return s.scope.service.TracerProvider()
}
