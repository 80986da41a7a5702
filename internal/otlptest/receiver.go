// Package otlptest takes for tests what a program sends by OpenTelemetry's protocol.
package otlptest

import (
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	colltrace "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Receiver keeps the spans that are sent to it.
type Receiver struct {
	URL string // of its endpoint for traces

	mu    sync.Mutex
	spans []Span
	fail  int           // of requests, with 400
	came  chan struct{} // closed and replaced when spans have come
}

// Span is one that has come.
type Span struct {
	Service, Instance   string
	Scope               string
	Name, Kind          string // of kind: server, client, …
	Trace, ID, Parent   string // in hex
	Flags               uint32
	State               string
	Attributes          map[string]string // with values as text
	DroppedAttributes   int
	Events              []string // their names
	Links               int
	DroppedEvents       int
	DroppedLinks        int
	Status, Message     string // of status: "", ok or error
	Start, End          uint64
	ResourceAttributes  map[string]string
	FirstEventAttribute string
}

// New returns a receiver that takes spans until the test ends.
func New(t testing.TB) *Receiver {
	r := &Receiver{came: make(chan struct{})}
	srv := httptest.NewServer(http.HandlerFunc(r.take))
	t.Cleanup(srv.Close)
	r.URL = srv.URL + "/v1/traces"
	return r
}

// Fail has so many requests refused.
func (r *Receiver) Fail(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = n
}

// Wait returns the spans when so many have come.
func (r *Receiver) Wait(t testing.TB, n int) []Span {
	t.Helper()
	patience := time.NewTimer(30 * time.Second)
	defer patience.Stop()
	for {
		r.mu.Lock()
		spans, came := append([]Span(nil), r.spans...), r.came
		r.mu.Unlock()
		if len(spans) >= n {
			return spans
		}
		select {
		case <-came:
		case <-patience.C:
			t.Fatalf("%d spans have come, and not %d: %+v", len(spans), n, spans)
		}
	}
}

// Spans returns what has come so far, in that order.
func (r *Receiver) Spans() []Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Span(nil), r.spans...)
}

func (r *Receiver) take(w http.ResponseWriter, req *http.Request) {
	body := io.Reader(req.Body)
	if req.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = unzipped
	}
	data, err := io.ReadAll(body)
	var in colltrace.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(data, &in)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail > 0 {
		r.fail--
		err = fmt.Errorf("refused")
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for _, rs := range in.ResourceSpans {
		resource := texts(rs.Resource.GetAttributes())
		for _, ss := range rs.ScopeSpans {
			for _, s := range ss.Spans {
				r.spans = append(r.spans, spanOf(resource, ss.Scope.GetName(), s))
			}
		}
	}
	close(r.came)
	r.came = make(chan struct{})
}

func spanOf(resource map[string]string, scope string, s *tracepb.Span) Span {
	out := Span{
		Service: resource["service.name"], Instance: resource["service.instance.id"], Scope: scope, Name: s.Name,
		Trace: hex.EncodeToString(s.TraceId), ID: hex.EncodeToString(s.SpanId), Parent: hex.EncodeToString(s.ParentSpanId),
		Flags: s.Flags, State: s.TraceState, Attributes: texts(s.Attributes), Links: len(s.Links), Message: s.Status.GetMessage(),
		DroppedAttributes: int(s.DroppedAttributesCount), DroppedEvents: int(s.DroppedEventsCount), DroppedLinks: int(s.DroppedLinksCount),
		Start: s.StartTimeUnixNano, End: s.EndTimeUnixNano, ResourceAttributes: resource,
	}
	switch s.Kind {
	case tracepb.Span_SPAN_KIND_SERVER:
		out.Kind = "server"
	case tracepb.Span_SPAN_KIND_CLIENT:
		out.Kind = "client"
	case tracepb.Span_SPAN_KIND_INTERNAL:
		out.Kind = "internal"
	case tracepb.Span_SPAN_KIND_PRODUCER:
		out.Kind = "producer"
	case tracepb.Span_SPAN_KIND_CONSUMER:
		out.Kind = "consumer"
	}
	switch s.Status.GetCode() {
	case tracepb.Status_STATUS_CODE_OK:
		out.Status = "ok"
	case tracepb.Status_STATUS_CODE_ERROR:
		out.Status = "error"
	}
	for _, e := range s.Events {
		out.Events = append(out.Events, e.Name)
		if len(e.Attributes) > 0 && out.FirstEventAttribute == "" {
			out.FirstEventAttribute = e.Attributes[0].Key + "=" + text(e.Attributes[0].Value)
		}
	}
	return out
}

func texts(attrs []*commonpb.KeyValue) map[string]string {
	m := make(map[string]string, len(attrs))
	for _, a := range attrs {
		m[a.Key] = text(a.Value)
	}
	return m
}

func text(v *commonpb.AnyValue) string {
	switch v := v.GetValue().(type) {
	case *commonpb.AnyValue_StringValue:
		return v.StringValue
	case *commonpb.AnyValue_BoolValue:
		return fmt.Sprint(v.BoolValue)
	case *commonpb.AnyValue_IntValue:
		return fmt.Sprint(v.IntValue)
	case *commonpb.AnyValue_DoubleValue:
		return fmt.Sprint(v.DoubleValue)
	}
	return fmt.Sprint(v)
}
