package collector

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

const (
	mostPacked = 8 << 20  // bytes of a request as it comes
	mostBody   = 32 << 20 // bytes of it without compression
	mostBusy   = 4        // requests that are read at a time
	againAfter = "1"      // seconds, for those that are refused
)

// Handler serves OTLP over HTTP: POST /v1/traces, /v1/metrics and /v1/logs, in protobuf or JSON, plain or with gzip. It answers to
// programs of this machine and not to web pages: a request that a browser makes for another origin is refused.
func (c *Collector) Handler() http.Handler {
	mux := http.NewServeMux()
	p := c.of()
	for path, by := range map[string]struct {
		add  take
		json func([]byte) ([]byte, error)
		name string
	}{
		"/v1/traces":  {(*parts).addSpans, tracesFromJSON, "rejectedSpans"},
		"/v1/logs":    {(*parts).addLogs, logsFromJSON, "rejectedLogRecords"},
		"/v1/metrics": {(*parts).addPoints, metricsFromJSON, "rejectedDataPoints"},
	} {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) { p.serve(w, r, by.add, by.json, by.name) })
	}
	return mux
}

// failure is an answer other than 200.
type failure struct {
	code int
	text string
}

func (f *failure) Error() string { return f.text }

func (p *parts) serve(w http.ResponseWriter, r *http.Request, add take, fromJSON func([]byte) ([]byte, error), rejected string) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	asJSON := kind == "application/json"
	answer := func(code int, plain func() []byte, text any) {
		var body []byte
		if asJSON {
			w.Header().Set("Content-Type", "application/json")
			body, _ = json.Marshal(text)
		} else {
			w.Header().Set("Content-Type", "application/x-protobuf")
			body = plain()
		}
		w.WriteHeader(code)
		_, _ = w.Write(body) // who is gone does not miss it
	}
	fail := func(code int, text string) {
		answer(code, func() []byte { return appendString(nil, 2, text) }, map[string]any{"message": text})
	}
	// A page of another site must not write into what people read. Programs do not send this.
	if r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" {
		fail(http.StatusForbidden, "telemetry is taken from programs, not from web pages")
		return
	}
	if !asJSON && kind != "application/x-protobuf" && kind != "application/protobuf" {
		fail(http.StatusUnsupportedMediaType, "Content-Type has to be application/x-protobuf or application/json")
		return
	}
	m := p.room(r.Context())
	if m == nil {
		return
	}
	defer p.leave(m)
	body, err := readBody(w, r, &m.body)
	if err == nil && asJSON {
		body, err = fromJSON(body)
	}
	var not refused
	if err == nil {
		not, err = p.take(m, body, add)
	}
	if f, ok := errors.AsType[*failure](err); ok {
		fail(f.code, f.text)
		return
	}
	switch {
	case err != nil:
		fail(http.StatusBadRequest, err.Error())
	case not.later:
		w.Header().Set("Retry-After", againAfter)
		fail(http.StatusServiceUnavailable, not.reason)
	case not.count > 0:
		answer(http.StatusOK, func() []byte { return partial(not) },
			map[string]any{"partialSuccess": map[string]any{rejected: fmt.Sprint(not.count), "errorMessage": not.reason}})
	default:
		answer(http.StatusOK, func() []byte { return nil }, struct{}{})
	}
}

// partial is the answer that something was not taken, the same in all three services.
func partial(not refused) []byte {
	if not.count == 0 {
		return nil
	}
	return appendMessage(nil, 1, func(b []byte) []byte {
		b = protowire.AppendVarint(protowire.AppendTag(b, 1, protowire.VarintType), uint64(not.count))
		return appendString(b, 2, not.reason)
	})
}

// readBody reads the body of a request into b, without its compression.
func readBody(w http.ResponseWriter, r *http.Request, b *bytes.Buffer) ([]byte, error) {
	var in io.Reader = http.MaxBytesReader(w, r.Body, mostPacked)
	switch encoding := strings.ToLower(r.Header.Get("Content-Encoding")); encoding {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, &failure{http.StatusBadRequest, "the body is not gzip, as Content-Encoding says"}
		}
		defer z.Close()
		in = z
	default:
		return nil, &failure{http.StatusUnsupportedMediaType, "Content-Encoding has to be gzip, or absent"}
	}
	if n := r.ContentLength; n > 0 && n <= mostPacked {
		b.Grow(int(n) + bytes.MinRead)
	}
	_, err := b.ReadFrom(io.LimitReader(in, mostBody+1))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) || b.Len() > mostBody {
		return nil, &failure{http.StatusRequestEntityTooLarge, fmt.Sprintf("a request is at most %d MiB, %d MiB without compression: send smaller ones", mostPacked>>20, mostBody>>20)}
	}
	if err != nil {
		return nil, &failure{http.StatusBadRequest, "the body could not be read: " + err.Error()}
	}
	return b.Bytes(), nil
}
