package collector_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/telemetry/collector"
	common "go.opentelemetry.io/proto/slim/otlp/common/v1"
	metricpb "go.opentelemetry.io/proto/slim/otlp/metrics/v1"
	trace "go.opentelemetry.io/proto/slim/otlp/trace/v1"
)

const (
	delta      = metricpb.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA
	cumulative = metricpb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE
)

func sum(name string, t metricpb.AggregationTemporality, start, at time.Time, v float64, labels ...*common.KeyValue) *metricpb.Metric {
	return &metricpb.Metric{Name: name, Unit: "1", Description: "what " + name + " is", Data: &metricpb.Metric_Sum{Sum: &metricpb.Sum{
		AggregationTemporality: t, IsMonotonic: true,
		DataPoints: []*metricpb.NumberDataPoint{{
			StartTimeUnixNano: nano(start), TimeUnixNano: nano(at), Value: &metricpb.NumberDataPoint_AsDouble{AsDouble: v}, Attributes: labels,
		}},
	}}}
}

func gauge(name string, at time.Time, v int64) *metricpb.Metric {
	return &metricpb.Metric{Name: name, Data: &metricpb.Metric_Gauge{Gauge: &metricpb.Gauge{
		DataPoints: []*metricpb.NumberDataPoint{{TimeUnixNano: nano(at), Value: &metricpb.NumberDataPoint_AsInt{AsInt: v}}},
	}}}
}

// exponential is a histogram with n values of about v.
func exponential(name string, at time.Time, n uint64, v float64, labels ...*common.KeyValue) *metricpb.Metric {
	const scale = 5
	index := int32(math.Ceil(math.Log2(v)*(1<<scale))) - 1
	total := v * float64(n)
	return &metricpb.Metric{Name: name, Unit: "s", Data: &metricpb.Metric_ExponentialHistogram{ExponentialHistogram: &metricpb.ExponentialHistogram{
		AggregationTemporality: delta,
		DataPoints: []*metricpb.ExponentialHistogramDataPoint{{
			StartTimeUnixNano: nano(at.Add(-2 * time.Second)), TimeUnixNano: nano(at), Count: n, Sum: &total, Scale: scale,
			Positive: &metricpb.ExponentialHistogramDataPoint_Buckets{Offset: index, BucketCounts: []uint64{n}}, Attributes: labels,
			Exemplars: []*metricpb.Exemplar{{TimeUnixNano: nano(at), Value: &metricpb.Exemplar_AsDouble{AsDouble: v}, TraceId: id(16), SpanId: id(8)}},
		}},
	}}}
}

func total(v collector.Values) (sum float64) {
	for _, f := range v {
		if !math.IsNaN(f) {
			sum += f
		}
	}
	return sum
}

func near(a, b, part float64) bool { return math.Abs(a-b) <= part*math.Abs(b) }

func TestSeries(t *testing.T) {
	c := &collector.Collector{}
	start(t, c)
	now := time.Now()
	begin := now.Add(-time.Minute)
	// A cumulative counter: 10, 25, then it begins anew with 5, and the last is sent twice.
	for i, v := range []float64{10, 25, 5, 5} {
		from, at := begin, begin.Add(time.Duration(i+1)*10*time.Second)
		if i >= 2 {
			from, at = begin.Add(25*time.Second), begin.Add(30*time.Second)
		}
		send(t, c, metricsOf("cart", sum("orders", cumulative, from, at, v, str("kind", "book"))))
	}
	send(t, c, metricsOf("mail", sum("orders", delta, begin, begin.Add(10*time.Second), 60, str("kind", "mail"))))
	// One that has counted for long before it is told of.
	send(t, c, metricsOf("old", sum("orders", cumulative, now.Add(-time.Hour), begin, 1e6)))
	send(t, c, metricsOf("cart", gauge("heap", begin, 100), gauge("heap", begin.Add(20*time.Second), 300)))
	for range 5 {
		send(t, c, metricsOf("cart", exponential("latency", begin.Add(20*time.Second), 90, 0.010), exponential("latency", begin.Add(20*time.Second), 10, 1)))
	}
	explicit := &metricpb.Metric{Name: "size", Data: &metricpb.Metric_Histogram{Histogram: &metricpb.Histogram{
		AggregationTemporality: delta, DataPoints: []*metricpb.HistogramDataPoint{{
			TimeUnixNano: nano(begin), Count: 100, ExplicitBounds: []float64{1, 10, 100}, BucketCounts: []uint64{0, 95, 5, 0},
		}},
	}}}
	send(t, c, metricsOf("cart", explicit))

	infos, err := c.Metrics(t.Context())
	if err != nil || len(infos) != 4 || infos[2].Name != "orders" || infos[2].Kind != "counter" || infos[2].Series != 3 || len(infos[2].Services) != 3 ||
		infos[2].Labels[0] != "kind" || infos[2].Description != "what orders is" {
		t.Fatalf("%+v, %v", infos, err)
	}
	get := func(q collector.SeriesQuery) collector.SeriesResult {
		t.Helper()
		r, err := c.Series(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := get(collector.SeriesQuery{Metric: "orders", Stat: "sum", By: []string{"service.name"}})
	got := map[string]float64{}
	for _, s := range r.Series {
		got[s.Labels["service.name"]] = math.Round(total(s.Values))
	}
	if got["cart"] != 30 || got["mail"] != 60 || got["old"] != 0 {
		t.Errorf("%v", got)
	}
	r = get(collector.SeriesQuery{Metric: "orders", Stat: "rate", Where: []collector.Match{{Key: "kind", Value: "mail"}}})
	if len(r.Series) != 1 || !near(total(r.Series[0].Values)*r.Step.Seconds(), 60, 0.01) {
		t.Errorf("%+v", r)
	}
	most := 0.0
	for _, v := range r.Series[0].Values {
		most = max(most, v)
	}
	if most > 6.5 { // 60 in ten seconds, and not at once
		t.Errorf("%v a second", most)
	}
	if r = get(collector.SeriesQuery{Metric: "heap"}); r.Stat != "avg" || total(r.Series[0].Values) != 400 {
		t.Errorf("%+v", r)
	}
	for stat, want := range map[string]float64{"p50": 0.010, "p99": 1} {
		r := get(collector.SeriesQuery{Metric: "latency", Stat: stat, Step: time.Minute})
		if v := total(r.Series[0].Values); !near(v, want, 0.1) || len(r.Series[0].Exemplars) == 0 {
			t.Errorf("%s = %v: %+v", stat, v, r)
		}
	}
	if r = get(collector.SeriesQuery{Metric: "size", Stat: "p50"}); !near(total(r.Series[0].Values), math.Sqrt(10), 0.1) {
		t.Errorf("%+v", r)
	}
	if _, err := c.Series(t.Context(), collector.SeriesQuery{Metric: "none"}); !errors.Is(err, collector.ErrNotFound) {
		t.Error(err)
	}
	if _, err := c.Series(t.Context(), collector.SeriesQuery{Metric: "heap", Stat: "p95"}); err == nil {
		t.Error("a gauge has percentiles")
	}
}

// Two services call each other; one of them sends metrics, and all send spans. A third, in another language, sends spans alone.
func TestMap(t *testing.T) {
	c := &collector.Collector{}
	start(t, c)
	now := time.Now()
	method := []*common.KeyValue{str("rpc.system.name", "grpc"), str("rpc.method", "shop.v1.Payment/Charge"), str("rpc.response.status_code", "OK")}
	call(c, t, now.Add(-2*time.Second), false)
	send(t, c, metricsOf("payment", exponential("rpc.server.call.duration", now, 100, 0.005, method...)))
	send(t, c, metricsOf("checkout", exponential("rpc.client.call.duration", now, 100, 0.006, append(method, str("server.address", "payment"))...)))
	// The client knows an address; the server's span tells whose it is.
	traceID, client := id(16), id(8)
	send(t, c, spansOf("report", &trace.Span{TraceId: traceID, SpanId: client, Name: "GET", Kind: trace.Span_SPAN_KIND_CLIENT, StartTimeUnixNano: nano(now), EndTimeUnixNano: nano(now.Add(time.Millisecond)),
		Attributes: []*common.KeyValue{str("http.request.method", "GET"), str("server.address", "127.0.0.1"), num("server.port", 8080)}},
		&trace.Span{TraceId: traceID, SpanId: id(8), ParentSpanId: client, Name: "SELECT", Kind: trace.Span_SPAN_KIND_CLIENT, StartTimeUnixNano: nano(now), EndTimeUnixNano: nano(now.Add(time.Millisecond)),
			Attributes: []*common.KeyValue{str("db.system.name", "postgresql"), str("db.namespace", "orders"), str("db.operation.name", "SELECT")}},
		&trace.Span{TraceId: traceID, SpanId: id(8), ParentSpanId: client, Name: "send", Kind: trace.Span_SPAN_KIND_PRODUCER, StartTimeUnixNano: nano(now), EndTimeUnixNano: nano(now.Add(time.Millisecond)),
			Attributes: []*common.KeyValue{str("messaging.system", "nats"), str("messaging.destination.name", "orders.placed")}}))
	send(t, c, spansOf("checkout",
		&trace.Span{TraceId: traceID, SpanId: id(8), ParentSpanId: client, Name: "GET /orders", Kind: trace.Span_SPAN_KIND_SERVER, StartTimeUnixNano: nano(now), EndTimeUnixNano: nano(now.Add(time.Millisecond)),
			Attributes: []*common.KeyValue{str("http.request.method", "GET"), str("http.route", "/orders"), num("http.response.status_code", 200)}},
		&trace.Span{TraceId: traceID, SpanId: id(8), ParentSpanId: client, Name: "process", Kind: trace.Span_SPAN_KIND_CONSUMER, StartTimeUnixNano: nano(now), EndTimeUnixNano: nano(now.Add(time.Millisecond)),
			Attributes: []*common.KeyValue{str("messaging.system", "nats"), str("messaging.destination.name", "orders.placed")}}))

	m, err := c.Map(t.Context(), collector.Window{})
	if err != nil {
		t.Fatal(err)
	}
	var edges, nodes string
	for _, e := range m.Edges {
		edges += e.From + ">" + e.To + ":" + e.Kind + " "
	}
	for _, n := range m.Nodes {
		nodes += n.Name + ":" + n.Kind + " "
	}
	if edges != "checkout>payment:rpc orders.placed>checkout:event report>checkout:http report>orders:db report>orders.placed:event " {
		t.Error(edges)
	}
	if nodes != "checkout:service orders:db orders.placed:messaging payment:service report:service " {
		t.Error(nodes)
	}
	// The metric counts, not the one span.
	if e := m.Edges[0]; !near(e.Calls, 100.0/300, 0.02) || !near(float64(e.P95), 6e6, 0.1) {
		t.Errorf("%+v", e)
	}
	list, err := c.Services(t.Context(), collector.Window{})
	if err != nil || len(list) != 3 || list[1].Name != "payment" || !near(list[1].Calls, 100.0/300, 0.02) || list[1].Versions[0] != "1.2" || list[1].Language != "go" ||
		len(list[1].Sparks.Calls) != 30 || list[1].Instances[0] != "payment-1" {
		t.Errorf("%+v, %v", list, err)
	}
	d, err := c.Service(t.Context(), "payment", collector.Window{})
	if err != nil || len(d.Methods) != 1 || d.Methods[0].Name != "shop.v1.Payment/Charge" || d.Methods[0].Status["OK"] != 100 || len(d.Callers) != 1 || d.Callers[0].From != "checkout" {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := c.Service(t.Context(), "nobody", collector.Window{}); !errors.Is(err, collector.ErrNotFound) {
		t.Error(err)
	}
}

// The language of a service is that of its command, not of the hanse run in front of it.
func TestLanguage(t *testing.T) {
	for _, order := range [][]string{{"go", "nodejs", ""}, {"nodejs", "", "go"}, {"", "go", "nodejs"}} {
		c := new(collector.Collector)
		stop := start(t, c)
		for _, language := range order {
			m := spansOf("reviews", &trace.Span{TraceId: id(16), SpanId: id(8), Name: "x", StartTimeUnixNano: nano(time.Now()), EndTimeUnixNano: nano(time.Now())})
			m.ResourceSpans[0].Resource.Attributes = []*common.KeyValue{str("service.name", "reviews"), str("service.instance.id", "by "+language), str("telemetry.sdk.language", language)}
			send(t, c, m)
		}
		if list, err := c.Services(t.Context(), collector.Window{}); err != nil || len(list) != 1 || list[0].Language != "nodejs" {
			t.Errorf("%q: %+v, %v", order, list, err)
		}
		stop()
	}
}

// updown is a number that goes up and down.
func updown(name string, at time.Time, v int64, labels ...*common.KeyValue) *metricpb.Metric {
	return &metricpb.Metric{Name: name, Unit: "{call}", Data: &metricpb.Metric_Sum{Sum: &metricpb.Sum{
		AggregationTemporality: cumulative,
		DataPoints: []*metricpb.NumberDataPoint{{
			StartTimeUnixNano: nano(at.Add(-time.Hour)), TimeUnixNano: nano(at), Value: &metricpb.NumberDataPoint_AsInt{AsInt: v}, Attributes: labels,
		}},
	}}}
}

func flag(key string) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_BoolValue{BoolValue: true}}}
}

// A request that became a call counts once for its service, whoever tells of it: numbers or spans. One that became none counts, too.
func TestRequestsOfCalls(t *testing.T) {
	at := time.Now().Add(-3 * time.Second)
	const get, route = "shop.v1.Catalog/Get", "/v1/products/{id}"
	request := func(status int64, more ...*common.KeyValue) []*common.KeyValue {
		return append(more, str("http.request.method", "GET"), str("http.route", route), num("http.response.status_code", status))
	}
	call := func(status string) []*common.KeyValue {
		return []*common.KeyValue{str("rpc.system.name", "grpc"), str("rpc.method", get), str("rpc.response.status_code", status)}
	}
	became := flag("hanse.http.calls")
	for name, tell := range map[string]func(c *collector.Collector){
		"numbers": func(c *collector.Collector) {
			send(t, c, metricsOf("catalog",
				exponential("http.server.request.duration", at, 80, 0.02, request(200, became)...), exponential("rpc.server.call.duration", at, 80, 0.01, call("OK")...),
				exponential("http.server.request.duration", at, 20, 0.02, request(503, became)...), exponential("rpc.server.call.duration", at, 20, 0.01, call("UNAVAILABLE")...),
				exponential("http.server.request.duration", at, 50, 0.02, request(400)...)))
		},
		"spans": func(c *collector.Collector) {
			span := func(name string, took time.Duration, attrs []*common.KeyValue) *trace.Span {
				return &trace.Span{
					TraceId: id(16), SpanId: id(8), Name: name, Kind: trace.Span_SPAN_KIND_SERVER, StartTimeUnixNano: nano(at.Add(-took)), EndTimeUnixNano: nano(at), Attributes: attrs,
				}
			}
			for i := range 100 {
				code, status := int64(200), "OK"
				if i < 20 {
					code, status = 503, "UNAVAILABLE"
				}
				send(t, c, spansOf("catalog", span("GET "+route, 20*time.Millisecond, request(code, became)), span(get, 10*time.Millisecond, call(status))))
			}
			for range 50 {
				send(t, c, spansOf("catalog", span("GET "+route, 20*time.Millisecond, request(400))))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := &collector.Collector{}
			start(t, c)
			tell(c)
			check := func(of string, n collector.Numbers) {
				t.Helper()
				if !near(n.Calls*300, 150, 0.01) || !near(n.Errors*300, 20, 0.01) || !near(n.ClientErrors*300, 50, 0.01) {
					t.Errorf("%s: %.1f calls, %.1f failed, %.1f refused; want 150, 20, 50", of, n.Calls*300, n.Errors*300, n.ClientErrors*300)
				}
			}
			list, err := c.Services(t.Context(), collector.Window{})
			if err != nil || len(list) != 1 {
				t.Fatalf("%+v, %v", list, err)
			}
			check("the table", list[0].Numbers)
			if n := total(list[0].Sparks.Calls) * list[0].Sparks.Step.Seconds(); !near(n, 150, 0.01) {
				t.Errorf("the spark has %v calls", n)
			}
			m, err := c.Map(t.Context(), collector.Window{})
			if err != nil || len(m.Nodes) != 1 {
				t.Fatalf("%+v, %v", m, err)
			}
			check("the map", m.Nodes[0].Numbers)
			d, err := c.Service(t.Context(), "catalog", collector.Window{})
			if err != nil || len(d.Methods) != 2 { // both ways to it are there
				t.Fatalf("%+v, %v", d.Methods, err)
			}
			check("the page of the service", d.Numbers)
			for _, m := range d.Methods {
				want := map[string]float64{collector.KindHTTP: 150, collector.KindRPC: 100}[m.Kind]
				if !near(m.Calls*300, want, 0.01) {
					t.Errorf("%s %s: %.1f calls, want %v", m.Kind, m.Name, m.Calls*300, want)
				}
			}
			problems, err := c.Problems(t.Context())
			if err != nil || len(problems) != 1 || problems[0].Method != get {
				t.Errorf("%+v, %v", problems, err)
			}
		})
	}
}

// Calls that ask about a service are among its methods, and in no sum, on no edge and no problem, whoever tells of them: numbers or spans.
func TestTooling(t *testing.T) {
	at := time.Now().Add(-3 * time.Second)
	const get = "shop.v1.Catalog/Get"
	calls := map[string]uint64{
		get: 10, "grpc.reflection.v1.ServerReflection/ServerReflectionInfo": 40, "grpc.health.v1.Health/Check": 300, "grpc.testing.TestService/UnaryCall": 20,
	}
	attrs := func(method string) []*common.KeyValue {
		code := "OK"
		if strings.HasPrefix(method, "grpc.refl") {
			code = "UNIMPLEMENTED"
		}
		return []*common.KeyValue{str("rpc.system.name", "grpc"), str("rpc.method", method), str("rpc.response.status_code", code), str("server.address", "catalog")}
	}
	for name, tell := range map[string]func(c *collector.Collector, method string, n uint64){
		"numbers": func(c *collector.Collector, method string, n uint64) {
			send(t, c, metricsOf("catalog", exponential("rpc.server.call.duration", at, n, 0.01, attrs(method)...)))
			send(t, c, metricsOf("gateway", exponential("rpc.client.call.duration", at, n, 0.01, attrs(method)...)))
		},
		"spans": func(c *collector.Collector, method string, n uint64) {
			for range n {
				for service, kind := range map[string]trace.Span_SpanKind{"catalog": trace.Span_SPAN_KIND_SERVER, "gateway": trace.Span_SPAN_KIND_CLIENT} {
					send(t, c, spansOf(service, &trace.Span{
						TraceId: id(16), SpanId: id(8), Name: method, Kind: kind, StartTimeUnixNano: nano(at.Add(-10 * time.Millisecond)), EndTimeUnixNano: nano(at), Attributes: attrs(method),
					}))
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := new(collector.Collector)
			start(t, c)
			for method, n := range calls {
				tell(c, method, n)
			}
			send(t, c, metricsOf("catalog", updown("hanse.rpc.server.open_streams", at, 1, str("rpc.method", "grpc.health.v1.Health/Watch"))))
			send(t, c, metricsOf("gateway", updown("hanse.rpc.client.open_streams", at, 1, str("rpc.method", "grpc.health.v1.Health/Watch"), str("server.address", "catalog"))))
			m, err := c.Map(t.Context(), collector.Window{})
			if err != nil || len(m.Edges) != 1 || !near(m.Edges[0].Calls*300, 30, 0.01) || m.Edges[0].Errors+float64(m.Edges[0].Open) != 0 || len(m.Nodes) != 2 {
				t.Fatalf("%+v, %v", m, err)
			}
			list, err := c.Services(t.Context(), collector.Window{})
			if err != nil || len(list) != 2 || !near(list[0].Calls*300, 30, 0.01) || list[0].Errors+float64(list[0].Open) != 0 || !near(total(list[0].Sparks.Calls)*list[0].Sparks.Step.Seconds(), 30, 0.01) {
				t.Errorf("%+v, %v", list, err)
			}
			d, err := c.Service(t.Context(), "catalog", collector.Window{})
			if err != nil || len(d.Methods) != 5 || len(d.Callers) != 1 {
				t.Errorf("%+v, %v", d, err)
			}
			if list, err := c.Methods(t.Context(), collector.Window{}, 0); err != nil || len(list) != 2 || list[0].Name != "grpc.testing.TestService/UnaryCall" {
				t.Errorf("%+v, %v", list, err)
			}
			if problems, err := c.Problems(t.Context()); err != nil || len(problems) != 0 {
				t.Errorf("%+v, %v", problems, err)
			}
		})
	}
}

// What a stream takes is no latency, whoever tells of it: numbers or spans.
func TestStreams(t *testing.T) {
	at := time.Now().Add(-3 * time.Second)
	const watch = "shop.v1.Orders/Watch"
	for name, tell := range map[string]func(c *collector.Collector){
		"numbers": func(c *collector.Collector) {
			server, client, stream := "rpc.server.call.duration", "rpc.client.call.duration", flag("hanse.rpc.stream")
			send(t, c, metricsOf("orders",
				exponential(server, at, 300, 0.01, str("rpc.method", "shop.v1.Orders/Get"), str("rpc.response.status_code", "OK")),
				exponential(server, at, 30, 60, str("rpc.method", watch), str("rpc.response.status_code", "OK"), stream)))
			send(t, c, metricsOf("web",
				exponential(client, at, 300, 0.01, str("rpc.method", "shop.v1.Orders/Get"), str("rpc.response.status_code", "OK"), str("server.address", "orders")),
				exponential(client, at, 30, 60, str("rpc.method", watch), str("rpc.response.status_code", "CANCELLED"), str("server.address", "orders"), stream)))
		},
		"spans": func(c *collector.Collector) {
			span := func(kind trace.Span_SpanKind, method string, took time.Duration, more ...*common.KeyValue) *trace.Span {
				return &trace.Span{
					TraceId: id(16), SpanId: id(8), Name: method, Kind: kind, StartTimeUnixNano: nano(at.Add(-took)), EndTimeUnixNano: nano(at),
					Attributes: append(more, str("rpc.system.name", "grpc"), str("rpc.method", method), str("rpc.response.status_code", "OK"), str("server.address", "orders")),
				}
			}
			for i := range 330 {
				method, took, more := "shop.v1.Orders/Get", 10*time.Millisecond, []*common.KeyValue(nil)
				if i < 30 {
					method, took, more = watch, time.Minute, []*common.KeyValue{flag("hanse.rpc.stream")}
				}
				send(t, c, spansOf("orders", span(trace.Span_SPAN_KIND_SERVER, method, took, more...)))
				send(t, c, spansOf("web", span(trace.Span_SPAN_KIND_CLIENT, method, took, more...)))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := new(collector.Collector)
			start(t, c)
			tell(c)
			send(t, c, metricsOf("orders", updown("hanse.rpc.server.open_streams", at, 2, str("rpc.method", watch))))
			send(t, c, metricsOf("web", updown("hanse.rpc.client.open_streams", at, 3, str("rpc.method", watch), str("server.address", "orders"))))
			// One that only has streams that have not ended.
			send(t, c, metricsOf("board", updown("hanse.rpc.client.open_streams", at, 1, str("rpc.method", watch), str("server.address", "orders"))))
			send(t, c, metricsOf("gone", updown("hanse.rpc.client.open_streams", at, 0, str("rpc.method", watch), str("server.address", "orders"))))
			check := func(what string, n collector.Numbers, open int) {
				t.Helper()
				if !near(n.Calls, 330.0/300, 0.01) || !near(n.Streams, 30.0/300, 0.01) || n.Open != open || n.P99 > 20*time.Millisecond || n.P50 < 5*time.Millisecond || n.Errors != 0 {
					t.Errorf("%s: %+v", what, n)
				}
			}
			m, err := c.Map(t.Context(), collector.Window{})
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range m.Nodes {
				if n.Name == "orders" {
					check("node", n.Numbers, 2)
				}
			}
			if len(m.Edges) != 2 || m.Edges[0].From != "board" || m.Edges[0].Open != 1 || m.Edges[0].P95 != 0 {
				t.Fatalf("%+v", m.Edges)
			}
			check("edge", m.Edges[1].Numbers, 3)
			d, err := c.Service(t.Context(), "orders", collector.Window{})
			if err != nil {
				t.Fatal(err)
			}
			check("service", d.Numbers, 2)
			for _, v := range d.Sparks.P95 {
				if v > 0.02 {
					t.Errorf("a spark says %v s", v)
				}
			}
			if len(d.Methods) != 2 || d.Methods[0].Streams != 0 || d.Methods[1].Streams == 0 || d.Methods[1].Open != 2 || d.Methods[1].P95 != 0 {
				t.Errorf("%+v", d.Methods)
			}
		})
	}
}

// What counts as an error is what a server is to blame for, whoever tells it.
func TestErrors(t *testing.T) {
	at := time.Now().Add(-3 * time.Second)
	for status, fault := range map[string]bool{
		"UNKNOWN": true, "DEADLINE_EXCEEDED": true, "UNIMPLEMENTED": true, "INTERNAL": true, "UNAVAILABLE": true, "DATA_LOSS": true,
		"CANCELLED": false, "INVALID_ARGUMENT": false, "NOT_FOUND": false, "ALREADY_EXISTS": false, "PERMISSION_DENIED": false, "RESOURCE_EXHAUSTED": false,
		"FAILED_PRECONDITION": false, "ABORTED": false, "OUT_OF_RANGE": false, "UNAUTHENTICATED": false, "404": false, "503": true,
	} {
		c := new(collector.Collector)
		stop := start(t, c)
		server, client, key := "rpc.server.call.duration", "rpc.client.call.duration", "rpc.response.status_code"
		if len(status) == 3 {
			server, client, key = "http.server.request.duration", "http.client.request.duration", "http.response.status_code"
		}
		send(t, c, metricsOf("orders", exponential(server, at, 300, 0.01, str(key, status))))
		send(t, c, metricsOf("web", exponential(client, at, 300, 0.01, str(key, status), str("error.type", status), str("server.address", "orders"))))
		// One that sends spans alone; that of a client is an error, always.
		for range 300 {
			send(t, c, spansOf("node", &trace.Span{
				TraceId: id(16), SpanId: id(8), Kind: trace.Span_SPAN_KIND_CLIENT, StartTimeUnixNano: nano(at), EndTimeUnixNano: nano(at), Status: &trace.Status{Code: trace.Status_STATUS_CODE_ERROR},
				Attributes: []*common.KeyValue{str(key, status), str("server.address", "orders")},
			}))
		}
		want := [2]float64{0, 1}
		if fault {
			want = [2]float64{1, 0}
		}
		check := func(what string, n collector.Numbers) {
			t.Helper()
			if !near(n.Errors, want[0], 0.01) || !near(n.ClientErrors, want[1], 0.01) {
				t.Errorf("%s, %s: %+v", status, what, n)
			}
		}
		m, err := c.Map(t.Context(), collector.Window{})
		if err != nil || len(m.Edges) != 2 {
			t.Fatalf("%+v, %v", m, err)
		}
		for _, e := range m.Edges {
			check("edge from "+e.From, e.Numbers)
		}
		d, err := c.Service(t.Context(), "orders", collector.Window{})
		if err != nil || len(d.Methods) != 1 {
			t.Fatalf("%+v, %v", d, err)
		}
		check("service", d.Numbers)
		if (len(d.Methods[0].Faults) == 1) != fault {
			t.Errorf("%s: %+v", status, d.Methods[0])
		}
		// Lists and pictures of traces say the same.
		all := map[string]string{"status:error": "error", "status:refused": "refused", "status:" + status: map[bool]string{true: "error", false: "refused"}[fault]}
		for query, says := range all {
			page, err := c.Traces(t.Context(), collector.TraceQuery{Filter: query, Limit: 1000})
			if want := map[bool]int{true: 300}[fault == (says == "error")]; err != nil || len(page.Traces) != want {
				t.Errorf("%s: %s finds %d, want %d, %v", status, query, len(page.Traces), want, err)
			}
			if len(page.Traces) > 0 {
				s := page.Traces[0]
				if s.Status != says || s.Code != status || (s.Errors > 0) != fault {
					t.Fatalf("%s: %+v", status, s)
				}
				if tr, err := c.Trace(t.Context(), s.TraceID); err != nil || tr.Errors != s.Errors || tr.Spans[0].Status != says || tr.Spans[0].Code != status {
					t.Fatalf("%s: %+v, %v", status, tr, err)
				}
			}
		}
		if page, err := c.Traces(t.Context(), collector.TraceQuery{Errors: true}); err != nil || (len(page.Traces) > 0) != fault {
			t.Errorf("%s: %d failed, %v", status, len(page.Traces), err)
		}
		problems, err := c.Problems(t.Context())
		if err != nil || (len(problems) > 0) != fault {
			t.Errorf("%s: %+v, %v", status, problems, err)
		}
		stop()
	}
}

func TestProblems(t *testing.T) {
	c := &collector.Collector{}
	start(t, c)
	now := time.Now()
	if list, err := c.Problems(t.Context()); err != nil || len(list) != 0 {
		t.Fatalf("%+v, %v", list, err)
	}
	for i := range 8 {
		call(c, t, now.Add(-time.Second), i%2 == 0)
	}
	c.AddLogs(collector.Log{Service: "mail", Level: "ERROR", Message: "cannot send", Attrs: []collector.Attr{{Key: "err", Value: "no route"}}},
		collector.Log{Service: "payment", Level: "ERROR", Message: "declined"})
	list, err := c.Problems(t.Context())
	if err != nil || len(list) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	if p := list[0]; p.Kind != "errors" || p.Severity != "error" || p.Service != "payment" || p.Title != "payment fails: 50 % of calls to Payment/Charge" ||
		p.Reason != "INTERNAL: card declined" || p.TraceID == "" || p.Count != 4 {
		t.Errorf("%+v", p)
	}
	if p := list[1]; p.Kind != "logs" || p.Service != "mail" || p.Reason != "cannot send: no route" {
		t.Errorf("%+v", p)
	}
	page, err := c.Traces(t.Context(), collector.TraceQuery{Filter: list[0].Filter})
	if err != nil || len(page.Traces) != 4 {
		t.Errorf("%d traces, %v", len(page.Traces), err)
	}
}

func TestAttributes(t *testing.T) {
	c := &collector.Collector{}
	start(t, c)
	call(c, t, time.Now(), false)
	c.AddLogs(collector.Log{Service: "mail", Message: "m", Attrs: []collector.Attr{{Key: "to", Value: "bob"}}})
	list, err := c.Attributes(t.Context(), collector.AttributeQuery{Prefix: "rpc."})
	if err != nil || len(list) != 3 || list[0].Key != "rpc.method" || list[0].Count != 3 || list[0].Values[0] != (collector.AttributeValue{Value: "shop.v1.Payment/Charge", Count: 2}) {
		t.Errorf("%+v, %v", list, err)
	}
	if list, err = c.Attributes(t.Context(), collector.AttributeQuery{Key: "to", Value: "B"}); err != nil || len(list) != 1 || list[0].Values[0].Value != "bob" {
		t.Errorf("%+v, %v", list, err)
	}
	if list, err = c.Attributes(t.Context(), collector.AttributeQuery{Signal: "spans", Key: "to"}); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestChanges(t *testing.T) {
	c := &collector.Collector{}
	stop := start(t, c)
	changes := c.Changes(t.Context())
	call(c, t, time.Now(), false)
	got := 0
	var services []string
	for got < 3 {
		ch, ok := <-changes
		if !ok {
			t.Fatal("closed")
		}
		got += ch.Spans
		services = append(services, ch.Services...)
	}
	if got != 3 || len(services) != 2 {
		t.Errorf("%d spans, %v", got, services)
	}
	stop()
	if _, ok := <-changes; ok {
		t.Error("there are changes after the end")
	}
}
