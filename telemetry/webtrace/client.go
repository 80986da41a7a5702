package webtrace

import (
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"

	"github.com/hanse-go/hanse/telemetry"
	"go.opentelemetry.io/otel/attribute"
	otelbaggage "go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/trace"
)

// NewTransport has the requests that next makes told of with s; next itself where s is nil. next may be nil: [http.DefaultTransport].
func NewTransport(s *telemetry.Service, next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	t := New(s)
	if t == nil {
		return next
	}
	return &transport{t, next}
}

type transport struct {
	teller *Teller
	next   http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL == nil { // next says so
		return t.next.RoundTrip(r)
	}
	made := t.teller.Begin(r, r.URL.Hostname(), portOf(r.URL))
	resp, err := t.next.RoundTrip(made.Request())
	if err != nil {
		made.End(nil, err)
		return resp, err
	}
	resp.Request = r
	body := &made.body
	body.ReadCloser, body.made, body.resp = resp.Body, made, resp
	if w, ok := resp.Body.(io.Writer); ok { // the connection, after a change of protocols
		resp.Body = &writableBody{body, w}
	} else {
		resp.Body = body
	}
	return resp, nil
}

// CloseIdleConnections is for [http.Client].
func (t *transport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func portOf(u *url.URL) int {
	if n, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		return int(n)
	}
	switch u.Scheme {
	case "http":
		return 80
	case "https":
		return 443
	}
	return 0
}

// Made is a request that is made, with all its attempts. A nil *Made is not told.
type Made struct {
	teller  *Teller
	work    *telemetry.Work
	request *http.Request
	outcome outcome
	reached []attribute.KeyValue
	resent  int
	body    body
	ended   atomic.Bool
}

// Begin begins to tell of a request to a server, of which port 0 is none. It must be ended. A nil Teller returns nil.
func (t *Teller) Begin(r *http.Request, address string, port int) *Made {
	if t == nil {
		return nil
	}
	m := &Made{teller: t}
	name := ""
	m.outcome.made, m.outcome.address, m.outcome.port, m.outcome.scheme = true, address, port, r.URL.Scheme
	m.outcome.method, name = methodOf(r)
	m.work = t.scope.Begin(r.Context(), trace.SpanKindClient, name, header(r.Header, traceParent), header(r.Header, traceState))
	span := &m.work.Span
	ctx := m.work.Ctx()
	m.request = r.Clone(ctx)
	if m.request.Header == nil {
		m.request.Header = make(http.Header)
	}
	if parent, state := span.Sent(); parent != "" {
		m.request.Header[traceParent] = []string{parent}
		delete(m.request.Header, traceState)
		if state != "" {
			m.request.Header[traceState] = []string{state}
		}
	}
	if t.service.Baggage() && m.request.Header[baggage] == nil {
		if b := otelbaggage.FromContext(ctx); b.Len() > 0 {
			m.request.Header[baggage] = []string{b.String()}
		}
	}
	if !span.IsRecording() {
		return m
	}
	span.SetAttributes(attribute.String("http.request.method", m.outcome.method), attribute.String("server.address", address), attribute.String("url.full", shown(r.URL)))
	if port != 0 {
		span.SetAttributes(attribute.Int("server.port", port))
	}
	if m.outcome.method == "_OTHER" {
		span.SetAttributes(attribute.String("http.request.method_original", cut(r.Method, 64)))
	}
	return m
}

// shown is a URL without what may be secret: user, password and the values of the query.
func shown(u *url.URL) string {
	clean := *u
	clean.User, clean.Fragment, clean.RawFragment = nil, "", ""
	if query := u.Query(); len(query) > 0 {
		for key := range query {
			query[key] = []string{"REDACTED"}
		}
		clean.RawQuery = query.Encode()
	}
	return cut(clean.String(), 2048)
}

// Request is what is to be sent: it has the span, in its context and its header.
func (m *Made) Request() *http.Request { return m.request }

// At notes where it went, at which attempt. A nil Made notes nothing.
func (m *Made) At(r *telemetry.Reached, attempts int) {
	if m != nil {
		m.reached, m.resent = r.Attributes(), attempts-1
	}
}

// End ends it: with an answer that was read, or an error. A second End does nothing.
func (m *Made) End(resp *http.Response, err error) {
	if m == nil || m.ended.Swap(true) {
		return
	}
	span, message := &m.work.Span, ""
	if resp != nil {
		m.outcome.status, m.outcome.version = resp.StatusCode, versionOf(resp.ProtoMajor, resp.ProtoMinor)
		m.outcome.stream = isStream(resp.StatusCode, resp.Header)
		if resp.StatusCode >= 400 {
			m.outcome.error, message = strconv.Itoa(resp.StatusCode), http.StatusText(resp.StatusCode)
		}
	}
	if err != nil {
		m.outcome.error, message = errorType(err), err.Error()
	}
	if span.IsRecording() {
		if m.outcome.status != 0 {
			span.SetAttributes(attribute.Int("http.response.status_code", m.outcome.status), attribute.String("network.protocol.version", m.outcome.version))
		}
		if m.resent > 0 {
			span.SetAttributes(attribute.Int("http.request.resend_count", m.resent))
		}
		span.SetAttributes(m.reached...)
		if m.outcome.stream {
			span.SetAttributes(attribute.Bool(telemetry.StreamKey, true))
		}
	}
	m.outcome.fail(span, message)
	m.teller.count(m.outcome, span.Took(), span)
	span.End()
}

// body is that of an answer, which ends its request.
type body struct {
	io.ReadCloser
	made *Made
	resp *http.Response
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch err {
	case nil:
	case io.EOF:
		b.made.End(b.resp, nil)
	default:
		b.made.End(b.resp, err)
	}
	return n, err
}

func (b *body) Close() error {
	b.made.End(b.resp, nil)
	return b.ReadCloser.Close()
}

type writableBody struct {
	*body
	io.Writer
}
