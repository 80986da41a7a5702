package promtest_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/telemetry"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// program is one with two services and numbers of every kind, whose texts hold all that is special somewhere.
func program(t *testing.T) *httptest.Server {
	t.Helper()
	all, err := telemetry.New(telemetry.Config{
		Sampler: telemetry.AlwaysOn, Traces: telemetry.Export{URL: "http://127.0.0.1:1/"}, // not run: nothing is sent
		Resource: []attribute.KeyValue{attribute.String("host.name", "a\"b\\c\nd\xff"), attribute.Int("process.pid", 7)},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"cart", "catalog"} {
		s := all.Service(name, "v1.2.3", name+"-1")
		ctx, span := s.TracerProvider().Tracer("test").Start(t.Context(), "work")
		numbers(t, ctx, s.MeterProvider().Meter("shop/"+name, metric.WithInstrumentationVersion("v2"), metric.WithInstrumentationAttributes(attribute.String("part", "a\"b"))))
		span.End()
	}
	srv := httptest.NewServer(all.MetricsHandler())
	t.Cleanup(srv.Close)
	return srv
}

func numbers(t *testing.T, ctx context.Context, m metric.Meter) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	nasty := metric.WithAttributes(attribute.String("le", "x"), attribute.String("a.b", "\"\\\n\xff"), attribute.String("a_b", "ü"), attribute.Bool("1st", true), attribute.StringSlice("list", []string{"a", "b"}))
	counter, err := m.Int64Counter("shop.items", metric.WithUnit("{item}"), metric.WithDescription("Items \"sold\".\nAll of them\\."))
	check(err)
	counter.Add(ctx, 3, nasty)
	counter.Add(ctx, 4)
	updown, err := m.Float64UpDownCounter("shop.balance", metric.WithUnit("kg"))
	check(err)
	updown.Add(ctx, -1.5e-7, nasty)
	gauge, err := m.Float64Gauge("shop.fill", metric.WithUnit("1"))
	check(err)
	gauge.Record(ctx, 0.25)
	histogram, err := m.Float64Histogram("shop.size", metric.WithUnit("By"))
	check(err)
	histogram.Record(ctx, 12, nasty)
	histogram.Record(ctx, 1e9)
	_, err = m.Float64ObservableCounter("shop.watched", metric.WithUnit("s"), metric.WithFloat64Callback(func(_ context.Context, o metric.Float64Observer) error {
		o.Observe(7.5)
		return nil
	}))
	check(err)
}

func get(t *testing.T, srv *httptest.Server, accept string) (contentType string, body []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("Accept-Encoding", "gzip")
	res, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	zip, err := gzip.NewReader(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if body, err = io.ReadAll(zip); err != nil {
		t.Fatal(err)
	}
	return res.Header.Get("Content-Type"), body
}

// series reads all with a parser of Prometheus' server. No series comes twice, and each belongs to a family with a type.
func series(t *testing.T, p textparse.Parser) (values map[string]float64, exemplars map[string]string) {
	t.Helper()
	values, exemplars = map[string]float64{}, map[string]string{}
	types := map[string]model.MetricType{}
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return values, exemplars
		}
		if err != nil {
			t.Fatal(err)
		}
		switch entry {
		case textparse.EntryType:
			name, kind := p.Type()
			if _, twice := types[string(name)]; twice {
				t.Errorf("a second family %s", name)
			}
			types[string(name)] = kind
		case textparse.EntrySeries:
			var l labels.Labels
			p.Labels(&l)
			_, _, v := p.Series()
			if _, twice := values[l.String()]; twice {
				t.Errorf("%s comes twice", l)
			}
			values[l.String()] = v
			name := l.Get("__name__")
			base := name
			for _, suffix := range []string{"_bucket", "_count", "_sum", "_total", "_info"} {
				base = strings.TrimSuffix(base, suffix)
			}
			if types[name] == "" && types[base] == "" {
				t.Errorf("%s has no type", name)
			}
			var e exemplar.Exemplar
			if p.Exemplar(&e) {
				exemplars[name] = e.Labels.Get("trace_id")
			}
		}
	}
}

// TestOpenMetrics reads it as Prometheus' server does.
func TestOpenMetrics(t *testing.T) {
	// What Prometheus 3 sends.
	contentType, body := get(t, program(t), "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2")
	p, err := textparse.New(body, contentType, labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		t.Fatal(err)
	}
	values, exemplars := series(t, p)
	for name, want := range map[string]float64{
		`{__name__="shop_items_total", otel_scope_name="shop/cart", otel_scope_part="a\"b", otel_scope_version="v2", service_name="cart"}`:                                                                                        4,
		`{__name__="shop_watched_seconds_total", otel_scope_name="shop/catalog", otel_scope_part="a\"b", otel_scope_version="v2", service_name="catalog"}`:                                                                        7.5,
		`{__name__="shop_fill_ratio", otel_scope_name="shop/cart", otel_scope_part="a\"b", otel_scope_version="v2", service_name="cart"}`:                                                                                         0.25,
		`{__name__="target_info", host_name="a\"b\\c\nd` + "\uFFFD" + `", process_pid="7", service_instance_id="cart-1", service_name="cart", service_version="v1.2.3", telemetry_sdk_language="go", telemetry_sdk_name="hanse"}`: 1,
		`{__name__="shop_balance_kg", a_b="\"\\\n` + "\uFFFD" + `;ü", exported_le="x", key_1st="true", list="[\"a\",\"b\"]", otel_scope_name="shop/cart", otel_scope_part="a\"b", otel_scope_version="v2", service_name="cart"}`:  -1.5e-7,
	} {
		if got, ok := values[name]; !ok || got != want {
			t.Errorf("%s is %v, %v", name, got, ok)
		}
	}
	if t.Failed() {
		t.Log(strings.Join(slices.Sorted(maps.Keys(values)), "\n"))
	}
	for _, name := range []string{"shop_items_total", "shop_size_bytes_bucket"} {
		if len(exemplars[name]) != 32 {
			t.Errorf("%s has no exemplar", name)
		}
	}
}

// TestText reads it as older programs do, and holds it to the rules for names.
func TestText(t *testing.T) {
	contentType, body := get(t, program(t), "")
	p, err := textparse.New(body, contentType, labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		t.Fatal(err)
	}
	values, _ := series(t, p)
	if len(values) < 50 {
		t.Errorf("%d series", len(values))
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	found, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"shop_items_total", "shop_size_bytes", "go_goroutine_count", "process_cpu_time_seconds_total", "target_info"} {
		if found[name] == nil {
			t.Errorf("no %s", name)
		}
	}
	problems, err := promlint.New(bytes.NewReader(body)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		// Names are those of OpenTelemetry: what is counted there and can fall is no counter here.
		if strings.HasSuffix(p.Metric, "_count") && strings.Contains(p.Text, `"_count"`) || p.Metric == "shop_balance_kg" || strings.HasPrefix(p.Metric, "shop_") && p.Text == "no help text" {
			continue
		}
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
