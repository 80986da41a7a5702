package collector_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/telemetry/collector"
	"go.opentelemetry.io/proto/slim/otlp/collector/logs/v1"
	metricsv1 "go.opentelemetry.io/proto/slim/otlp/collector/metrics/v1"
	tracev1 "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/slim/otlp/common/v1"
	logpb "go.opentelemetry.io/proto/slim/otlp/logs/v1"
	metricpb "go.opentelemetry.io/proto/slim/otlp/metrics/v1"
	resource "go.opentelemetry.io/proto/slim/otlp/resource/v1"
	trace "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a collector until the test ends, or stop is called.
func start(t testing.TB, c *collector.Collector) (stop func()) {
	t.Helper()
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	if err := c.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return stop
}

// post sends a request of OTLP and returns the answer.
func post(t testing.TB, c *collector.Collector, path, kind string, body []byte, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest("POST", path, bytes.NewReader(body))
	r.Header.Set("Content-Type", kind)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	c.Handler().ServeHTTP(w, r)
	return w
}

const protobuf = "application/x-protobuf"

func send(t testing.TB, c *collector.Collector, m proto.Message) {
	t.Helper()
	path := map[string]string{"ExportTraceServiceRequest": "/v1/traces", "ExportLogsServiceRequest": "/v1/logs", "ExportMetricsServiceRequest": "/v1/metrics"}
	body, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if w := post(t, c, path[string(m.ProtoReflect().Descriptor().Name())], protobuf, body); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
}

func str(k, v string) *common.KeyValue {
	return &common.KeyValue{Key: k, Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: v}}}
}

func num(k string, v int64) *common.KeyValue {
	return &common.KeyValue{Key: k, Value: &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: v}}}
}

func of(service string) *resource.Resource {
	return &resource.Resource{Attributes: []*common.KeyValue{
		str("service.name", service), str("service.instance.id", service+"-1"), str("service.version", "1.2"), str("telemetry.sdk.language", "go"),
	}}
}

func id(n int) []byte { b := make([]byte, n); _, _ = rand.Read(b); return b }

func nano(t time.Time) uint64 { return uint64(t.UnixNano()) }

func spansOf(service string, list ...*trace.Span) *tracev1.ExportTraceServiceRequest {
	return &tracev1.ExportTraceServiceRequest{ResourceSpans: []*trace.ResourceSpans{{
		Resource: of(service), ScopeSpans: []*trace.ScopeSpans{{Scope: &common.InstrumentationScope{Name: "test"}, Spans: list}},
	}}}
}

func logsOf(service string, list ...*logpb.LogRecord) *v1.ExportLogsServiceRequest {
	return &v1.ExportLogsServiceRequest{ResourceLogs: []*logpb.ResourceLogs{{
		Resource: of(service), ScopeLogs: []*logpb.ScopeLogs{{LogRecords: list}},
	}}}
}

func metricsOf(service string, list ...*metricpb.Metric) *metricsv1.ExportMetricsServiceRequest {
	return &metricsv1.ExportMetricsServiceRequest{ResourceMetrics: []*metricpb.ResourceMetrics{{
		Resource: of(service), ScopeMetrics: []*metricpb.ScopeMetrics{{Metrics: list}},
	}}}
}

// call is a call from one service to another: the client's span and the server's.
func call(c *collector.Collector, t testing.TB, at time.Time, failed bool) (traceID []byte) {
	traceID = id(16)
	root, client, server := id(8), id(8), id(8)
	status := &trace.Status{}
	if failed {
		status = &trace.Status{Code: trace.Status_STATUS_CODE_ERROR, Message: "card declined"}
	}
	code := "OK"
	if failed {
		code = "INTERNAL"
	}
	attrs := []*common.KeyValue{str("rpc.system.name", "grpc"), str("rpc.method", "shop.v1.Payment/Charge"), str("rpc.response.status_code", code), num("order", 42)}
	send(t, c, spansOf("payment", &trace.Span{
		TraceId: traceID, SpanId: server, ParentSpanId: client, Name: "shop.v1.Payment/Charge", Kind: trace.Span_SPAN_KIND_SERVER,
		StartTimeUnixNano: nano(at.Add(2 * time.Millisecond)), EndTimeUnixNano: nano(at.Add(8 * time.Millisecond)), Attributes: attrs, Status: status,
		Events: []*trace.Span_Event{{TimeUnixNano: nano(at.Add(3 * time.Millisecond)), Name: "retry", Attributes: []*common.KeyValue{str("why", "Straße gesperrt")}}},
	}))
	send(t, c, spansOf("checkout", &trace.Span{
		TraceId: traceID, SpanId: client, ParentSpanId: root, Name: "shop.v1.Payment/Charge", Kind: trace.Span_SPAN_KIND_CLIENT,
		StartTimeUnixNano: nano(at.Add(time.Millisecond)), EndTimeUnixNano: nano(at.Add(9 * time.Millisecond)),
		Attributes: append([]*common.KeyValue{str("server.address", "payment")}, attrs...), Status: status,
	}, &trace.Span{
		TraceId: traceID, SpanId: root, Name: "shop.v1.Checkout/Place", Kind: trace.Span_SPAN_KIND_SERVER,
		StartTimeUnixNano: nano(at), EndTimeUnixNano: nano(at.Add(10 * time.Millisecond)),
		Attributes: []*common.KeyValue{str("rpc.system.name", "grpc"), str("rpc.method", "shop.v1.Checkout/Place"), str("rpc.response.status_code", "OK")},
	}))
	return traceID
}

func TestTraces(t *testing.T) {
	c := &collector.Collector{}
	stop := start(t, c)
	now := time.Now().Add(-time.Minute)
	var ids []string
	for i := range 10 {
		ids = append(ids, hexOf(call(c, t, now.Add(time.Duration(i)*time.Second), i == 7)))
	}
	check := func(c *collector.Collector) {
		t.Helper()
		page, err := c.Traces(t.Context(), collector.TraceQuery{Limit: 4})
		if err != nil || len(page.Traces) != 4 || page.Traces[0].TraceID != ids[9] || page.Traces[3].TraceID != ids[6] || page.Next == "" {
			t.Fatalf("%+v, %v", page, err)
		}
		s := page.Traces[0]
		if s.Spans != 3 || s.Service != "checkout" || s.Name != "shop.v1.Checkout/Place" || s.Duration != 10*time.Millisecond || s.Gap ||
			strings.Join(s.Services, " ") != "checkout payment" {
			t.Errorf("%+v", s)
		}
		page, err = c.Traces(t.Context(), collector.TraceQuery{Limit: 4, Before: page.Next})
		if err != nil || len(page.Traces) != 4 || page.Traces[0].TraceID != ids[5] {
			t.Errorf("the second page: %+v, %v", page, err)
		}
		page, err = c.Traces(t.Context(), collector.TraceQuery{Limit: 4, Before: page.Next})
		if err != nil || len(page.Traces) != 2 || page.Next != "" {
			t.Errorf("the last page: %+v, %v", page, err)
		}
		for query, want := range map[string]int{
			"status:error": 1, "service:payment": 10, "service:cart": 0, "STRASSE": 0, "straße": 10, "gesperrt order=42": 10, "order>42": 0,
			"declined": 1, "-declined service:payment": 9, "method:Payment/Charge duration>7ms": 10, "method:Payment/Charge duration>8ms": 0, "kind:client": 10,
		} {
			page, err := c.Traces(t.Context(), collector.TraceQuery{Filter: query})
			if err != nil || len(page.Traces) != want {
				t.Errorf("%s: %d traces, want %d, %v", query, len(page.Traces), want, err)
			}
		}
		if _, err := c.Traces(t.Context(), collector.TraceQuery{Filter: "sevice:x"}); err == nil {
			t.Error("a wrong filter is no error")
		}
		tr, err := c.Trace(t.Context(), strings.ToUpper(ids[7]))
		if err != nil || len(tr.Spans) != 3 || tr.Errors != 2 || tr.Gaps != 0 || tr.Duration != 10*time.Millisecond {
			t.Fatalf("%+v, %v", tr, err)
		}
		for i, want := range []struct {
			service, kind string
			depth, parent int
		}{{"checkout", "server", 0, -1}, {"checkout", "client", 1, 0}, {"payment", "server", 2, 1}} {
			s := tr.Spans[i]
			if s.Service != want.service || s.Kind != want.kind || s.Depth != want.depth || s.Parent != want.parent || !s.Critical {
				t.Errorf("span %d: %+v", i, s)
			}
		}
		last := tr.Spans[2]
		if last.Status != "error" || last.Message != "card declined" || len(last.Events) != 1 || last.Attrs[3].Value != int64(42) || last.Instance != "payment-1" {
			t.Errorf("%+v", last)
		}
		if _, err := c.Trace(t.Context(), strings.Repeat("ab", 16)); !errors.Is(err, collector.ErrNotFound) {
			t.Errorf("a trace that is not there: %v", err)
		}
	}
	check(c)
	stop()
	again := &collector.Collector{Dir: c.Dir}
	start(t, again)
	check(again)
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	var s strings.Builder
	for _, c := range b {
		s.WriteByte(digits[c>>4])
		s.WriteByte(digits[c&15])
	}
	return s.String()
}

// A parent that nobody sent is a gap, above the spans that name it.
func TestGap(t *testing.T) {
	c := &collector.Collector{}
	start(t, c)
	now := time.Now()
	traceID, missing := id(16), id(8)
	a := &trace.Span{TraceId: traceID, SpanId: id(8), ParentSpanId: missing, Name: "a", StartTimeUnixNano: nano(now), EndTimeUnixNano: nano(now.Add(time.Second))}
	b := &trace.Span{TraceId: traceID, SpanId: id(8), ParentSpanId: missing, Name: "b", StartTimeUnixNano: nano(now.Add(time.Second)), EndTimeUnixNano: nano(now.Add(3 * time.Second))}
	send(t, c, spansOf("cart", a, b))
	tr, err := c.Trace(t.Context(), hexOf(traceID))
	if err != nil || tr.Gaps != 1 || len(tr.Spans) != 3 {
		t.Fatalf("%+v, %v", tr, err)
	}
	gap := tr.Spans[0]
	if !gap.Gap || gap.SpanID != hexOf(missing) || gap.Duration != 3*time.Second || !gap.Start.Equal(tr.Start) || tr.Spans[1].Depth != 1 || tr.Spans[2].Parent != 0 {
		t.Errorf("%+v", tr.Spans)
	}
	page, err := c.Traces(t.Context(), collector.TraceQuery{})
	if err != nil || len(page.Traces) != 1 || !page.Traces[0].Gap || page.Traces[0].Name != "a" {
		t.Errorf("%+v, %v", page, err)
	}
}

func TestLogs(t *testing.T) {
	c := &collector.Collector{}
	stop := start(t, c)
	now := time.Now().Add(-time.Minute).Truncate(time.Microsecond)
	traceID := id(16)
	for i := range 50 {
		severity, text := logpb.SeverityNumber_SEVERITY_NUMBER_INFO, "INFO"
		if i%10 == 3 {
			severity, text = logpb.SeverityNumber_SEVERITY_NUMBER_ERROR, "error"
		}
		r := &logpb.LogRecord{
			TimeUnixNano: nano(now.Add(time.Duration(i) * time.Second)), SeverityNumber: severity, SeverityText: text,
			Body: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: "line"}}, Attributes: []*common.KeyValue{num("n", int64(i))},
		}
		if i == 20 {
			r.TraceId, r.SpanId = traceID, id(8)
		}
		send(t, c, logsOf("cart", r))
	}
	c.AddLogs(collector.Log{Time: now.Add(time.Hour), Service: "mail", Level: "WARN", Message: "Plain output", Attrs: []collector.Attr{{Key: "to", Value: "Bob"}}, TraceID: hexOf(traceID)})
	check := func(c *collector.Collector) {
		t.Helper()
		page, err := c.Logs(t.Context(), collector.LogQuery{Limit: 10})
		if err != nil || len(page.Logs) != 10 || page.Logs[9].Service != "mail" || page.Logs[0].Attrs[0].Value != int64(41) || page.Next == "" {
			t.Fatalf("%+v, %v", page, err)
		}
		seen := len(page.Logs)
		for next := page.Next; next != ""; {
			p, err := c.Logs(t.Context(), collector.LogQuery{Limit: 10, Before: next})
			if err != nil {
				t.Fatal(err)
			}
			seen += len(p.Logs)
			next = p.Next
		}
		if seen != 51 {
			t.Errorf("%d lines on all pages", seen)
		}
		for query, want := range map[string]int{"level:error": 5, "level:warn": 6, "service:mail": 1, "plain OUTPUT": 1, "bob": 1, "n>=45": 5, "-service:mail": 50} {
			page, err := c.Logs(t.Context(), collector.LogQuery{Filter: query})
			if err != nil || len(page.Logs) != want {
				t.Errorf("%s: %d lines, want %d, %v", query, len(page.Logs), want, err)
			}
		}
		page, err = c.Logs(t.Context(), collector.LogQuery{TraceID: hexOf(traceID)})
		if err != nil || len(page.Logs) != 2 || page.Logs[1].Level != "WARN" || page.Logs[1].Severity != 13 {
			t.Errorf("%+v, %v", page.Logs, err)
		}
		page, err = c.Logs(t.Context(), collector.LogQuery{Services: []string{"cart"}, Level: "error", Window: collector.Window{From: now.Add(30 * time.Second)}})
		if err != nil || len(page.Logs) != 2 || page.Logs[0].Level != "ERROR" {
			t.Errorf("%+v, %v", page.Logs, err)
		}
	}
	check(c)
	// What comes after an answer is found by its Tail, once.
	page, err := c.Logs(t.Context(), collector.LogQuery{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	tail := page.Tail
	if page, err = c.Logs(t.Context(), collector.LogQuery{After: tail}); err != nil || len(page.Logs) != 0 || page.Tail != tail {
		t.Errorf("%+v, %v", page, err)
	}
	stop()
	again := &collector.Collector{Dir: c.Dir}
	start(t, again)
	check(again)
	again.AddLogs(collector.Log{Service: "a", Message: "1"}, collector.Log{Service: "a", Message: "2"}, collector.Log{Service: "a", Message: "3"})
	var got []string
	for range 4 {
		page, err := again.Logs(t.Context(), collector.LogQuery{After: tail, Limit: 2})
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range page.Logs {
			got = append(got, l.Message)
		}
		tail = page.Tail
	}
	if strings.Join(got, "") != "123" {
		t.Errorf("%v", got)
	}
}

func TestHTTP(t *testing.T) {
	c := &collector.Collector{}
	start(t, c)
	good, err := proto.Marshal(spansOf("a", &trace.Span{TraceId: id(16), SpanId: id(8), Name: "x"}))
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(good)
	_ = z.Close()
	bad, err := proto.Marshal(spansOf("a", &trace.Span{TraceId: id(16), SpanId: id(8), Name: "x"}, &trace.Span{TraceId: id(3), SpanId: id(8)}))
	if err != nil {
		t.Fatal(err)
	}
	var bomb bytes.Buffer
	z = gzip.NewWriter(&bomb)
	_, _ = z.Write(make([]byte, 40<<20))
	_ = z.Close()
	tests := map[string]struct {
		path, kind string
		body       []byte
		header     []string
		code       int
		text       string
	}{
		"plain":           {"/v1/traces", protobuf, good, nil, 200, ""},
		"gzip":            {"/v1/traces", protobuf, packed.Bytes(), []string{"Content-Encoding", "gzip"}, 200, ""},
		"empty":           {"/v1/traces", protobuf, nil, nil, 200, ""},
		"partial":         {"/v1/traces", protobuf, bad, nil, 200, "not valid"},
		"no protobuf":     {"/v1/traces", protobuf, []byte("hello"), nil, 400, "protobuf"},
		"no gzip":         {"/v1/traces", protobuf, good, []string{"Content-Encoding", "gzip"}, 400, "gzip"},
		"other encoding":  {"/v1/traces", protobuf, good, []string{"Content-Encoding", "br"}, 415, "gzip"},
		"other type":      {"/v1/traces", "text/plain", good, nil, 415, "Content-Type"},
		"a page":          {"/v1/traces", protobuf, good, []string{"Origin", "http://evil.example"}, 403, "pages"},
		"large":           {"/v1/logs", protobuf, make([]byte, 9<<20), nil, 413, "MiB"},
		"large unpacked":  {"/v1/logs", protobuf, bomb.Bytes(), []string{"Content-Encoding", "gzip"}, 413, "MiB"},
		"json":            {"/v1/traces", "application/json; charset=utf-8", []byte(`{"resourceSpans":[]}`), nil, 200, "{}"},
		"broken json":     {"/v1/traces", "application/json", []byte(`{"resourceSpans":[`), nil, 400, "JSON"},
		"wrong json":      {"/v1/metrics", "application/json", []byte(`{"resourceMetrics":7}`), nil, 400, "resourceMetrics"},
		"json and more":   {"/v1/traces", "application/json", []byte(`{} {}`), nil, 400, "behind"},
		"deep json":       {"/v1/logs", "application/json", []byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":` + strings.Repeat(`{"arrayValue":{"values":[`, 1000)), nil, 400, "deep"},
		"another address": {"/v2/traces", protobuf, good, nil, 404, ""},
	}
	for name, tt := range tests {
		w := post(t, c, tt.path, tt.kind, tt.body, tt.header...)
		if w.Code != tt.code || !strings.Contains(w.Body.String(), tt.text) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if w.Code != 404 && strings.HasPrefix(tt.kind, "application/json") != (w.Header().Get("Content-Type") == "application/json") {
			t.Errorf("%s: answered in %s", name, w.Header().Get("Content-Type"))
		}
	}
	r := httptest.NewRequest("GET", "/v1/traces", nil)
	w := httptest.NewRecorder()
	if c.Handler().ServeHTTP(w, r); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", w.Code)
	}
	answer := new(tracev1.ExportTraceServiceResponse)
	if err := proto.Unmarshal(post(t, c, "/v1/traces", protobuf, bad).Body.Bytes(), answer); err != nil || answer.PartialSuccess.GetRejectedSpans() != 1 {
		t.Errorf("%v, %v", answer, err)
	}
	if st := c.Stats(); len(st.Dropped) != 1 || st.Dropped[0].Count != 2 || st.Spans.Received != 6 || st.Spans.Kept != 4 {
		t.Errorf("%+v", st)
	}
}
