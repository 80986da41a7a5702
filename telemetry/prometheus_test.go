package telemetry

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/internal/otlp"
	"go.opentelemetry.io/otel/attribute"
	"google.golang.org/grpc/codes"
)

// TestPromNames holds the names against examples of OpenTelemetry's rules.
func TestPromNames(t *testing.T) {
	for _, tt := range []struct {
		name, unit string
		kind       otlp.Kind
		monotonic  bool
		want       string
	}{
		{"rpc.server.call.duration", "s", otlp.Histogram, false, "rpc_server_call_duration_seconds"},
		{"process.cpu.time", "s", otlp.Sum, true, "process_cpu_time_seconds_total"},
		{"process.memory.usage", "By", otlp.Sum, false, "process_memory_usage_bytes"},
		{"shop.items", "{item}", otlp.Sum, true, "shop_items_total"},
		{"shop.items_total", "", otlp.Sum, true, "shop_items_total"},
		{"system.cpu.utilization", "1", otlp.Gauge, false, "system_cpu_utilization_ratio"},
		{"queue", "1", otlp.Sum, false, "queue"},
		{"speed", "m/s", otlp.Gauge, false, "speed_meters_per_second"},
		{"rate", "{call}/min", otlp.Gauge, false, "rate_per_minute"},
		{"wait_seconds", "s", otlp.Gauge, false, "wait_seconds"},
		{"wait.seconds", "s", otlp.Gauge, false, "wait_seconds"},
		{"2nd--place!", "", otlp.Gauge, false, "_2nd_place_"},
		{"größe", "°F", otlp.Gauge, false, "gr_e_F"},
		{"go.config.gogc", "%", otlp.Sum, false, "go_config_gogc_percent"},
	} {
		got, _ := promName(&otlp.Metric{Name: tt.name, Unit: tt.unit, Kind: tt.kind, Monotonic: tt.monotonic})
		if got != tt.want {
			t.Errorf("%s in %q is %s and not %s", tt.name, tt.unit, got, tt.want)
		}
	}
	for key, want := range map[string]string{"http.method": "http_method", "1st": "key_1st", "_x": "key_x", "le": "exported_le", "a:b": "a_b", "a..b": "a_b"} {
		if got := promLabel(key); got != want {
			t.Errorf("%s is %s and not %s", key, got, want)
		}
	}
}

// scrape asks for /metrics.
func scrape(t *testing.T, all *Telemetry, accept string) (contentType, body string) {
	t.Helper()
	w := httptest.NewRecorder()
	req := httptest.NewRequest("GET", "/metrics", nil)
	req.Header.Set("Accept", accept)
	all.MetricsHandler().ServeHTTP(w, req)
	return w.Header().Get("Content-Type"), w.Body.String()
}

// lines finds those that begin with a prefix.
func lines(body, prefix string) (found []string) {
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, prefix) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

func TestScrape(t *testing.T) {
	s := service(t, Config{Resource: []attribute.KeyValue{attribute.String("a.b", "1"), attribute.String("a_b", "2\n")}})
	m := s.Serves("/p.S/M")
	m.count(3*time.Second, codes.Internal)
	m.count(time.Minute, codes.Internal)
	m.count(time.Nanosecond, codes.Internal)

	contentType, body := scrape(t, s.telemetry, "text/html, */*;q=0.1")
	if contentType != plainText {
		t.Errorf("got %s", contentType)
	}
	const labels = `error_type="INTERNAL",rpc_method="p.S/M",rpc_response_status_code="INTERNAL",rpc_system_name="grpc",service_name="cart"`
	got := lines(body, "rpc_server_call_duration_seconds_bucket")
	if len(got) != len(callBounds)+1 || got[0] != "rpc_server_call_duration_seconds_bucket{"+labels+`,le="6.103515625e-05"} 1` ||
		got[len(got)-3] != "rpc_server_call_duration_seconds_bucket{"+labels+`,le="8"} 2` || got[len(got)-1] != "rpc_server_call_duration_seconds_bucket{"+labels+`,le="+Inf"} 3` {
		t.Errorf("got %s", strings.Join(got, "\n"))
	}
	for _, want := range []string{
		"# TYPE rpc_server_call_duration_seconds histogram\n",
		"# HELP rpc_server_call_duration_seconds Measures the duration of an incoming Remote Procedure Call (RPC).\n",
		"rpc_server_call_duration_seconds_count{" + labels + "} 3\n",
		"rpc_server_call_duration_seconds_sum{" + labels + "} 63.000000001\n",
		"# TYPE target_info gauge\n" + `target_info{a_b="1;2\n",service_instance_id="i1",service_name="cart",service_version="v1",telemetry_sdk_language="go",telemetry_sdk_name="hanse"} 1` + "\n",
		"\ngo_goroutine_count ", "\nprocess_uptime_seconds ",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in\n%s", want, body)
		}
	}
	if strings.Contains(body, "trace_id") || strings.Contains(body, "# UNIT") || strings.Contains(body, "# EOF") {
		t.Errorf("OpenMetrics in\n%s", body)
	}

	contentType, body = scrape(t, s.telemetry, "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
	if contentType != "application/openmetrics-text; version=1.0.0; charset=utf-8" {
		t.Errorf("got %s", contentType)
	}
	got = lines(body, "rpc_server_call_duration_seconds_bucket{"+labels+`,le="4.0"} 2 # {trace_id="`+sampled.traceID.String()+`",span_id="`+sampled.spanID.String()+`"} 3 `)
	if len(got) != 1 {
		t.Errorf("no exemplar in\n%s", body)
	}
	for _, want := range []string{"# UNIT rpc_server_call_duration_seconds seconds\n", "# TYPE target info\ntarget_info{", "# TYPE process_cpu_time_seconds counter\n", "\nprocess_cpu_time_seconds_total{"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in\n%s", want, body)
		}
	}
	if !strings.HasSuffix(body, "\n# EOF\n") {
		t.Errorf("no end: %q", body[len(body)-20:])
	}
}

// TestScrapeOff holds that a program without telemetry says so.
func TestScrapeOff(t *testing.T) {
	if _, body := scrape(t, nil, ""); !strings.Contains(body, "off") {
		t.Errorf("got %q", body)
	}
}

// TestScrapeTwins holds that services with the same name do not become the same series.
func TestScrapeTwins(t *testing.T) {
	s := service(t, Config{})
	s.Serves("/p.S/M").count(1, codes.OK)
	s.telemetry.Service("cart", "v1", "i2").Serves("/p.S/M").count(1, codes.OK)
	_, body := scrape(t, s.telemetry, "")
	if got := lines(body, "rpc_server_call_duration_seconds_count"); len(got) != 2 || !strings.Contains(got[0], `service_instance_id="i1"`) || !strings.Contains(got[1], `service_instance_id="i2"`) {
		t.Errorf("got %v", got)
	}
	if n := strings.Count(body, "# TYPE rpc_server_call_duration_seconds "); n != 1 {
		t.Errorf("%d families", n)
	}
	if got := lines(body, "go_goroutine_count"); len(got) != 1 {
		t.Errorf("got %v", got)
	}
}

func TestFormat(t *testing.T) {
	const open1, open0 = openMetrics + "; version=1.0.0; charset=utf-8", openMetrics + "; version=0.0.1; charset=utf-8"
	for accept, want := range map[string]string{
		"": plainText, "text/plain": plainText, "*/*": plainText, "nonsense;;": plainText, openMetrics: open1, openMetrics + "; version=0.0.1": open0, openMetrics + "; version=2.0.0": plainText,
		openMetrics + ";q=0.2, text/plain;q=0.3": plainText, openMetrics + ";version=0.0.1;q=0.2, " + openMetrics + ";version=1.0.0;q=0.3": open1, openMetrics + ";q=0": plainText,
	} {
		if got, _ := promFormat(accept); got != want {
			t.Errorf("%q: %s", accept, got)
		}
	}
	for encodings, want := range map[string]bool{"": false, "gzip": true, "deflate, gzip;q=0.5": true, "gzip;q=0": false, "*": true, "br": false} {
		if acceptsGzip(encodings) != want {
			t.Errorf("%q: %v", encodings, !want)
		}
	}
}

// TestExplicitOf holds that an exponential histogram keeps its values within the bounds.
func TestExplicitOf(t *testing.T) {
	p := explicitOf(&otlp.ExponentialPoint{Scale: 1, Count: 9, ZeroCount: 1, Positive: otlp.ExponentialBuckets{Offset: -1, Counts: []uint64{1, 2, 3}}, Negative: otlp.ExponentialBuckets{Offset: 0, Counts: []uint64{1, 1}}})
	// Of base √2: -1 is up to 1, 0 and 1 are up to 2.
	wantBounds, wantBuckets := []float64{-1, 0, 1, 2}, []uint64{2, 1, 1, 5, 0}
	if len(p.Bounds) != 4 || len(p.Buckets) != 5 {
		t.Fatalf("got %v, %v", p.Bounds, p.Buckets)
	}
	for i := range wantBounds {
		if p.Bounds[i] != wantBounds[i] || p.Buckets[i] != wantBuckets[i] {
			t.Errorf("got %v, %v", p.Bounds, p.Buckets)
		}
	}
	if p := explicitOf(&otlp.ExponentialPoint{Scale: -1, Positive: otlp.ExponentialBuckets{Offset: 1, Counts: []uint64{1, 2}}}); p.Bounds[0] != 16 || p.Bounds[1] != 64 {
		t.Errorf("of base 4: %v", p.Bounds)
	}
}

// FuzzScrape holds that no text breaks a line.
func FuzzScrape(f *testing.F) {
	f.Add("a.b", "x\"y\n\\\xff", "By/s")
	f.Fuzz(func(t *testing.T, key, value, unit string) {
		var w promWriter
		m := otlp.Metric{Name: key, Description: value, Unit: unit, Kind: otlp.Gauge, Numbers: []otlp.Number{{Attributes: []attribute.KeyValue{attribute.String(key, value), attribute.String("z", "")}}}}
		list, _ := families([]otlp.ResourceMetrics{{Resource: &otlp.Resource{}, Scopes: []otlp.ScopeMetrics{{Metrics: []otlp.Metric{m}}}}})
		w.family(list[0])
		out := string(w.b)
		if strings.Count(out, "\n") != 3 || !strings.HasSuffix(out, "} 0\n") {
			t.Errorf("got %q", out)
		}
	})
}

func BenchmarkScrape(b *testing.B) {
	all, err := New(Config{})
	if err != nil {
		b.Fatal(err)
	}
	fill(all.Service("cart", "v1", "i1"))
	req := httptest.NewRequest("GET", "/metrics", nil)
	h := all.MetricsHandler()
	var size int
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		size = w.Body.Len()
	}
	b.ReportMetric(float64(size), "B")
}

// fill gives a service 500 methods that were called.
func fill(s *Service) {
	for i := range 500 {
		m := s.Serves("/shop.v1.Service" + string(rune('A'+i%26)) + "/Method" + string(rune('A'+i/26)))
		for d := time.Millisecond; d < 100*time.Millisecond; d += 300 * time.Microsecond {
			m.count(d, codes.OK)
		}
	}
}

func BenchmarkExport(b *testing.B) {
	all, err := New(Config{})
	if err != nil {
		b.Fatal(err)
	}
	fill(all.Service("cart", "v1", "i1"))
	var body []byte
	r := newReading(&Config{})
	b.ReportAllocs()
	for b.Loop() {
		r.next(time.Now())
		body = otlp.AppendMetrics(body[:0], all.read(b.Context(), r))
	}
	b.ReportMetric(float64(len(body)), "B")
}
