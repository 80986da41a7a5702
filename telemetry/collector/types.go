package collector

import (
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// Attr is an attribute. Value is a string, bool, int64, float64, []byte, []any of these, or []Attr.
type Attr struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
}

// MarshalJSON writes whole numbers that JavaScript cannot hold, and what is no number, as strings.
func (a Attr) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Key   string `json:"key"`
		Value any    `json:"value"`
	}{a.Key, plainJSON(a.Value)})
}

func plainJSON(v any) any {
	const most = 1<<53 - 1
	switch v := v.(type) {
	case int64:
		if v > most || v < -most {
			return strconv.FormatInt(v, 10)
		}
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return strconv.FormatFloat(v, 'g', -1, 64)
		}
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = plainJSON(v[i])
		}
		return list
	}
	return v
}

// Span is one operation of one service. IDs are hexadecimal in lower case.
type Span struct {
	TraceID  string        `json:"trace_id"`
	SpanID   string        `json:"span_id"`
	ParentID string        `json:"parent_id,omitempty"` // "": a root
	Service  string        `json:"service"`
	Instance string        `json:"instance,omitempty"`
	Name     string        `json:"name"`
	Kind     string        `json:"kind"` // internal, server, client, producer, consumer
	Start    time.Time     `json:"start"`
	Duration time.Duration `json:"duration"`          // in nanoseconds
	Status   string        `json:"status,omitempty"`  // ok, error, refused (by a fault of the caller: NOT_FOUND, 404), or "" where nobody said
	Code     string        `json:"code,omitempty"`    // of a call: OK, NOT_FOUND, 404
	Message  string        `json:"message,omitempty"` // why, of an error or a refusal
	Attrs    []Attr        `json:"attrs,omitempty"`
	Resource []Attr        `json:"resource,omitempty"` // of the program, without service.name and service.instance.id
	Scope    string        `json:"scope,omitempty"`    // the library that made the span
	Events   []SpanEvent   `json:"events,omitempty"`
	Links    []SpanLink    `json:"links,omitempty"`
	Lost     int           `json:"lost,omitempty"` // attributes, events and links that the program left out

	// What follows is set in a [Trace] only.

	Depth    int  `json:"depth"`              // below the root, which has 0
	Parent   int  `json:"parent"`             // index in Trace.Spans; -1: none
	Gap      bool `json:"gap,omitempty"`      // a parent that others name and nobody sent: only the IDs, and times from its children
	Running  bool `json:"running,omitempty"`  // of a gap: it is a stream that has not ended, and is sent at its end
	Critical bool `json:"critical,omitempty"` // the trace would have been shorter if this had been
}

// SpanEvent is something that happened in a span: an exception, a retry.
type SpanEvent struct {
	Time  time.Time `json:"time"`
	Name  string    `json:"name"`
	Attrs []Attr    `json:"attrs,omitempty"`
}

// SpanLink names a span of another trace, or of this, that has to do with one: the publishing of the event that is handled.
type SpanLink struct {
	TraceID string `json:"trace_id"`
	SpanID  string `json:"span_id"`
	Attrs   []Attr `json:"attrs,omitempty"`
}

// Trace is all that is known of a trace. Spans stand in the order of a waterfall: each behind its parent, siblings by start.
type Trace struct {
	TraceID  string         `json:"trace_id"`
	Start    time.Time      `json:"start"`
	Duration time.Duration  `json:"duration"`
	Spans    []Span         `json:"spans"`
	Services []TraceService `json:"services"` // by first appearance
	Errors   int            `json:"errors"`   // spans that failed
	Gaps     int            `json:"gaps"`
	Running  bool           `json:"running,omitempty"` // there are gaps, and a stream of it has not ended
	Cut      int            `json:"cut,omitempty"`     // spans beyond the first 20,000
}

// TraceService is the part of a service in a trace.
type TraceService struct {
	Name   string `json:"name"`
	Spans  int    `json:"spans"`
	Errors int    `json:"errors,omitempty"`
}

// Window is a stretch of time. Zero From: all that is kept, for numbers the last 5 minutes. Zero To: now.
type Window struct {
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
}

// TraceQuery says which traces. A trace is meant when one of its spans meets all that is set.
type TraceQuery struct {
	Window
	Filter   string        `json:"filter,omitempty"`  // grammar of package telemetry/filter
	Service  string        `json:"service,omitempty"` //
	Name     string        `json:"name,omitempty"`    // of the span: the method
	Min      time.Duration `json:"min,omitempty"`     // duration of that span; 0: any
	Max      time.Duration `json:"max,omitempty"`     // 0: any
	Errors   bool          `json:"errors,omitempty"`  // only spans that failed
	Slowest  bool          `json:"slowest,omitempty"` // longest first, and behind them streams, and traces whose root has not come; else newest first
	Spread   bool          `json:"spread,omitempty"`  // some of all, which stand for them: from the whole window, with the slowest and those that failed; no pages
	RootOnly bool          `json:"root,omitempty"`    // the span has to be the root, or the first below a gap
	After    string        `json:"after,omitempty"`   // TracePage.Tail of an earlier answer: only what came since
	Before   string        `json:"before,omitempty"`  // TracePage.Next of an earlier answer: the next page
	Limit    int           `json:"limit,omitempty"`   // 0: 100; at most 2,000
	Exclude  []string      `json:"exclude,omitempty"` // services whose roots are not asked for
}

// TracePage is an answer to a [TraceQuery].
type TracePage struct {
	Traces  []TraceSummary `json:"traces"`
	Next    string         `json:"next,omitempty"`    // "": there is no more
	Tail    string         `json:"tail"`              // for TraceQuery.After
	Found   int            `json:"found,omitempty"`   // with TraceQuery.Spread: of so many traces they are some
	Scanned int            `json:"scanned"`           // spans that were looked at
	Partial bool           `json:"partial,omitempty"` // ctx or the limit of work ended the search before the window did
}

// TraceSummary is a trace in a list.
type TraceSummary struct {
	TraceID  string        `json:"trace_id"`
	Start    time.Time     `json:"start"`
	Duration time.Duration `json:"duration"` // from the first start to the last end
	Service  string        `json:"service"`  // of the root, or the first span that is there
	Name     string        `json:"name"`     // likewise
	Kind     string        `json:"kind"`
	Status   string        `json:"status,omitempty"` // of the root, as Span.Status
	Code     string        `json:"code,omitempty"`   // likewise
	Stream   bool          `json:"stream,omitempty"` // likewise: how long it took is no latency
	Spans    int           `json:"spans"`
	Errors   int           `json:"errors"` // spans that failed; those that were refused are none of them
	Services []string      `json:"services"`
	Gap      bool          `json:"gap,omitempty"`     // the root is missing: it was lost, or has not ended
	Running  bool          `json:"running,omitempty"` // the root is missing, and a stream of the trace has not ended
}

// Log is a log line. What AddLogs is given needs Time, Service and Message.
type Log struct {
	ID       string    `json:"id"` // where it stands: for LogQuery.After and Before. Set by the collector
	Time     time.Time `json:"time"`
	Service  string    `json:"service"`
	Instance string    `json:"instance,omitempty"`
	Level    string    `json:"level,omitempty"`    // DEBUG, INFO, WARN, ERROR, with +1 and so on as slog has them; "": plain output
	Severity int       `json:"severity,omitempty"` // number of OpenTelemetry, 1 to 24; 0: none. AddLogs takes it from Level
	Message  string    `json:"message"`
	Attrs    []Attr    `json:"attrs,omitempty"`
	TraceID  string    `json:"trace_id,omitempty"`
	SpanID   string    `json:"span_id,omitempty"`
	Resource []Attr    `json:"resource,omitempty"`
	Scope    string    `json:"scope,omitempty"`
}

// LogQuery says which lines. All that is set has to be met.
type LogQuery struct {
	Window
	Filter   string   `json:"filter,omitempty"`   // grammar of package telemetry/filter
	Services []string `json:"services,omitempty"` // none: all
	Level    string   `json:"level,omitempty"`    // that and worse
	TraceID  string   `json:"trace_id,omitempty"`
	SpanID   string   `json:"span_id,omitempty"`
	After    string   `json:"after,omitempty"`  // Log.ID or LogPage.Tail: only what came since
	Before   string   `json:"before,omitempty"` // Log.ID or LogPage.Next: only what came before
	Limit    int      `json:"limit,omitempty"`  // 0: 200; at most 10,000. The newest, or with After the oldest
}

// LogPage is an answer to a [LogQuery]: lines by time, the oldest first.
type LogPage struct {
	Logs    []Log  `json:"logs"`
	Next    string `json:"next,omitempty"` // for Before; "": there is no more
	Tail    string `json:"tail"`           // for After
	Scanned int    `json:"scanned"`
	Partial bool   `json:"partial,omitempty"` // ctx or the limit of work ended the search before the window did
}

// Kinds of edges and nodes of a [Map].
const (
	KindRPC       = "rpc"
	KindHTTP      = "http"
	KindEvent     = "event"     // an edge to or from a topic
	KindDB        = "db"        // an edge to a database, and that
	KindService   = "service"   // a node that has told something itself
	KindMessaging = "messaging" // a topic
	KindExternal  = "external"  // a node that is only called
)

// Numbers are those of calls in a window.
type Numbers struct {
	Calls        float64       `json:"calls"`                   // a second
	Errors       float64       `json:"errors"`                  // of Calls, those that failed by a fault of the server
	ClientErrors float64       `json:"client_errors,omitempty"` // of Calls, those that were refused by a fault of the caller: NOT_FOUND, 404
	Streams      float64       `json:"streams,omitempty"`       // of Calls, those that are streams; they count when they end
	Open         int           `json:"open,omitempty"`          // streams that have not ended, now
	P50          time.Duration `json:"p50"`                     // of calls that are no streams, in nanoseconds; 0 without
	P95          time.Duration `json:"p95"`
	P99          time.Duration `json:"p99"`
}

// Map is who calls whom. The order of nodes and edges is that of their names, so it is the same each time.
type Map struct {
	Window
	Nodes []Node `json:"nodes"`
	Edges []Edge `json:"edges"`
}

// Node is a service, a database, a topic.
type Node struct {
	Name      string `json:"name"`             // unique in the map
	Kind      string `json:"kind"`             // service, db, messaging, external
	System    string `json:"system,omitempty"` // postgresql, nats: of db and messaging
	Instances int    `json:"instances,omitempty"`
	Numbers          // of the calls that it serves
}

// Edge is all calls from one node to another of one kind. For kind event it goes from the publisher to the topic, and from the topic to who
// handles.
type Edge struct {
	From    string `json:"from"`
	To      string `json:"to"`
	Kind    string `json:"kind"` // rpc, http, event, db
	Numbers        // as the caller sees them
}

// ServiceSummary is a service in the table of the overview.
type ServiceSummary struct {
	Name      string    `json:"name"`
	Versions  []string  `json:"versions,omitempty"`
	Instances []string  `json:"instances,omitempty"` // IDs of those that told something in the window
	Language  string    `json:"language,omitempty"`  // go, nodejs, python, …
	LastSeen  time.Time `json:"last_seen"`
	Numbers             // of calls that it serves
	Sparks    Sparks    `json:"sparks"`
	LogErrors int       `json:"log_errors"` // lines at ERROR in the window
}

// Sparks are short series with equal steps that end now; nothing known is null.
type Sparks struct {
	Start  time.Time     `json:"start"`
	Step   time.Duration `json:"step"`
	Calls  Values        `json:"calls"`  // a second
	Errors Values        `json:"errors"` // a second
	P95    Values        `json:"p95"`    // seconds
}

// Values are points of a series. NaN is null in JSON.
type Values []float64

// MarshalJSON writes null for what is no number.
func (v Values) MarshalJSON() ([]byte, error) {
	b := []byte{'['}
	for i, f := range v {
		if i > 0 {
			b = append(b, ',')
		}
		if math.IsNaN(f) || math.IsInf(f, 0) {
			b = append(b, "null"...)
		} else {
			b = strconv.AppendFloat(b, f, 'g', -1, 64)
		}
	}
	return append(b, ']'), nil
}

// UnmarshalJSON reads null as NaN.
func (v *Values) UnmarshalJSON(b []byte) error {
	var list []*float64
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	*v = make(Values, len(list))
	for i, f := range list {
		(*v)[i] = math.NaN()
		if f != nil {
			(*v)[i] = *f
		}
	}
	return nil
}

// ServiceDetail is what is known of one service.
type ServiceDetail struct {
	ServiceSummary
	Methods []Method `json:"methods"`  // that it serves, by name
	Calls   []Method `json:"calls_to"` // that it calls, by peer and name
	Callers []Edge   `json:"callers"`
}

// Method is one method with its numbers.
type Method struct {
	Name string `json:"name"`           // shop.v1.Cart/Add, GET /orders/{id}
	Peer string `json:"peer,omitempty"` // the called service, of calls out
	Kind string `json:"kind"`           // rpc, http, event, db
	Numbers
	Status map[string]int `json:"status,omitempty"` // calls in the window by status: OK, UNAVAILABLE, 404
	Faults []string       `json:"faults,omitempty"` // of Status, those that count as Errors
	Sparks Sparks         `json:"sparks"`
}

// ServiceMethod is a method of a service that serves it, among those of all services.
type ServiceMethod struct {
	Service string `json:"service"`
	Name    string `json:"name"`
	Kind    string `json:"kind"` // rpc, http, event
	Numbers
}

// Problem is something that is wrong now, the worst first.
type Problem struct {
	ID       string    `json:"id"`                 // the same as long as it lasts
	Kind     string    `json:"kind"`               // errors, slow, logs, silent, dropped; missing and check of the dashboard
	Severity string    `json:"severity"`           // error, warning
	Service  string    `json:"service,omitempty"`  // whose
	Peer     string    `json:"peer,omitempty"`     // on whose side the cause is, where that can be told
	Method   string    `json:"method,omitempty"`   //
	Title    string    `json:"title"`              // payment fails: 12 % of calls
	Reason   string    `json:"reason"`             // the commonest status and message of those that failed
	Since    time.Time `json:"since"`              //
	Count    int       `json:"count"`              // calls or lines in the window
	TraceID  string    `json:"trace_id,omitempty"` // an example
	Filter   string    `json:"filter,omitempty"`   // finds more of it
}

// MetricInfo is a metric that programs sent.
type MetricInfo struct {
	Name        string   `json:"name"`
	Kind        string   `json:"kind"` // counter, updown, gauge, histogram
	Unit        string   `json:"unit,omitempty"`
	Description string   `json:"description,omitempty"`
	Services    []string `json:"services"`
	Labels      []string `json:"labels"` // keys of attributes, with service.name and service.instance.id
	Series      int      `json:"series"`
}

// SeriesQuery asks for a metric over time.
type SeriesQuery struct {
	Window
	Metric string        `json:"metric"`
	Stat   string        `json:"stat,omitempty"`  // rate, sum, avg, min, max, count, p50, p90, p95, p99; "": p95 of a histogram, rate of a counter, avg of a gauge
	Where  []Match       `json:"where,omitempty"` // all have to hold
	By     []string      `json:"by,omitempty"`    // labels that make series of their own; none: one series
	Step   time.Duration `json:"step,omitempty"`  // 0: about 200 points
	Limit  int           `json:"limit,omitempty"` // of series, the largest first; 0: 20, at most 200
}

// Match is a condition on a label.
type Match struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	Not   bool   `json:"not,omitempty"`
}

// SeriesResult is the answer to a [SeriesQuery]. The value i of each series belongs to [Start + i*Step, + Step).
type SeriesResult struct {
	Metric MetricInfo    `json:"metric"`
	Stat   string        `json:"stat"`
	Start  time.Time     `json:"start"`
	Step   time.Duration `json:"step"`
	Series []Series      `json:"series"`
	More   int           `json:"more,omitempty"` // series beyond the limit
}

// Series is one line of a chart.
type Series struct {
	Labels    map[string]string `json:"labels"`
	Values    Values            `json:"values"`
	Exemplars []Exemplar        `json:"exemplars,omitempty"`
}

// Exemplar is a measured value with its trace.
type Exemplar struct {
	Time    time.Time `json:"time"`
	Value   float64   `json:"value"`
	TraceID string    `json:"trace_id"`
	SpanID  string    `json:"span_id,omitempty"`
}

// AttributeQuery asks which attributes there are, for completion.
type AttributeQuery struct {
	Signal string `json:"signal,omitempty"` // spans, logs; "": both
	Prefix string `json:"prefix,omitempty"` // of the key
	Key    string `json:"key,omitempty"`    // exactly this one: all its values
	Value  string `json:"value,omitempty"`  // prefix of the values
	Limit  int    `json:"limit,omitempty"`  // of keys, and of values of each; 0: 20
}

// AttributeKey is an attribute that newest spans or lines have, the commonest first.
type AttributeKey struct {
	Key    string           `json:"key"`
	Count  int              `json:"count"`
	Values []AttributeValue `json:"values"`
}

// AttributeValue is a value and how often it was seen among the newest.
type AttributeValue struct {
	Value string `json:"value"`
	Count int    `json:"count"`
}

// Stats is the collector's own state.
type Stats struct {
	Started   time.Time     `json:"started"`
	Spans     SignalStats   `json:"spans"`
	Logs      SignalStats   `json:"logs"`
	Points    SignalStats   `json:"points"` // of metrics
	Dropped   []Drop        `json:"dropped"`
	Bytes     int64         `json:"bytes"` // on disk
	MaxBytes  int64         `json:"max_bytes"`
	MaxAge    time.Duration `json:"max_age"`
	Oldest    time.Time     `json:"oldest,omitzero"` // of what is on disk
	Segments  int           `json:"segments"`
	Damaged   []string      `json:"damaged,omitempty"` // files that were set aside
	Waiting   int64         `json:"waiting"`           // bytes in memory that go to disk
	Series    int           `json:"series"`            // of metrics
	MaxSeries int           `json:"max_series"`
	Unindexed int           `json:"unindexed"` // blocks that a text search reads instead of looking them up
}

// SignalStats counts what came since the start.
type SignalStats struct {
	Received int64   `json:"received"`
	Kept     int64   `json:"kept"`
	Rate     float64 `json:"rate"` // a second, over the last 10
}

// Drop is what was not kept, and why.
type Drop struct {
	Signal string    `json:"signal"` // spans, logs, points
	Reason string    `json:"reason"`
	Count  int64     `json:"count"`
	Last   time.Time `json:"last"`
}

// Change is a small notice that something came. Notices that nobody takes are merged into the next.
type Change struct {
	Time     time.Time `json:"time"`
	Spans    int       `json:"spans,omitempty"`
	Logs     int       `json:"logs,omitempty"`
	Points   int       `json:"points,omitempty"`
	Dropped  int       `json:"dropped,omitempty"`
	Services []string  `json:"services,omitempty"` // that were not known before
}
