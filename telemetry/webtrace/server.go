package webtrace

import (
	"context"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/hanse-go/hanse/telemetry"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// NewHandler has the requests that h serves told of with s; h itself where s is nil. Their route, http.route, is the pattern of [http.ServeMux]
// that has led to h, or that h, a mux, has chosen.
func NewHandler(s *telemetry.Service, h http.Handler) http.Handler {
	return New(s).Handler("", h)
}

// Handler is [NewHandler] for requests of a route, which may be a pattern of [http.ServeMux]. A route that a mux further in chooses comes before it; "" is
// not known. A nil Teller returns h.
func (t *Teller) Handler(route string, h http.Handler) http.Handler {
	if t == nil {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { t.Serve(route, w, r, h.ServeHTTP) })
}

// ofRequest is the key of contexts whose request is told already; the value is the *taken.
type ofRequest struct{}

// CallsKey is the attribute of requests that became calls: the calls are told of, too, so sums should count only those.
const CallsKey = "hanse.http.calls"

// Calls says that the request of ctx, if there is one that is told, has become a call that is told of, too. It is for gateways, and may be called
// concurrently until the request has been served.
func Calls(ctx context.Context) {
	if x, ok := ctx.Value(ofRequest{}).(*taken); ok {
		x.calls.Store(true)
	}
}

// Serve serves a request with a handler, and tells of it as [Teller.Handler] does.
func (t *Teller) Serve(route string, w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
	if t == nil || r.Context().Value(ofRequest{}) != nil {
		serve(w, r)
		return
	}
	x := t.begin(route, r)
	x.response.ResponseWriter = w
	returned := false
	defer func() {
		if returned {
			x.over("", "")
			return
		}
		switch p := recover(); p {
		case nil: // it has ended its goroutine, and with it the connection
			x.over("aborted", "the handler ended its goroutine")
		case http.ErrAbortHandler:
			if r.Context().Err() != nil {
				x.over("canceled", "the client has gone")
			} else {
				x.over("aborted", "the handler broke off")
			}
			panic(p)
		default:
			x.over("panic", "the handler panicked; see the server's log")
			panic(p) // with the handler's frames still on the stack
		}
	}()
	serve(x.response.writer(), x.request)
	returned = true
}

// taken is a request that is served.
type taken struct {
	teller   *Teller
	work     *telemetry.Work
	request  *http.Request // as the handler has it
	name     string        // of the method, in that of the span
	route    string
	outcome  outcome
	calls    atomic.Bool // it has become calls
	response response
}

// mark is a context whose request is told.
type mark struct {
	context.Context
	taken *taken
}

func (m mark) Value(key any) any {
	if key == (ofRequest{}) {
		return m.taken
	}
	return m.Context.Value(key)
}

// String says what the context is; without it %v would read fields that change.
func (m mark) String() string { return "webtrace.Request" }

func (t *Teller) begin(route string, r *http.Request) *taken {
	x := &taken{teller: t}
	if route == "" {
		route = r.Pattern
	}
	x.route = routeOf(route)
	x.outcome.method, x.name = methodOf(r)
	x.outcome.version, x.outcome.scheme = versionOf(r.ProtoMajor, r.ProtoMinor), "http"
	if r.TLS != nil {
		x.outcome.scheme = "https"
	}
	x.work = t.scope.Begin(r.Context(), trace.SpanKindServer, x.spanName(), header(r.Header, traceParent), header(r.Header, traceState))
	span := &x.work.Span
	ctx := context.Context(mark{x.work.Ctx(), x})
	if sent := header(r.Header, baggage); sent != "" && t.service.Baggage() {
		ctx = telemetry.WithBaggage(ctx, sent)
	}
	x.request = r.WithContext(ctx)
	if parent, state := span.Sent(); parent != "" {
		x.request.Header = maps.Clone(r.Header)
		x.request.Header[traceParent] = []string{parent}
		if state == "" {
			delete(x.request.Header, traceState)
		}
	}
	if !span.IsRecording() {
		return x
	}
	span.SetAttributes(attribute.String("http.request.method", x.outcome.method), attribute.String("url.scheme", x.outcome.scheme),
		attribute.String("url.path", cut(r.URL.Path, 2048)), attribute.String("network.protocol.version", x.outcome.version))
	if x.outcome.method == "_OTHER" {
		span.SetAttributes(attribute.String("http.request.method_original", cut(r.Method, 64)))
	}
	if host, port, err := net.SplitHostPort(r.Host); err != nil && r.Host != "" {
		span.SetAttributes(attribute.String("server.address", cut(r.Host, 256)))
	} else if n, bad := strconv.ParseUint(port, 10, 16); err == nil && bad == nil {
		span.SetAttributes(attribute.String("server.address", cut(host, 256)), attribute.Int("server.port", int(n)))
	}
	if agent := r.UserAgent(); agent != "" {
		span.SetAttributes(attribute.String("user_agent.original", cut(agent, 256)))
	}
	return x
}

func (x *taken) spanName() string { return strings.TrimSuffix(x.name+" "+x.route, " ") }

// routeOf is the route of a pattern of a mux: without a method, a host, and the mark of an end.
func routeOf(pattern string) string {
	if i := strings.IndexAny(pattern, " \t"); i >= 0 {
		pattern = strings.TrimLeft(pattern[i:], " \t")
	}
	if i := strings.IndexByte(pattern, '/'); i > 0 {
		pattern = pattern[i:]
	}
	return strings.TrimSuffix(pattern, "{$}")
}

// over tells how it ended; errorType is "" when the handler has returned.
func (x *taken) over(errorType, message string) {
	span, w := &x.work.Span, &x.response
	x.outcome.status = w.status
	switch {
	case errorType != "":
	case w.hijacked:
		if w.status == 0 && x.request.Header.Get("Upgrade") != "" {
			x.outcome.status = http.StatusSwitchingProtocols
		}
	case w.status == 0: // nothing was written
		x.outcome.status = http.StatusOK
	case w.status >= 500:
		errorType, message = strconv.Itoa(w.status), http.StatusText(w.status)
	}
	x.outcome.error = errorType
	if inner := routeOf(x.request.Pattern); inner != "" && inner != x.route {
		x.route = inner
		span.SetName(x.spanName())
	}
	x.outcome.route, x.outcome.calls = x.route, x.calls.Load()
	x.outcome.stream = w.hijacked || isStream(w.status, w.Header())
	if span.IsRecording() {
		if x.outcome.stream {
			span.SetAttributes(attribute.Bool(telemetry.StreamKey, true))
		}
		if x.outcome.calls {
			span.SetAttributes(attribute.Bool(CallsKey, true))
		}
		if x.route != "" {
			span.SetAttributes(attribute.String("http.route", x.route))
		}
		if x.outcome.status != 0 {
			span.SetAttributes(attribute.Int("http.response.status_code", x.outcome.status))
		}
	}
	x.outcome.fail(span, message)
	if x.outcome.stream || w.flushed { // what came piece by piece took as long as the handler liked
		span.Streams()
	}
	x.teller.count(x.outcome, span.Took(), span)
	span.End()
}
