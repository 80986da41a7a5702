package dashboard

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hanse-go/hanse/telemetry/collector"
)

// Error is an answer of the API that says what is wrong. Everything else that fails is status 500.
type Error struct {
	Status int    `json:"-"`     // of HTTP; 0: 400
	What   string `json:"error"` // "there is no service crat"
	Do     string `json:"do,omitempty"`
}

// Error returns both parts.
func (e *Error) Error() string {
	if e.Do == "" {
		return e.What
	}
	return e.What + "; " + e.Do
}

// bad is the error for a request that cannot be meant.
func bad(do, format string, args ...any) error {
	return &Error{Status: http.StatusBadRequest, What: fmt.Sprintf(format, args...), Do: do}
}

// missing is the error for something that is not there.
func missing(do, format string, args ...any) error {
	return &Error{Status: http.StatusNotFound, What: fmt.Sprintf(format, args...), Do: do}
}

// maxBody bounds what a request may bring.
const maxBody = 8 << 20

// mux has all of the page and of its API.
func (s *Server) mux() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /assets/{name}", serveAsset)
	mux.HandleFunc("GET /api/live", s.serveLive)
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, &Error{Status: http.StatusNotFound, What: "there is no " + r.Method + " " + r.URL.Path})
	})
	mux.HandleFunc("/", servePage)
	a := api{s, mux}
	// The API of each page is in a file of its own, api_PAGE.go.
	s.systemAPI(a)
	s.overviewAPI(a)
	s.topAPI(a)
	s.tracesAPI(a)
	s.adviceAPI(a)
	s.serviceAPI(a)
	c := &console{conn: s.Conn, known: make(map[string]*described)}
	s.consoleAPI(a, c)
	s.logsAPI(a)
	s.metricsAPI(a)
	s.eventsAPI(a)
	s.storeAPI(a, c)
	return mux
}

// api is where pages put their endpoints.
type api struct {
	s   *Server
	mux *http.ServeMux
}

// get makes "GET /api/"+path answer with what f returns, as JSON. Errors are an [*Error], collector.ErrNotFound, or status 500.
func (a api) get(path string, f func(r *http.Request) (any, error)) { a.answer("GET", path, f) }

// post does the same for what changes something; the request has been checked to come from the page. f reads its body by [body].
// A system that is read-only answers 403, before f.
func (a api) post(path string, f func(r *http.Request) (any, error)) {
	a.answer("POST", path, func(r *http.Request) (any, error) {
		if a.s.System != nil {
			if st, err := a.s.System.State(r.Context()); err != nil {
				return nil, err
			} else if st.ReadOnly {
				return nil, &Error{Status: http.StatusForbidden, What: "the dashboard of " + st.Name + " only shows, and changes nothing"}
			}
		}
		return f(r)
	})
}

func (a api) answer(method, path string, f func(r *http.Request) (any, error)) {
	a.mux.HandleFunc(method+" /api/"+path, func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		v, err := f(r)
		if err != nil {
			if r.Context().Err() == nil {
				a.s.fail(w, r, err)
			}
			return
		}
		writeJSON(w, http.StatusOK, v)
	})
}

// fail answers with an error, and logs one that nobody expected.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if e, ok := errors.AsType[*Error](err); ok {
		writeError(w, e)
		return
	}
	if errors.Is(err, collector.ErrNotFound) {
		writeError(w, &Error{Status: http.StatusNotFound, What: "it is not there, or not any more", Do: "it may be older than what is kept"})
		return
	}
	s.log().Warn("a request of the dashboard's page failed", "path", r.URL.Path, "error", err)
	writeError(w, &Error{Status: http.StatusInternalServerError, What: err.Error()})
}

func writeError(w http.ResponseWriter, e *Error) {
	code := e.Status
	if code == 0 {
		code = http.StatusBadRequest
	}
	writeJSON(w, code, e)
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		code = http.StatusInternalServerError
		b.Reset()
		_ = enc.Encode(&Error{What: "the answer cannot be written: " + err.Error()}) // two strings can
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write(b.Bytes()) // who left does not see it
}

// body reads the JSON of a request. Fields that nobody knows are refused: they are misspelt.
func body[T any](r *http.Request) (T, error) {
	var v T
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil {
		if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return v, &Error{Status: http.StatusRequestEntityTooLarge, What: fmt.Sprintf("the request is longer than %d bytes", large.Limit)}
		}
		return v, bad("send JSON", "the request cannot be read: %v", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return v, bad("send one value", "there is more behind the JSON of the request")
	}
	return v, nil
}

// window reads how far back a request looks: window=5m (default: fallback), or from and to in RFC 3339.
func window(r *http.Request, fallback time.Duration) (collector.Window, error) {
	q := r.URL.Query()
	var w collector.Window
	for name, at := range map[string]*time.Time{"from": &w.From, "to": &w.To} {
		if text := q.Get(name); text != "" {
			t, err := time.Parse(time.RFC3339Nano, text)
			if err != nil {
				return w, bad("write it as 2026-01-31T12:00:00Z", "%s: %q is no time", name, text)
			}
			*at = t
		}
	}
	if w.From.IsZero() {
		d := fallback
		if text := q.Get("window"); text != "" {
			var err error
			if d, err = parseWindow(text); err != nil {
				return w, err
			}
		}
		end := w.To
		if end.IsZero() {
			end = time.Now()
		}
		w.From = end.Add(-d)
	}
	if !w.To.IsZero() && !w.To.After(w.From) {
		return w, bad("", "the window ends before it begins")
	}
	return w, nil
}

// parseWindow reads 30s, 5m, 6h or 2d.
func parseWindow(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n <= 366 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	} else if d, err := time.ParseDuration(text); err == nil && d >= time.Second && d <= 366*24*time.Hour {
		return d, nil
	}
	return 0, bad("write 5m, 1h or 2d", "window: %q is no length of time", text)
}

// number reads a whole number of the query between low and high.
func number(r *http.Request, name string, fallback, low, high int) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return 0, bad("", "%s: %q is no number from %d to %d", name, text, low, high)
	}
	return n, nil
}

// within bounds how long an answer may take.
func within(r *http.Request, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.Context(), d)
}
