package observe

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hanse-go/hanse/telemetry/collector"
)

type traceIn struct {
	TraceID string `json:"trace_id" jsonschema:"32 hexadecimal digits, from search_traces, search_logs or services_health"`
	SpanID  string `json:"span_id,omitempty" jsonschema:"Show all attributes and events of this span, 16 hexadecimal digits, instead of the tree"`
	NoLogs  bool   `json:"no_logs,omitempty" jsonschema:"Leave the log lines out"`
}

// maxSpans bounds how many spans of a trace are shown.
const maxSpans = 150

func (t tools) trace(ctx context.Context, b *text, in traceIn) error {
	id := strings.ToLower(strings.TrimSpace(in.TraceID))
	if len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" {
		return fmt.Errorf("trace_id: %q is no ID of a trace; copy all 32 digits, as search_traces shows them", in.TraceID)
	}
	var tr collector.Trace
	if err := t.collected(ctx, "traces/"+id, nil, &tr); err != nil {
		return fmt.Errorf("%w: search_traces shows those that are kept", err)
	}
	if in.SpanID != "" {
		return span(b, &tr, strings.ToLower(in.SpanID))
	}
	b.narrower("ask for single spans by span_id, and for the lines by search_logs with trace_id")
	var services []string
	for _, s := range tr.Services {
		services = append(services, s.Name)
	}
	b.linef("Trace %s began %s, took %s, %d spans of %s, %d failed.", tr.TraceID, stamp(tr.Start), took(tr.Duration), len(tr.Spans), strings.Join(services, ", "), tr.Errors)
	b.linef("Each line: +start after the trace's, duration, service, operation [span ID]; * is on the critical path.")
	if tr.Cut > 0 || tr.Gaps > 0 {
		b.linef("%d spans are missing beyond those; %d gaps are spans that others name and nobody sent.", tr.Cut, tr.Gaps)
	}
	for _, s := range shown(tr.Spans) {
		b.linef("%s", spanLine(&tr, s))
	}
	if len(tr.Spans) > maxSpans {
		b.linef("[%d of %d spans are left out: shown are those that failed, those on the critical path and the longest]", len(tr.Spans)-maxSpans, len(tr.Spans))
	}
	if in.NoLogs {
		return nil
	}
	var page collector.LogPage
	if err := t.collected(ctx, "traces/"+id+"/logs", nil, &page); err != nil {
		return err
	}
	b.linef("\n%d log lines:", len(page.Logs))
	for _, l := range page.Logs {
		l.TraceID = ""
		b.linef("%s", logLine(l))
	}
	return nil
}

// shown returns the spans that say most, in their order.
func shown(all []collector.Span) []*collector.Span {
	list := make([]*collector.Span, len(all))
	at := make(map[*collector.Span]int)
	for i := range all {
		list[i] = &all[i]
		at[list[i]] = i
	}
	if len(list) <= maxSpans {
		return list
	}
	rank := func(s *collector.Span) int {
		switch {
		case s.Status == "error":
			return 0
		case s.Critical:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(list, func(a, b *collector.Span) int {
		if ra, rb := rank(a), rank(b); ra != rb {
			return ra - rb
		}
		return int(min(1, max(-1, b.Duration-a.Duration)))
	})
	list = list[:maxSpans]
	slices.SortFunc(list, func(a, b *collector.Span) int { return at[a] - at[b] })
	return list
}

func spanLine(tr *collector.Trace, s *collector.Span) string {
	mark := " "
	if s.Critical {
		mark = "*"
	}
	line := fmt.Sprintf("%s%s+%s %s ", strings.Repeat("  ", min(s.Depth, 20)), mark, took(s.Start.Sub(tr.Start)), took(s.Duration))
	if s.Running {
		return line + "a stream that has not ended, which is sent at its end [" + s.SpanID + "]"
	}
	if s.Gap {
		return line + "gap: a span that nobody sent [" + s.SpanID + "]"
	}
	line += fmt.Sprintf("%s %s", s.Service, cut(s.Name, 200))
	if s.Kind != "" && s.Kind != "internal" {
		line += " (" + s.Kind + ")"
	}
	line += " [" + s.SpanID + "]"
	if s.Status == "refused" {
		line += " " + s.Code
	}
	if s.Status == "error" {
		line += " FAILED"
		if s.Message != "" {
			line += ": " + cut(s.Message, 300)
		}
		for _, a := range s.Attrs {
			if a.Key == "error.type" || a.Key == "rpc.response.status_code" {
				line += " " + attr(a)
			}
		}
	}
	return line
}

// span shows all of one span.
func span(b *text, tr *collector.Trace, id string) error {
	i := slices.IndexFunc(tr.Spans, func(s collector.Span) bool { return s.SpanID == id })
	if i < 0 {
		return fmt.Errorf("the trace has no span %q; get_trace without span_id shows those that it has", id)
	}
	s := &tr.Spans[i]
	b.narrower("nothing shorter is to be had of a span")
	b.linef("%s", strings.TrimSpace(spanLine(tr, s)))
	b.linef("status %q %s, instance %s, parent %q", s.Status, cut(s.Message, 2000), s.Instance, s.ParentID)
	for _, a := range s.Attrs {
		b.linef("  %s=%s", a.Key, cut(fmt.Sprint(a.Value), 4000))
	}
	for _, e := range s.Events {
		line := fmt.Sprintf("  event +%s %s", took(e.Time.Sub(s.Start)), cut(e.Name, 200))
		for _, a := range e.Attrs {
			line += " " + attr(a)
		}
		b.linef("%s", line)
	}
	for _, l := range s.Links {
		b.linef("  link to trace %s span %s", l.TraceID, l.SpanID)
	}
	if len(s.Resource) > 0 {
		b.linef("program:")
		for _, a := range s.Resource {
			b.linef("  %s=%s", a.Key, cut(fmt.Sprint(a.Value), 300))
		}
	}
	return nil
}
