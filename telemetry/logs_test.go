package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/slogtest"
	"time"

	"github.com/hanse-go/hanse/telemetry"
	"go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/slim/otlp/collector/logs/v1"
	common "go.opentelemetry.io/proto/slim/otlp/common/v1"
	logs "go.opentelemetry.io/proto/slim/otlp/logs/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

var inSpan = trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
	TraceID: trace.TraceID{0x4b, 1}, SpanID: trace.SpanID{0xf0, 2}, TraceFlags: trace.FlagsSampled,
}))

const (
	traceText = "4b010000000000000000000000000000"
	spanText  = "f002000000000000"
)

// noTime leaves the time out.
func noTime(groups []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey && len(groups) == 0 {
		return slog.Attr{}
	}
	return a
}

func TestLogs(t *testing.T) {
	ids := `"trace_id":"` + traceText + `","span_id":"` + spanText + `"`
	tests := []struct {
		name string
		log  func(*slog.Logger)
		want string
	}{
		{"no span", func(l *slog.Logger) { l.Info("hi", "n", 1) }, `{"level":"INFO","msg":"hi","n":1}`},
		{"span", func(l *slog.Logger) { l.InfoContext(inSpan, "hi", "n", 1) }, `{"level":"INFO","msg":"hi","n":1,` + ids + `}`},
		{"attributes", func(l *slog.Logger) { l.With("a", 1).With("b", 2).InfoContext(inSpan, "hi") }, `{"level":"INFO","msg":"hi","a":1,"b":2,` + ids + `}`},
		{"group", func(l *slog.Logger) {
			l.With("a", 1).WithGroup("g").With("b", 2).WithGroup("h").With("c", 3).InfoContext(inSpan, "hi", "d", 4)
		}, `{"level":"INFO","msg":"hi","a":1,"g":{"b":2,"h":{"c":3,"d":4}},` + ids + `}`},
		{"empty group", func(l *slog.Logger) { l.WithGroup("g").InfoContext(inSpan, "hi") }, `{"level":"INFO","msg":"hi",` + ids + `}`},
		{"message", func(l *slog.Logger) {
			l.Info("hi", "m", wrapperspb.String("x"), slog.Group("g", "m", wrapperspb.Int32(7), "n", 1))
		},
			`{"level":"INFO","msg":"hi","m":"x","g":{"m":7,"n":1}}`},
		{"message with a logger", func(l *slog.Logger) {
			l.With("m", wrapperspb.String("x")).WithGroup("g").With("o", wrapperspb.Bool(true)).Info("hi")
		},
			`{"level":"INFO","msg":"hi","m":"x","g":{"o":true}}`},
		{"nil message", func(l *slog.Logger) { l.Info("hi", "m", (*descriptorpb.FileDescriptorProto)(nil)) }, `{"level":"INFO","msg":"hi","m":{}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b strings.Builder
			h := slog.NewJSONHandler(&b, &slog.HandlerOptions{ReplaceAttr: noTime})
			tt.log(slog.New((*telemetry.Service)(nil).Logs(h)))
			if got := strings.TrimSpace(b.String()); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// A service's handler above an app's, with levels and without, adds the IDs once.
func TestLogsTwice(t *testing.T) {
	var b strings.Builder
	var none *telemetry.Service
	app := new(telemetry.LogLevels).Handler("", none.Logs(slog.NewJSONHandler(&b, nil)))
	slog.New(none.Logs(app.WithAttrs([]slog.Attr{slog.String("service", "cart")}))).InfoContext(inSpan, "hi")
	if n := strings.Count(b.String(), "trace_id"); n != 1 {
		t.Errorf("%d trace IDs: %s", n, &b)
	}
}

// The handler does what package slog asks of one.
func TestLogsHandler(t *testing.T) {
	var b bytes.Buffer
	slogtest.Run(t, func(*testing.T) slog.Handler {
		b.Reset()
		return new(telemetry.LogLevels).Handler("", (*telemetry.Service)(nil).Logs(slog.NewJSONHandler(&b, nil)))
	}, func(t *testing.T) map[string]any {
		var m map[string]any
		if err := json.Unmarshal(b.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		return m
	})
}

func TestLogLevels(t *testing.T) {
	var levels telemetry.LogLevels
	var b strings.Builder
	log := func(service string) *slog.Logger {
		return slog.New(levels.Handler(service, slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug})))
	}
	cart, payment := log("cart"), log("payment").With("a", 1).WithGroup("g")
	enabled := func() string {
		var s strings.Builder
		for _, l := range []*slog.Logger{cart, payment} {
			for _, level := range []slog.Level{slog.LevelDebug - 4, slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
				fmt.Fprint(&s, map[bool]string{true: "+", false: "-"}[l.Enabled(t.Context(), level)])
			}
			s.WriteByte(' ')
		}
		return strings.TrimSpace(s.String())
	}
	step := func(what, said, want string) {
		t.Helper()
		if got := enabled(); got != want || levels.String() != said {
			t.Errorf("%s: %q, levels %s, want %s", what, &levels, got, want)
		}
	}
	step("at first", "", "-++++ -++++") // what the handler takes
	levels.Set("", slog.LevelInfo)
	step("all", "info", "--+++ --+++")
	levels.Set("cart", slog.LevelError)
	step("one", "info,cart=error", "----+ --+++")
	if err := levels.Parse(" payment=debug , warn"); err != nil {
		t.Error(err)
	}
	step("parsed", "warn,cart=error,payment=debug", "----+ -++++")
	levels.Set("cart", slog.LevelDebug-4)
	step("more than the handler takes", "warn,cart=debug-4,payment=debug", "-++++ -++++")
	levels.Reset("cart")
	step("reset", "warn,payment=debug", "---++ -++++")
	levels.Reset("")
	step("nothing of all", "payment=debug", "-++++ -++++")
	var again telemetry.LogLevels
	if err := again.Parse("warn,cart=debug-4"); err != nil || again.String() != "warn,cart=debug-4" {
		t.Errorf("%s, %v", &again, err)
	}
}

func TestLogLevelsParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                       `no level ""`,
		"wran":                   "did you mean warn?",
		"cart=loud":              `no level "loud"`,
		"=debug":                 "names no service",
		"cart=debug,cart=info":   "says it twice",
		"debug,info":             "says it twice",
		"cart=debug,":            `no level ""`,
		"cart=debug,payment=ino": "did you mean info?",
	} {
		var levels telemetry.LogLevels
		if err := levels.Parse(text); err == nil || !strings.Contains(err.Error(), want) || levels.String() != "" {
			t.Errorf("%q: %v, %s", text, err, &levels)
		}
	}
}

// receiver takes log records in.
type receiver struct {
	requests chan *collector.ExportLogsServiceRequest
	answer   func(http.ResponseWriter) // nil: thanks
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	m := new(collector.ExportLogsServiceRequest)
	if err == nil {
		err = proto.Unmarshal(body, m)
	}
	if err != nil || req.URL.Path != "/v1/logs" {
		http.Error(w, fmt.Sprint(req.URL, err), http.StatusBadRequest)
		return
	}
	if r.answer != nil {
		r.answer(w)
	}
	r.requests <- m
}

// sending returns telemetry that sends logs to a receiver, and what ends it.
func sending(t *testing.T, r *receiver, batch telemetry.Batch) (*telemetry.Telemetry, func() error) {
	t.Helper()
	r.requests = make(chan *collector.ExportLogsServiceRequest, 100)
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	tel, err := telemetry.New(telemetry.Config{Logs: telemetry.Export{URL: server.URL + "/v1/logs"}, LogBatch: batch, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- tel.Run(ctx) }()
	stopped := false
	stop := func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() { stop() })
	return tel, stop
}

// flat writes an attribute's value with its type.
func flat(v *common.AnyValue) string {
	switch v := v.Value.(type) {
	case *common.AnyValue_StringValue:
		return fmt.Sprintf("%q", v.StringValue)
	case *common.AnyValue_BoolValue:
		return fmt.Sprint(v.BoolValue)
	case *common.AnyValue_IntValue:
		return fmt.Sprint(v.IntValue)
	case *common.AnyValue_DoubleValue:
		return fmt.Sprintf("%g.", v.DoubleValue)
	}
	return fmt.Sprintf("%T", v.Value)
}

func flatAttrs(attrs []*common.KeyValue) string {
	var parts []string
	for _, kv := range attrs {
		parts = append(parts, kv.Key+"="+flat(kv.Value))
	}
	return strings.Join(parts, " ")
}

type panicky struct{}

func (*panicky) Error() string { panic("no") }

type valuer struct{}

func (valuer) LogValue() slog.Value { return slog.GroupValue(slog.String("in", "x")) }

func TestLogsSent(t *testing.T) {
	r := new(receiver)
	tel, stop := sending(t, r, telemetry.Batch{Delay: time.Hour})
	var b bytes.Buffer
	cart := tel.Service("cart", "v1", "i1")
	text := slog.NewTextHandler(&b, nil)
	log := slog.New(cart.Logs(text))
	var nilError *panicky
	log.With("a", 1, "u", uint64(1<<63)).WithGroup("g").WarnContext(inSpan, "hello", "s", "x", "b", true, "f", 1.5, "d", 1500*time.Millisecond,
		"t", time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), "e", errors.New("bad"), "m", wrapperspb.String("pb"), "v", valuer{}, "l", []int{1, 2}, "nil", nil, "p", &panicky{}, "np", nilError,
		slog.Group("h", "z", 1), slog.Group("", "inline", 2))
	log.Debug("too small for the text handler")
	slog.New(tel.Service("payment", "", "").Logs(text)).Log(t.Context(), slog.LevelInfo+2, "other")
	log.Error("last")
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	close(r.requests)
	var all []*logs.ResourceLogs
	for m := range r.requests {
		all = append(all, m.ResourceLogs...)
	}
	if len(all) != 2 {
		t.Fatalf("%d resources", len(all))
	}
	if got := flatAttrs(all[0].Resource.Attributes); !strings.HasPrefix(got, `service.name="cart" service.version="v1" service.instance.id="i1" `) {
		t.Errorf("resource %s", got)
	}
	records := all[0].ScopeLogs[0].LogRecords
	if len(records) != 2 || len(all[1].ScopeLogs[0].LogRecords) != 1 {
		t.Fatalf("%v", all)
	}
	first := records[0]
	if flat(first.Body) != `"hello"` || first.SeverityNumber != logs.SeverityNumber_SEVERITY_NUMBER_WARN || first.SeverityText != "WARN" || first.TimeUnixNano == 0 || first.ObservedTimeUnixNano == 0 ||
		fmt.Sprintf("%x %x", first.TraceId, first.SpanId) != traceText+" "+spanText || first.Flags != 1 {
		t.Errorf("%v", first)
	}
	want := `a=1 u="9223372036854775808" g.s="x" g.b=true g.f=1.5. g.d="1.5s" g.t="2026-01-02T03:04:05.000000006Z" g.e="bad" g.m="\"pb\"" g.v.in="x" g.l="[1,2]" g.nil="null" g.p="!PANIC: no" g.np="<nil>" g.h.z=1 g.inline=2`
	if got := flatAttrs(first.Attributes); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if last := records[1]; flat(last.Body) != `"last"` || last.SeverityNumber != 17 || len(last.TraceId) != 0 || last.Flags != 0 {
		t.Errorf("%v", last)
	}
	if other := all[1].ScopeLogs[0].LogRecords[0]; other.SeverityNumber != 11 || other.SeverityText != "INFO+2" {
		t.Errorf("%v", other)
	}
	if n := tel.LogCounts(); n != (telemetry.LogCounts{Sent: 3}) {
		t.Errorf("%+v", n)
	}
	if strings.Count(b.String(), "\n") != 3 {
		t.Errorf("the text handler wrote %s", &b)
	}
}

// A batch that is together is sent at once, and what finds no room is dropped and counted.
func TestLogsQueue(t *testing.T) {
	r := new(receiver)
	hold := make(chan struct{})
	r.answer = func(http.ResponseWriter) { <-hold }
	tel, stop := sending(t, r, telemetry.Batch{Delay: time.Hour, Size: 2, Queue: 4})
	log := slog.New(tel.Service("cart", "", "").Logs(slog.NewTextHandler(io.Discard, nil)))
	log.Info("1")
	log.Info("2")
	// The batch is with the receiver when there is room for four again.
	for tel.LogCounts().Dropped == 0 {
		log.Info("more")
	}
	dropped := tel.LogCounts().Dropped
	log.Info("and more")
	if n := tel.LogCounts(); n.Sent != 0 || n.Dropped != dropped && n.Dropped != dropped+1 {
		t.Errorf("%+v", n)
	}
	close(hold)
	if err := stop(); err != nil {
		t.Error(err)
	}
	n := tel.LogCounts()
	close(r.requests)
	var got uint64
	for m := range r.requests {
		for _, rl := range m.ResourceLogs {
			if len(rl.ScopeLogs[0].LogRecords) > 2 {
				t.Errorf("a batch of %d", len(rl.ScopeLogs[0].LogRecords))
			}
			got += uint64(len(rl.ScopeLogs[0].LogRecords))
		}
	}
	if got != n.Sent || n.Sent < 4 || n.Dropped == 0 {
		t.Errorf("%d came, %+v", got, n)
	}
}

// What is on its way when the program ends arrives.
func TestLogsOnTheirWay(t *testing.T) {
	come, hold := make(chan struct{}), make(chan struct{})
	r := &receiver{requests: make(chan *collector.ExportLogsServiceRequest, 1), answer: func(http.ResponseWriter) { close(come); <-hold }}
	server := httptest.NewServer(r)
	defer server.Close()
	tel, err := telemetry.New(telemetry.Config{
		Logs: telemetry.Export{URL: server.URL + "/v1/logs"}, LogBatch: telemetry.Batch{Delay: time.Hour, Size: 1}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- tel.Run(ctx) }()
	slog.New(tel.Service("cart", "", "").Logs(slog.NewTextHandler(io.Discard, nil))).Info("the last words")
	<-come
	cancel()
	close(hold)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := tel.LogCounts(); n != (telemetry.LogCounts{Sent: 1}) {
		t.Errorf("%+v", n)
	}
}

// What waits is bounded by its size, too.
func TestLogsQueueBytes(t *testing.T) {
	tel, err := telemetry.New(telemetry.Config{Logs: telemetry.Export{URL: "http://127.0.0.1:1/v1/logs"}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(tel.Service("cart", "", "").Logs(slog.NewTextHandler(io.Discard, nil)))
	big := strings.Repeat("x", 60<<10)
	for range 300 {
		log.Info(big, "text", big)
	}
	if n := tel.LogCounts().Dropped; n < 160 || n > 170 { // 16 MiB hold 139
		t.Errorf("%d of 300 were dropped", n)
	}
}

// Where nobody takes them, records are lost, and it is said.
func TestLogsRefused(t *testing.T) {
	r := new(receiver)
	r.answer = func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadRequest) }
	tel, stop := sending(t, r, telemetry.Batch{Delay: time.Hour})
	slog.New(tel.Service("cart", "", "").Logs(slog.NewTextHandler(io.Discard, nil))).Info("1")
	if err := stop(); err == nil || !strings.Contains(err.Error(), "1 log records could not be sent") {
		t.Errorf("got %v", err)
	}
	if n := tel.LogCounts(); n != (telemetry.LogCounts{Dropped: 1}) {
		t.Errorf("%+v", n)
	}
}

func TestLogsOff(t *testing.T) {
	tel, err := telemetry.New(telemetry.Config{Logs: telemetry.Export{URL: "https://127.0.0.1:1/", CAFile: "nothing.pem"}})
	if err == nil || tel != nil || !strings.Contains(err.Error(), "Config.Logs") {
		t.Errorf("%v", err)
	}
	var off *telemetry.Telemetry
	if n := off.LogCounts(); n != (telemetry.LogCounts{}) {
		t.Errorf("%+v", n)
	}
}

func BenchmarkLogs(b *testing.B) {
	for _, ctx := range []context.Context{context.Background(), inSpan} {
		b.Run(fmt.Sprintf("span=%v", ctx == inSpan), func(b *testing.B) {
			log := slog.New(new(telemetry.LogLevels).Handler("cart", (*telemetry.Service)(nil).Logs(slog.NewJSONHandler(io.Discard, nil))))
			b.ReportAllocs()
			for b.Loop() {
				log.InfoContext(ctx, "placed", "order", 7, "user", "alice")
			}
		})
	}
}
