package webtrace_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/internal/otlptest"
	"github.com/hanse-go/hanse/telemetry"
	"github.com/hanse-go/hanse/telemetry/webtrace"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/httpconv"
)

const (
	sentTrace = "0af7651916cd43dd8448eb211c80319c"
	sentSpan  = "b7ad6b7169203331"
)

// told is telemetry whose spans and numbers can be looked at.
type told struct {
	*telemetry.Telemetry
	received *otlptest.Receiver
	end      func()
}

func tell(t *testing.T, change func(*telemetry.Config)) *told {
	t.Helper()
	r := otlptest.New(t)
	config := telemetry.Config{Traces: telemetry.Export{URL: r.URL}, Sampler: telemetry.ParentBasedOn}
	if change != nil {
		change(&config)
	}
	tel, err := telemetry.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- tel.Run(ctx) }()
	ended := false
	end := func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(end)
	return &told{tel, r, end}
}

// spans ends the telemetry and returns what it told.
func (x *told) spans() []otlptest.Span {
	x.end()
	return x.received.Spans()
}

// numbers returns what /metrics shows of requests.
func (x *told) numbers() []string {
	w := httptest.NewRecorder()
	x.MetricsHandler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	var lines []string
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "http_") && strings.Contains(line, "_count{") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.Start()
	t.Cleanup(srv.Close)
	return srv.URL
}

func get(t *testing.T, client *http.Client, r *http.Request) (*http.Response, string, error) {
	t.Helper()
	resp, err := client.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp, string(b), err
}

func client(t *testing.T, s *telemetry.Service) *http.Client {
	plain := new(http.Transport)
	t.Cleanup(plain.CloseIdleConnections)
	return &http.Client{Transport: webtrace.NewTransport(s, plain)}
}

// TestTaken holds what is told of requests that are served.
func TestTaken(t *testing.T) {
	for _, tt := range []struct {
		name, pattern, method, target string
		handler                       http.HandlerFunc
		span                          string
		status                        string // of the span
		code, errorType               string
		want                          map[string]string
		events                        bool
		broken                        bool // nothing is answered
	}{
		{name: "a page", pattern: "GET /orders/{id}", target: "/orders/7?token=secret", handler: func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "x") },
			span: "GET /orders/{id}", code: "200", want: map[string]string{"http.route": "/orders/{id}", "url.path": "/orders/7", "url.scheme": "http", "server.address": "127.0.0.1"}},
		{name: "nothing written", pattern: "/{$}", target: "/", handler: func(http.ResponseWriter, *http.Request) {}, span: "GET /", code: "200", want: map[string]string{"http.route": "/"}},
		{name: "not found is the caller's affair", pattern: "/", target: "/x", handler: http.NotFound, span: "GET /", code: "404"},
		{name: "failed", pattern: "POST /", method: "POST", target: "/x", handler: func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			http.Error(w, "no", http.StatusServiceUnavailable)
			w.WriteHeader(200)
		}, span: "POST /", code: "503", errorType: "503", status: "error"},
		{name: "a panic", pattern: "/", target: "/", handler: func(http.ResponseWriter, *http.Request) { panic("x") }, span: "GET /", errorType: "panic", status: "error", broken: true},
		{name: "broken off", pattern: "/", target: "/", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(201)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, span: "GET /", code: "201", errorType: "aborted", status: "error", broken: true},
		{name: "an invented method", pattern: "/", method: "FROB", target: "/", handler: func(http.ResponseWriter, *http.Request) {}, span: "HTTP /", code: "200",
			want: map[string]string{"http.request.method": "_OTHER", "http.request.method_original": "FROB"}},
		{name: "a mux further in", pattern: "/", target: "/in/7", handler: func() http.HandlerFunc {
			mux := http.NewServeMux()
			mux.HandleFunc("GET /in/{id}", func(http.ResponseWriter, *http.Request) {})
			return mux.ServeHTTP
		}(), span: "GET /in/{id}", code: "200", want: map[string]string{"http.route": "/in/{id}"}},
		{name: "it became a call", pattern: "/call", target: "/call", handler: func(_ http.ResponseWriter, r *http.Request) { webtrace.Calls(r.Context()) }, span: "GET /call",
			code: "200", want: map[string]string{"hanse.http.calls": "true"}},
		{name: "server-sent events", pattern: "/events", target: "/events", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "Text/Event-Stream; charset=utf-8")
			io.WriteString(w, "data: 1\n\n")
			w.(http.Flusher).Flush()
		}, span: "GET /events", code: "200", want: map[string]string{"hanse.rpc.stream": "true"}},
		{name: "piece by piece", pattern: "/slow", target: "/slow", handler: func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() }, span: "GET /slow", code: "200"},
		{name: "told once", pattern: "/twice", target: "/twice", handler: nil, span: "GET /twice", code: "200"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := tell(t, nil)
			shop := x.Service("shop", "", "")
			h := http.Handler(tt.handler)
			if tt.handler == nil {
				h = webtrace.NewHandler(shop, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			}
			mux := http.NewServeMux()
			mux.Handle(tt.pattern, webtrace.NewHandler(shop, h))
			r, err := http.NewRequest(tt.method, serve(t, mux)+tt.target, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("traceparent", "00-"+sentTrace+"-"+sentSpan+"-01")
			r.Header.Set("tracestate", "a=b")
			r.Header.Set("User-Agent", "tester")
			if _, _, err := get(t, client(t, nil), r); (err != nil) != tt.broken {
				t.Fatal(err)
			}
			numbers := x.numbers()
			spans := x.spans()
			if len(spans) != 1 {
				t.Fatalf("%d spans: %+v", len(spans), spans)
			}
			s := spans[0]
			if s.Name != tt.span || s.Kind != "server" || s.Trace != sentTrace || s.Parent != sentSpan || s.State != "a=b" || s.Status != tt.status {
				t.Errorf("the span is %+v", s)
			}
			want := map[string]string{"http.response.status_code": tt.code, "error.type": tt.errorType, "network.protocol.version": "1.1", "user_agent.original": "tester"}
			for k, v := range tt.want {
				want[k] = v
			}
			for k, v := range want {
				if s.Attributes[k] != v {
					t.Errorf("%s is %q, want %q", k, s.Attributes[k], v)
				}
			}
			if text := fmt.Sprint(s.Attributes); strings.Contains(text, "secret") {
				t.Error("it tells a secret: ", text)
			}
			if calls := tt.want[webtrace.CallsKey] != ""; calls != (s.Attributes[webtrace.CallsKey] != "") || calls != strings.Contains(fmt.Sprint(numbers), `hanse_http_calls="true"`) {
				t.Errorf("it became calls: %v, but %v and %q", calls, s.Attributes, numbers)
			}
			if stream := tt.want[telemetry.StreamKey] != ""; stream != (s.Attributes[telemetry.StreamKey] != "") || stream != strings.Contains(fmt.Sprint(numbers), `hanse_rpc_stream="true"`) {
				t.Errorf("it is a stream: %v, but %v and %q", stream, s.Attributes, numbers)
			}
			if len(numbers) != 1 || !strings.HasPrefix(numbers[0], "http_server_request_duration_seconds_count{") || !strings.HasSuffix(numbers[0], " 1") ||
				tt.code != "" && !strings.Contains(numbers[0], `http_response_status_code="`+tt.code+`"`) {
				t.Errorf("numbers %q", numbers)
			}
		})
	}
}

// TestThrough holds that a trace goes on from who asks through a page to what it asks for itself, and on through a proxy, with the baggage.
func TestThrough(t *testing.T) {
	x := tell(t, nil)
	shop, stock, front := x.Service("shop", "", ""), x.Service("stock", "", ""), x.Service("front", "", "")
	inner := serve(t, webtrace.NewHandler(stock, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "stock of ", baggage.FromContext(r.Context()).Member("user").Value())
	})))
	asks := client(t, shop)
	page := serve(t, webtrace.NewHandler(shop, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out, _ := http.NewRequestWithContext(r.Context(), "GET", inner+"/left?key=secret", nil)
		out.URL.User = url.UserPassword("me", "secret")
		_, text, err := get(t, asks, out)
		fmt.Fprint(w, "page of ", text, err)
	})))
	to, _ := url.Parse(page)
	plain := new(http.Transport)
	t.Cleanup(plain.CloseIdleConnections)
	proxy := serve(t, webtrace.NewHandler(front, &httputil.ReverseProxy{Transport: plain, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}))

	r, _ := http.NewRequest("GET", proxy+"/", nil)
	r.Header.Set("baggage", "user=ann")
	if _, text, err := get(t, client(t, nil), r); err != nil || text != "page of stock of ann<nil>" {
		t.Fatalf("%q, %v", text, err)
	}
	spans := x.spans()
	if len(spans) != 4 {
		t.Fatalf("%d spans: %+v", len(spans), spans)
	}
	slices.SortFunc(spans, func(a, b otlptest.Span) int { return int(a.Start) - int(b.Start) })
	var got []string
	for i, s := range spans {
		got = append(got, s.Service+" "+s.Kind)
		if i > 0 && s.Parent != spans[i-1].ID || s.Trace != spans[0].Trace {
			t.Errorf("%s is not below the one before: %+v", got[i], spans)
		}
	}
	if want := []string{"front server", "shop server", "shop client", "stock server"}; !slices.Equal(got, want) {
		t.Errorf("spans of %q, want %q", got, want)
	}
	asked := spans[2]
	if asked.Name != "GET" || asked.Attributes["http.response.status_code"] != "200" || asked.Attributes["server.address"] != "127.0.0.1" || asked.Attributes["server.port"] == "" ||
		asked.Attributes["url.full"] != inner+"/left?key=REDACTED" {
		t.Errorf("the request has %v", asked.Attributes)
	}
}

// TestMade holds what is told of requests that fail, and that those that are not told are left alone.
func TestMade(t *testing.T) {
	refused, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := "http://" + refused.Addr().String()
	refused.Close()
	bad := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/cut":
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "short")
		case "/events":
			w.Header().Set("Content-Type", "text/event-stream")
			w.WriteHeader(404)
		case "/hang":
			<-r.Context().Done()
		default:
			http.Error(w, r.Header.Get("traceparent"), 404)
		}
	}))
	for _, tt := range []struct{ url, errorType, code string }{
		{gone, "syscall.Errno", ""}, {bad + "/cut", "_OTHER", "200"}, {bad + "/x", "404", "404"}, {bad + "/events", "404", "404"}, {bad + "/hang", "canceled", ""},
	} {
		x := tell(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		r, _ := http.NewRequestWithContext(ctx, "GET", tt.url, nil)
		if tt.errorType == "canceled" {
			cancel()
		}
		get(t, client(t, x.Service("shop", "", "")), r)
		cancel()
		numbers, spans := x.numbers(), x.spans()
		if len(spans) != 1 || spans[0].Status != "error" || spans[0].Attributes["error.type"] != tt.errorType || spans[0].Attributes["http.response.status_code"] != tt.code {
			t.Errorf("%s: spans %+v", tt.url, spans)
		}
		if len(numbers) != 1 || !strings.Contains(numbers[0], `error_type="`+tt.errorType+`"`) || !strings.HasPrefix(numbers[0], "http_client_request_duration_seconds_count{") {
			t.Errorf("%s: numbers %q", tt.url, numbers)
		}
		if stream := strings.HasSuffix(tt.url, "/events"); len(numbers) != 1 || stream != strings.Contains(numbers[0], `hanse_rpc_stream="true"`) || stream != (spans[0].Attributes[telemetry.StreamKey] == "true") {
			t.Errorf("%s: a stream: %v, but %q, %+v", tt.url, stream, numbers, spans)
		}
	}

	x := tell(t, func(c *telemetry.Config) { c.NoTraceContext, c.NoBaggage = true, true })
	r, _ := http.NewRequest("GET", bad+"/x", nil)
	r.Header.Set("traceparent", "mine")
	if _, text, err := get(t, client(t, x.Service("shop", "", "")), r); err != nil || strings.TrimSpace(text) != "mine" {
		t.Errorf("%q, %v", text, err)
	}
}

// TestWriter holds that what a server's ResponseWriter can do, the handler's can too.
func TestWriter(t *testing.T) {
	x := tell(t, nil)
	s := x.Service("shop", "", "")
	unknown := errors.New("not an error of the test")
	mux := http.NewServeMux()
	mux.HandleFunc("/flush", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "one ")
		if err := http.NewResponseController(w).Flush(); err != nil {
			unknown = err
		}
		if n, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader("two")); n != 3 || err != nil {
			t.Error(n, err)
		}
	})
	mux.HandleFunc("/hijack", func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		io.Copy(conn, conn)
		conn.Close()
	})
	mux.HandleFunc("/controller", func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		conn.Close()
	})
	url := serve(t, webtrace.NewHandler(s, mux))
	c := client(t, s)
	r, _ := http.NewRequest("GET", url+"/flush", nil)
	if _, text, err := get(t, c, r); err != nil || text != "one two" || unknown.Error() != "not an error of the test" {
		t.Errorf("%q, %v, %v", text, err, unknown)
	}
	r, _ = http.NewRequest("GET", url+"/hijack", nil)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "echo")
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	conn, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		t.Fatalf("the body is a %T", resp.Body)
	}
	io.WriteString(conn, "echo")
	got := make([]byte, 4)
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "echo" {
		t.Errorf("%q, %v", got, err)
	}
	conn.Close()
	r, _ = http.NewRequest("GET", url+"/controller", nil)
	if _, _, err := get(t, c, r); err == nil {
		t.Error("an answer from a connection that was taken")
	}
	if _, ok := webtraceWriter(s, httptest.NewRecorder()).(http.Hijacker); ok {
		t.Error("a writer that cannot be hijacked says it can")
	}
	x.end()
	for _, span := range x.received.Spans() {
		if span.Kind == "server" && span.Attributes["url.path"] == "/hijack" && span.Attributes["http.response.status_code"] != "101" {
			t.Errorf("the span is %+v", span)
		}
	}
}

// webtraceWriter is what a handler is given for w.
func webtraceWriter(s *telemetry.Service, w http.ResponseWriter) (given http.ResponseWriter) {
	webtrace.NewHandler(s, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { given = w })).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	return given
}

// TestKept holds that pages that fail or are slow are kept where their trace is not recorded, streams excepted.
func TestKept(t *testing.T) {
	x := tell(t, func(c *telemetry.Config) { c.Sampler, c.Slow = telemetry.ParentBasedRatio, 1 })
	mux := http.NewServeMux()
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "x") })
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) { w.(http.Flusher).Flush() })
	mux.HandleFunc("/failed", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) })
	h := webtrace.NewHandler(x.Service("shop", "", ""), mux)
	for i, path := range []string{"/slow", "/stream", "/failed"} {
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("traceparent", "00-"+strings.Repeat("0", 31)+fmt.Sprint(i+1)+"-"+sentSpan+"-00")
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	why := map[string]string{}
	for _, s := range x.spans() {
		why[s.Trace[31:]] = s.Attributes["hanse.kept"]
	}
	if why["1"] != "slow" || why["3"] != "error" || len(why) != 2 {
		t.Errorf("kept: %v", why)
	}
}

// TestOff holds that nothing is wrapped where nobody is told.
func TestOff(t *testing.T) {
	next := http.NewServeMux()
	if h := webtrace.NewHandler(nil, next); h != http.Handler(next) {
		t.Errorf("%T", h)
	}
	if rt := webtrace.NewTransport(nil, http.DefaultTransport); rt != http.DefaultTransport {
		t.Errorf("%T", rt)
	}
	var none *webtrace.Teller
	none.Begin(httptest.NewRequest("GET", "/", nil), "x", 0).End(nil, nil)
}

// TestConventions holds names against OpenTelemetry's own.
func TestConventions(t *testing.T) {
	keys := map[attribute.Key]bool{"hanse.path": true, "hanse.instance": true, "hanse.endpoint": true, "hanse.attempts": true}
	for _, k := range []attribute.Key{
		semconv.HTTPRequestMethodKey, semconv.HTTPRequestMethodOriginalKey, semconv.HTTPResponseStatusCodeKey, semconv.HTTPRouteKey, semconv.HTTPRequestResendCountKey,
		semconv.URLPathKey, semconv.URLSchemeKey, semconv.URLFullKey, semconv.ServerAddressKey, semconv.ServerPortKey, semconv.NetworkProtocolVersionKey,
		semconv.UserAgentOriginalKey, semconv.ErrorTypeKey,
	} {
		keys[k] = true
	}
	x := tell(t, nil)
	s := x.Service("shop", "", "")
	base := serve(t, webtrace.NewHandler(s, http.NotFoundHandler()))
	for _, method := range []string{"GET", "FROB"} {
		r, _ := http.NewRequest(method, base, nil)
		made := webtrace.New(s).Begin(r, "there", 80)
		made.At(telemetry.NewReached("tcp", "i", "e"), 2)
		resp, _, err := get(t, client(t, nil), made.Request())
		made.End(resp, err)
	}
	w := httptest.NewRecorder()
	x.MetricsHandler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, c := range []interface {
		Name() string
		Unit() string
		Description() string
	}{httpconv.ServerRequestDuration{}, httpconv.ClientRequestDuration{}} {
		help := "# HELP " + strings.ReplaceAll(c.Name(), ".", "_") + "_seconds " + c.Description()
		if c.Unit() != "s" || !strings.Contains(w.Body.String(), help) {
			t.Errorf("no %q in\n%s", help, w.Body)
		}
	}
	spans := x.spans()
	if len(spans) != 4 {
		t.Errorf("%d spans", len(spans))
	}
	for _, span := range spans {
		for key := range span.Attributes {
			if !keys[attribute.Key(key)] {
				t.Errorf("%s is not one of the names there are", key)
			}
		}
	}
}
