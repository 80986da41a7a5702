package collector

import (
	"log/slog"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/hanse-go/hanse/telemetry/filter"
)

// sought is a filter that was parsed, with what it says about blocks.
type sought struct {
	filter.Filter
	words    []string      // texts that have to be in it
	services []string      // one of which it has to be of; nil: any
	min      time.Duration // a span has to be as long, where that is known
	failed   bool          // a span has to have failed
	severity int32         // a line has to be as bad
	quick    bool          // nothing is left to match when these were
}

// parseFilter reads a filter of spans or lines. The error is a [*filter.Error].
func parseFilter(sig signal, text string) (q sought, err error) {
	parse := filter.Parse
	if sig == spans {
		parse = filter.ParseSpans
	}
	if q.Filter, err = parse(text); err != nil {
		return q, err
	}
	for _, t := range q.Terms() {
		if t.Negated || len(t.Values) == 0 {
			continue
		}
		v := t.Values[0]
		switch {
		case t.IsText():
			if v.Regexp == nil && utf8.RuneCountInString(v.Text) >= 3 {
				q.words = append(q.words, v.Text)
			}
		case t.Field == filter.Service && (t.Op == filter.Is || t.Op == filter.Equal) && q.services == nil:
			q.services = exact(t.Values)
		case t.Field == filter.Duration && (t.Op == filter.Greater || t.Op == filter.AtLeast):
			q.min = max(q.min, v.Duration)
		case t.Field == filter.Status && len(t.Values) == 1 && v.Regexp == nil && !v.Pattern && v.Text == "error":
			q.failed = true
		case t.Field == filter.Level && len(t.Values) == 1 && !v.Pattern && t.Op != filter.Less && t.Op != filter.AtMost:
			q.severity = max(q.severity, int32(min(max(int(v.Level)+9, 1), 24)))
		}
	}
	q.quick = q.Empty()
	return q, nil
}

// exact returns the texts of values, or nil when one of them is a pattern.
func exact(values []filter.Value) []string {
	var list []string
	for _, v := range values {
		if v.Regexp != nil || v.Pattern {
			return nil
		}
		list = append(list, v.Text)
	}
	return list
}

// level of a severity number.
func slogLevel(severity int) slog.Level { return slog.Level(severity - 9) }

// attrValue returns an attribute as a filter looks at it.
func attrValue(name string, lists ...[]Attr) (slog.Value, bool) {
	for _, list := range lists {
		if i := slices.IndexFunc(list, func(a Attr) bool { return a.Key == name }); i >= 0 {
			switch v := list[i].Value.(type) {
			case string:
				return slog.StringValue(v), true
			case int64:
				return slog.Int64Value(v), true
			case float64:
				return slog.Float64Value(v), true
			case bool:
				return slog.BoolValue(v), true
			default:
				return slog.StringValue(valueText(v)), true
			}
		}
	}
	return slog.Value{}, false
}

func textsOf(attrs []Attr, yield func(string) bool) bool {
	for _, a := range attrs {
		if !yield(valueText(a.Value)) {
			return false
		}
	}
	return true
}

func given(s string) (slog.Value, bool) { return slog.StringValue(s), s != "" }

// spanRecord is a span as filters see it.
type spanRecord struct{ *Span }

func (r spanRecord) Texts(yield func(string) bool) {
	if !yield(r.Name) || r.Message != "" && !yield(r.Message) || !textsOf(r.Attrs, yield) {
		return
	}
	for _, e := range r.Events {
		if !yield(e.Name) || !textsOf(e.Attrs, yield) {
			return
		}
	}
}

func (r spanRecord) Field(f filter.Field) (slog.Value, bool) {
	switch f {
	case filter.Service:
		return given(r.Service)
	case filter.Instance:
		return given(r.Instance)
	case filter.Message, filter.Method:
		if f == filter.Method {
			if v, ok := attrValue("rpc.method", r.Attrs); ok {
				if service, old := attrValue("rpc.service", r.Attrs); old {
					return slog.StringValue(service.String() + "/" + v.String()), true
				}
				return v, true
			}
		}
		return given(r.Name)
	case filter.Status:
		if r.Status == "" {
			return slog.StringValue("unset"), true
		}
		return given(r.Status)
	case filter.Duration:
		return slog.DurationValue(r.Duration), true
	case filter.Kind:
		return given(r.Kind)
	case filter.Trace:
		return given(r.TraceID)
	case filter.Span:
		return given(r.SpanID)
	}
	return slog.Value{}, false
}

// Attr has the code of a call by its name, also where programs send its number.
func (r spanRecord) Attr(name string) (slog.Value, bool) {
	v, ok := attrValue(name, r.Attrs, r.Resource)
	if !ok && name == "rpc.response.status_code" {
		return given(r.Code)
	}
	return v, ok
}

// logRecord is a line as filters see it.
type logRecord struct{ *Log }

func (r logRecord) Texts(yield func(string) bool) {
	if yield(r.Message) {
		textsOf(r.Attrs, yield)
	}
}

func (r logRecord) Field(f filter.Field) (slog.Value, bool) {
	switch f {
	case filter.Service:
		return given(r.Service)
	case filter.Instance:
		return given(r.Instance)
	case filter.Level:
		return slog.AnyValue(slogLevel(r.Severity)), r.Severity > 0
	case filter.Message:
		return given(r.Message)
	case filter.Method:
		return attrValue("rpc.method", r.Attrs)
	case filter.Trace:
		return given(r.TraceID)
	case filter.Span:
		return given(r.SpanID)
	}
	return slog.Value{}, false
}

func (r logRecord) Attr(name string) (slog.Value, bool) { return attrValue(name, r.Attrs, r.Resource) }
