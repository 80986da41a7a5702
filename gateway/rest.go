package gateway

import (
	"context"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/hanse-go/hanse/internal/httprule"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/status"
)

// REST: methods with the option google.api.http, by the paths and methods of HTTP that it says.

var restMatches = sync.Pool{New: func() any { return new(httprule.Match[*restRoute]) }}

// serveREST serves a request by the annotations of methods. It reports false when there is none for the path.
func (h *Handler) serveREST(w http.ResponseWriter, r *http.Request, t *table) bool {
	path := r.URL.EscapedPath()
	m := restMatches.Get().(*httprule.Match[*restRoute])
	defer restMatches.Put(m)
	found := t.rest.Lookup(r.Method, path, m)
	if !found && r.Method == http.MethodHead {
		found = t.rest.Lookup(http.MethodGet, path, m) && m.Value.headable() // the server leaves the body out
	}
	if found {
		route, values := m.Value, slices.Clone(m.Values)
		h.tell(w, r, route.path, route.pattern, func(w http.ResponseWriter, r *http.Request) { h.callREST(w, r, route, values) })
		return true
	}
	allowed := t.allowed(path)
	if allowed == nil {
		return false
	}
	w.Header()["Allow"] = []string{strings.Join(allowed, ", ")}
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return true
	}
	st := status.Newf(codes.Unimplemented, "there is no %s of %s; there is %s", r.Method, r.URL.Path, strings.Join(allowed, ", "))
	h.writeFailure(w, r, st, http.StatusMethodNotAllowed)
	return true
}

// callREST makes the call of a request. values are those of the template's variables.
func (h *Handler) callREST(w http.ResponseWriter, r *http.Request, rr *restRoute, values []string) {
	r.Header[restHeader] = byREST
	request := rest{h: h, w: w, r: r, route: rr, values: values, held: held{h: h}}
	if rr.method.IsStreamingServer() {
		x := newRESTStream(request)
		x.run(x)
	} else {
		x := &restUnary{rest: request}
		x.run(x)
	}
}

// run makes the call, of which x is a part of the exchange.
func (x *rest) run(all exchange) {
	b := &begin{route: x.route.route}
	b.err = x.check(b)
	x.stream()
	x.h.run(x.r, b, all)
}

// rest is what the exchanges of annotated methods have in common: the request.
type rest struct {
	h        *Handler
	w        http.ResponseWriter
	r        *http.Request
	route    *restRoute
	values   []string            // of the path's variables
	requests encoding.Compressor // of the body; nil: it is not compressed
	code     int                 // the status of HTTP for what failed in the request; 0: that of the error's code
	ctx      context.Context
	body     []byte    // maybe compressed, of those who take a message
	in       *[]byte   // its memory, if that is to be used again
	held     held      // for it
	got      bool      // the message
	incoming *restBody // of those who take a stream
}

func (x *rest) begin(ctx context.Context) (err error) {
	x.ctx = ctx
	switch {
	case x.incoming != nil:
		x.incoming.begin(ctx)
	case x.route.request.shape == noBody:
		err = x.noBodyIn(ctx)
	case x.r.ContentLength != 0:
		if x.route.request.shape != rawBody { // whose bytes are the message's
			x.in = requestBuffers.get()
		}
		x.body, err = x.h.readBody(ctx, x.w, x.r, &x.held, x.in)
	}
	return x.failed(err)
}

// forget gives back the memory of the body.
func (x *rest) forget() {
	x.held.release()
	requestBuffers.put(x.in)
	x.body, x.in = nil, nil
}

// check reads the headers of a request. Its error is the call's status.
func (x *rest) check(b *begin) error {
	if err := connectBegin(x.r, b); err != nil {
		return err
	}
	if x.route.request.shape == noBody || x.r.ContentLength == 0 {
		return nil
	}
	if !x.route.takes(x.r.Header) {
		if name := map[string]string{"POST": "Accept-Post", "PATCH": "Accept-Patch"}[x.r.Method]; name != "" {
			x.w.Header()[name] = []string{x.route.bodyTypes()}
		}
		x.code = http.StatusUnsupportedMediaType
		return status.Errorf(codes.InvalidArgument, "the content type is %q; send %s", x.r.Header.Get("Content-Type"), x.route.bodyTypes())
	}
	var err error
	if x.requests, err = compressorOf(first(x.r.Header, "Content-Encoding")); err != nil {
		x.w.Header()["Accept-Encoding"] = []string{compressions}
		x.code = http.StatusUnsupportedMediaType
	}
	return err
}

// takes reports whether the content type is one for the route's body. A request that says none has what is wanted.
func (rr *restRoute) takes(header http.Header) bool {
	value := first(header, "Content-Type")
	if value == "" || value == jsonType || rr.request.shape == rawBody {
		return true
	}
	mediaType, params, err := mime.ParseMediaType(value)
	if charset := params["charset"]; err != nil || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return false
	}
	return mediaType == "application/json" || strings.HasPrefix(mediaType, "application/") && strings.HasSuffix(mediaType, "+json") ||
		rr.method.IsStreamingClient() && slices.Contains(linesTypes, mediaType)
}
