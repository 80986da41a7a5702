package observe

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/hanse-go/hanse/telemetry/collector"
)

// bounded returns how many are asked for.
func bounded(asked, fallback, most int) (int, error) {
	if asked < 0 || asked > most {
		return 0, fmt.Errorf("limit: %d is no number from 1 to %d", asked, most)
	}
	return cmp.Or(asked, fallback), nil
}

type logsIn struct {
	Query    string   `json:"query,omitempty" jsonschema:"Terms that must all match: words, \"a phrase\", /regexp/, level:warn, field=value, -negated. Default: all lines"`
	Services []string `json:"services,omitempty" jsonschema:"Only lines of these services. Default: all"`
	Level    string   `json:"level,omitempty" jsonschema:"This level and worse: debug, info, warn or error"`
	TraceID  string   `json:"trace_id,omitempty" jsonschema:"Only lines of this trace, 32 hexadecimal digits"`
	Since    string   `json:"since,omitempty" jsonschema:"How far back: 30s, 15m, 6h or 2d. Default: 1h"`
	Limit    int      `json:"limit,omitempty" jsonschema:"How many lines, the newest. Default 50, at most 500"`
	Before   string   `json:"before,omitempty" jsonschema:"What an earlier answer gave for older lines"`
}

func (t tools) logs(ctx context.Context, b *text, in logsIn) error {
	limit, err := bounded(in.Limit, 50, 500)
	if err != nil {
		return err
	}
	since := cmp.Or(in.Since, "1h")
	q := url.Values{"q": {in.Query}, "service": in.Services, "level": {in.Level}, "trace": {in.TraceID}, "before": {in.Before},
		"window": {since}, "limit": {strconv.Itoa(limit)}}
	var page collector.LogPage
	if err := t.collected(ctx, "logs", q, &page); err != nil {
		return err
	}
	if len(page.Logs) == 0 {
		t.nothing(b, "No line matches in the last "+since+".", "Try fewer terms, or a longer time.")
	} else {
		b.linef("%d lines, the oldest first:", len(page.Logs))
	}
	// The newest are what is asked for, so it is the oldest that are left out where there is no room.
	var lines []string
	length := 0
	for _, l := range slices.Backward(page.Logs) {
		line := logLine(l)
		if length += len(line) + 1; length > maxText-1024 && len(lines) > 0 {
			b.linef("[%d older lines are left out: give a smaller limit, or before=%q]", len(page.Logs)-len(lines), page.Logs[len(page.Logs)-len(lines)].ID)
			break
		}
		lines = append(lines, line)
	}
	for _, line := range slices.Backward(lines) {
		b.linef("%s", line)
	}
	if page.Next != "" && len(lines) == len(page.Logs) {
		b.linef("[there are older ones: before=%q]", page.Next)
	}
	partial(b, page.Partial)
	return nil
}

// partial says that a search ended early.
func partial(b *text, is bool) {
	if is {
		b.linef("[the search took too long and was ended: there may be more. Ask for a shorter time, or a service]")
	}
}

// maxAttrs bounds how many attributes of a line are shown.
const maxAttrs = 30

func logLine(l collector.Log) string {
	parts := []string{stamp(l.Time), cmp.Or(l.Level, "-"), l.Service, cut(l.Message, 1000)}
	for n, a := range l.Attrs {
		if n == maxAttrs {
			parts = append(parts, fmt.Sprintf("(%d attributes more)", len(l.Attrs)-n))
			break
		}
		parts = append(parts, attr(a))
	}
	if l.TraceID != "" {
		parts = append(parts, "trace="+l.TraceID)
	}
	return strings.Join(parts, " ")
}

func attr(a collector.Attr) string {
	value := cut(fmt.Sprint(a.Value), 300)
	if strings.ContainsAny(value, " \"") {
		value = strconv.Quote(value)
	}
	return a.Key + "=" + value
}

type tracesIn struct {
	Query       string `json:"query,omitempty" jsonschema:"Terms that must all match in one span: words, status:error, duration>100ms, method:pkg.Service/Method, field=value, -negated. Default: all"`
	Service     string `json:"service,omitempty" jsonschema:"A span of this service has to be in it"`
	Operation   string `json:"operation,omitempty" jsonschema:"The exact name of that span, such as shop.v1.Cart/Add"`
	MinDuration string `json:"min_duration,omitempty" jsonschema:"That span took at least so long: 100ms or 2s"`
	ErrorsOnly  bool   `json:"errors_only,omitempty" jsonschema:"That span failed"`
	Slowest     bool   `json:"slowest,omitempty" jsonschema:"The slowest first. Default: the newest first"`
	Since       string `json:"since,omitempty" jsonschema:"How far back: 30s, 15m, 6h or 2d. Default: 1h"`
	Limit       int    `json:"limit,omitempty" jsonschema:"How many traces. Default 20, at most 100"`
	Before      string `json:"before,omitempty" jsonschema:"What an earlier answer gave for the next ones"`
}

func (t tools) traces(ctx context.Context, b *text, in tracesIn) error {
	limit, err := bounded(in.Limit, 20, 100)
	if err != nil {
		return err
	}
	since := cmp.Or(in.Since, "1h")
	q := url.Values{"q": {in.Query}, "service": {in.Service}, "method": {in.Operation}, "min": {in.MinDuration}, "window": {since},
		"limit": {strconv.Itoa(limit)}, "before": {in.Before}}
	if in.ErrorsOnly {
		q.Set("errors", "1")
	}
	if in.Slowest {
		q.Set("slowest", "1")
	}
	var page collector.TracePage
	if err := t.collected(ctx, "traces", q, &page); err != nil {
		return err
	}
	if len(page.Traces) == 0 {
		t.nothing(b, "No trace matches in the last "+since+".", "Try fewer conditions, or a longer time.")
	} else {
		b.linef("%d traces:", len(page.Traces))
	}
	b.narrower("give a smaller limit")
	for _, s := range page.Traces {
		line := fmt.Sprintf("%s %s %s %s, %d spans of %s", s.TraceID, stamp(s.Start), took(s.Duration), cut(s.Service+" "+s.Name, 200), s.Spans, strings.Join(s.Services, " "))
		if s.Errors > 0 {
			line += fmt.Sprintf(", %d failed", s.Errors)
		}
		switch {
		case s.Running:
			line += ", still running"
		case s.Gap:
			line += ", its root was not sent"
		}
		b.linef("%s", line)
	}
	if page.Next != "" {
		b.linef("[there are more: before=%q]", page.Next)
	}
	partial(b, page.Partial)
	return nil
}

type attributesIn struct {
	Signal string `json:"signal,omitempty" jsonschema:"spans or logs. Default: both"`
	Prefix string `json:"prefix,omitempty" jsonschema:"Only attributes whose key begins so"`
	Key    string `json:"key,omitempty" jsonschema:"Exactly this one, with more of its values"`
	Limit  int    `json:"limit,omitempty" jsonschema:"How many. Default 30, at most 200"`
}

func (t tools) attributes(ctx context.Context, b *text, in attributesIn) error {
	limit, err := bounded(in.Limit, 30, 200)
	if err != nil {
		return err
	}
	var answer struct{ Keys []collector.AttributeKey }
	q := url.Values{"signal": {in.Signal}, "prefix": {in.Prefix}, "key": {in.Key}, "limit": {strconv.Itoa(limit)}}
	if err := t.collected(ctx, "attributes", q, &answer); err != nil {
		return err
	}
	if len(answer.Keys) == 0 {
		t.nothing(b, "No attribute is known.", "Leave prefix and key out.")
	}
	b.narrower("give a prefix")
	for _, k := range answer.Keys {
		most := 8
		if in.Key != "" {
			most = limit
		}
		var values []string
		for _, v := range k.Values[:min(most, len(k.Values))] {
			values = append(values, fmt.Sprintf("%s (%d)", cut(v.Value, 80), v.Count))
		}
		b.linef("%s: %d times: %s", k.Key, k.Count, strings.Join(values, ", "))
	}
	return nil
}
