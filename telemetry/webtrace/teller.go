package webtrace

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/telemetry"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	grpccodes "google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const scopeName = "github.com/hanse-go/hanse/telemetry/webtrace"

// Teller tells of the requests of one service. A nil *Teller is off. It is safe for concurrent use.
type Teller struct {
	service *telemetry.Service
	scope   *telemetry.Scope
	numbers sync.Map // outcome → *telemetry.Durations
	known   atomic.Int64
}

// New returns who tells of the requests of s; nil where s is.
func New(s *telemetry.Service) *Teller {
	if s == nil {
		return nil
	}
	return &Teller{service: s, scope: s.Scope(scopeName)}
}

// outcome is what requests have in common that are counted together.
type outcome struct {
	made                    bool // else taken
	calls                   bool // a taken one became calls
	stream                  bool // it takes as long as it likes
	method, scheme, route   string
	address, version, error string
	port, status            int
}

// maxOutcomes bounds what is counted apart, for a program may make requests to any number of addresses.
const maxOutcomes = 2000

// count counts a request.
func (t *Teller) count(o outcome, took time.Duration, span *telemetry.Span) {
	d, known := t.numbers.Load(o)
	if !known {
		if t.known.Load() >= maxOutcomes {
			d = t.durations(o.made, []attribute.KeyValue{attribute.Bool("otel.metric.overflow", true)})
		} else if d, known = t.numbers.LoadOrStore(o, t.durations(o.made, o.attributes())); !known {
			t.known.Add(1)
		}
	}
	d.(*telemetry.Durations).Record(took, span)
}

func (t *Teller) durations(made bool, attrs []attribute.KeyValue) *telemetry.Durations {
	d := telemetry.Durations{Name: "http.server.request.duration", Description: "Duration of HTTP server requests.", Attributes: attrs}
	if made {
		d.Name, d.Description = "http.client.request.duration", "Duration of HTTP client requests."
	}
	return t.scope.Durations(d)
}

// attributes are those of the numbers.
func (o *outcome) attributes() []attribute.KeyValue {
	attrs := []attribute.KeyValue{attribute.String("http.request.method", o.method), attribute.String("url.scheme", o.scheme)}
	text := func(key, value string) {
		if value != "" {
			attrs = append(attrs, attribute.String(key, value))
		}
	}
	text("http.route", o.route)
	text("server.address", o.address)
	if o.port != 0 {
		attrs = append(attrs, attribute.Int("server.port", o.port))
	}
	text("network.protocol.version", o.version)
	if o.status != 0 {
		attrs = append(attrs, attribute.Int("http.response.status_code", o.status))
	}
	text("error.type", o.error)
	if o.calls {
		attrs = append(attrs, attribute.Bool(CallsKey, true))
	}
	if o.stream {
		attrs = append(attrs, attribute.Bool(telemetry.StreamKey, true))
	}
	return attrs
}

// isStream reports whether an answer goes on for as long as somebody likes: server-sent events, or another protocol, such as WebSocket.
func isStream(status int, header http.Header) bool {
	kind, _, _ := strings.Cut(header.Get("Content-Type"), ";")
	return status == http.StatusSwitchingProtocols || strings.EqualFold(strings.TrimSpace(kind), "text/event-stream")
}

// fail has a span tell of an error.
func (o *outcome) fail(span *telemetry.Span, message string) {
	if o.error != "" {
		span.SetAttributes(attribute.String("error.type", o.error))
		span.SetStatus(codes.Error, message)
	}
}

// methodOf is the method as it is told: one of those there are, or "_OTHER", whose spans are called HTTP.
func methodOf(r *http.Request) (told, name string) {
	switch r.Method {
	case "":
		return http.MethodGet, http.MethodGet
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace, "QUERY":
		return r.Method, r.Method
	}
	return "_OTHER", "HTTP"
}

// versionOf writes a version of HTTP as the conventions do.
func versionOf(major, minor int) string {
	if major >= 2 {
		return strconv.Itoa(major)
	}
	return strconv.Itoa(major) + "." + strconv.Itoa(minor)
}

// errorType is error.type of an error: few different texts.
func errorType(err error) string {
	var canceled interface{ Timeout() bool }
	switch s, isStatus := status.FromError(err); {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &canceled) && canceled.Timeout():
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "canceled"
	case isStatus && s.Code() != grpccodes.Unknown:
		return strings.ToLower(s.Code().String())
	}
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	if name := strings.TrimPrefix(fmt.Sprintf("%T", err), "*"); name != "errors.errorString" {
		return name
	}
	return "_OTHER"
}

// cut bounds a text that somebody else has made.
func cut(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "")
	}
	return s
}

// header joins the values of a field.
func header(h http.Header, name string) string { return strings.Join(h[name], ",") }

// The fields of W3C Trace Context and Baggage, as Go writes them.
const (
	traceParent = "Traceparent"
	traceState  = "Tracestate"
	baggage     = "Baggage"
)
